"""Networks and documents made by hand, as exporters get them."""

from __future__ import annotations

from typing import Any

import numpy as np

from calibkit.corpora.vocabulary import SPECIALS, Vocabulary
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import evaluate
from calibkit.export.network import Frozen, Tested
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

LONGEST = 20


def frozen_network(
    model: Any, documents: Ragged, *, bits: int, site_bits: Any = None, **given: Any
) -> Frozen:
    """A model, calibrated on documents; its words are w4, w5 and so on."""
    scheme = resolve(SchemeSettings(bits=site_bits, **given), bits=bits)
    network = calibrate(model.kind, model.arrays, documents, scheme).network
    words = [f"w{number}" for number in range(4, model.config["vocabulary"])]
    labels = tuple(f"label {number}" for number in range(model.config["labels"]))
    return Frozen(network, model.arrays, scheme, Vocabulary((*SPECIALS, *words)), labels, LONGEST)


def answered(frozen: Frozen, tokens: Ragged) -> Tested:
    """The documents with the scores of arithmetic integer; every other label is wrong."""
    nobody = np.zeros(len(tokens), dtype=np.int64)
    kernels = kernels_by("auto", frozen.network, tokens, arithmetic="integer")
    found = evaluate(frozen.network, tokens, nobody, kernels=kernels)
    labels = (found.predicted + np.arange(len(tokens)) % 2) % len(frozen.labels)
    texts = tuple(" ".join(frozen.vocabulary.decode(ids[1:-1])) for ids in every(tokens))
    return Tested(texts, tokens, labels, found.scores, found.predicted)


def every(tokens: Ragged) -> list[np.ndarray]:
    return [tokens[row] for row in range(len(tokens))]
