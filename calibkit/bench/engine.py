"""Evaluation by engine: the quantized LSTM's hidden states, and generative scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.bench import inputs, plain_path
from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages, Work
from calibkit.engine.batches import Batch, batches
from calibkit.engine.calibrate import Calibrated, calibrate
from calibkit.engine.choice import states_by
from calibkit.engine.native.decoder import NativeDecoder
from calibkit.engine.plain import Decoder
from calibkit.quantize.networks import QuantGenerative
from calibkit.quantize.schemes import Rounding, Scheme, SchemeSettings, resolve
from calibkit.ragged import Ragged

NEAR = 1e-4
"""Relative difference up to which two float32 sums over a vocabulary count as the same."""

SUBSET = 64


def scheme_of(bits: int, rounding: Rounding = "nearest") -> Scheme:
    """Return the default scheme at a bit width."""
    return resolve(SchemeSettings(), bits=bits, rounding=rounding)


def quantized(kind: str, vocabulary: int, labels: int, bits: int) -> Calibrated:
    """Return a made-up float model, quantized with made-up documents."""
    weights = inputs.float_weights(kind, vocabulary, labels)
    subset = inputs.documents(SUBSET, vocabulary, seed=1)
    return calibrate(kind, weights.arrays, subset, scheme_of(bits))


def forward(*, kind: str, documents: int, vocabulary: int, bits: int) -> Case:
    """Hidden states of all documents by a frozen LSTM; engines are set up outside of the time."""
    network = quantized(kind, vocabulary, 4, bits).network
    tokens = inputs.documents(documents, vocabulary)
    cut = kind == "generative"

    def plain(stages: Stages) -> list[Tensor]:
        with torch.inference_mode(), stages("forward"):
            return plain_path.hidden_states(network, tokens)

    def by(engine: Any) -> Work:
        def work(stages: Stages) -> list[tuple[Batch, Tensor]]:
            states = states_by(engine, network, tokens)
            with torch.inference_mode(), stages("forward"):
                return [(one, states(one)) for one in batches(tokens, drop_last=cut)]

        return work

    def right(expected: list[Tensor], found: list[tuple[Batch, Tensor]]) -> dict[str, bool]:
        same = True
        for one, states in found:
            padded = one.pad(states)
            for place, row in enumerate(one.rows.tolist()):
                batch, inside = divmod(row, plain_path.BATCH)
                length = int(one.lengths[place])
                mine, theirs = padded[place, :length], expected[batch][inside, :length]
                same &= torch.equal(mine, theirs)
        return {"forward": same}

    return Case(
        f"quantized LSTM forward, {kind}",
        {"plain": plain, "torch": by("torch"), "native": by("native")},
        right,
        {
            "documents": documents,
            "vocabulary": vocabulary,
            "bits": bits,
            "set_up": "not timed",
            "against": "Brevitas's hidden states, bit for bit",
        },
    )


def scoring(*, documents: int, vocabulary: int, labels: int, bits: int) -> Case:
    """Label scores of all documents from their hidden states, by a decoder that is set up before.

    The set-up is in the time of a cell's stage evaluate.
    """
    done = quantized("generative", vocabulary, labels, bits)
    network = done.network
    assert isinstance(network, QuantGenerative)
    tokens = inputs.documents(documents, vocabulary)
    truth = inputs.label_ids(documents, labels)

    def plain(stages: Stages) -> NDArray[np.float64]:
        with torch.inference_mode():
            states = plain_path.hidden_states(network, tokens)
            with stages("scoring"):
                return plain_path.scores_of_states(network, tokens, states)

    def by(engine: Any, decoder: type[Decoder]) -> Work:
        def work(stages: Stages) -> NDArray[np.float64]:
            with torch.inference_mode():
                states = states_by(engine, network, tokens)
                seen = [(one, states(one)) for one in batches(tokens, drop_last=True)]
                found = np.empty((len(tokens), labels))
                head = decoder(network)
                with stages("scoring"):
                    for one, packed in seen:
                        found[one.rows] = head.score(one, packed, tokens, truth)[0]
            return found

        return work

    return Case(
        f"generative scoring, V {thousands(vocabulary)}, {labels} labels",
        {"plain": plain, "torch": by("torch", Decoder), "native": by("native", NativeDecoder)},
        lambda expected, found: {"scoring": same_scores(expected, found)},
        {
            "documents": documents,
            "vocabulary": vocabulary,
            "labels": labels,
            "bits": bits,
            "set_up": "not timed",
            "against": f"decoding once a label, scores within {NEAR:g} relative",
        },
    )


def same_scores(expected: NDArray[np.float64], found: NDArray[np.float64]) -> bool:
    """Return whether scores (n, labels) agree within NEAR, and so do all clear predictions.

    A prediction is clear where the two best scores differ by more than what scores may differ by.
    """
    close = bool(np.allclose(found, expected, rtol=NEAR, atol=NEAR))
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * NEAR * np.maximum(np.abs(best[:, -1]), 1.0)
    agreed = expected.argmax(axis=1) == found.argmax(axis=1)
    return close and bool(agreed[clear].all())


def thousands(count: int) -> str:
    """Return a vocabulary's size as it stands in the names of rows: 27k."""
    return f"{count / 1000:g}k"


def sample_of(tokens: Ragged, count: int) -> NDArray[np.intp]:
    """Return rows spread evenly over the documents, ``count`` or all of them."""
    return np.unique(np.linspace(0, len(tokens) - 1, min(count, len(tokens))).astype(np.intp))
