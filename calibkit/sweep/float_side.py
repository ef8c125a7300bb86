"""What a float model does with documents, and how a quantized network is judged beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.float_pass import FloatModel
from calibkit.engine.plain import Evaluation
from calibkit.measure.collapse import Behaviour, flags, state_spread
from calibkit.models.checkpoints import from_arrays, network_config
from calibkit.models.scoring import score
from calibkit.quantize.networks import Arrays
from calibkit.ragged import Ragged

FIRST_DOCUMENTS = 128
"""Documents over which activation shifts are measured, and over which a network is compared with
the float model to tell a collapse: the first of those measured on, which are in the order of
document ids and so no choice of anybody."""


def first(tokens: Ragged) -> Ragged:
    """Return the first documents."""
    return tokens.take(range(min(FIRST_DOCUMENTS, len(tokens))))


def float_evaluation(
    arrays: Arrays, config: Mapping[str, Any], tokens: Ragged, labels: NDArray[np.int64]
) -> Evaluation:
    """Measure a float model like a quantized one."""
    model = from_arrays(dict(arrays), network_config(config))
    scores = score(model, tokens)
    nll = scores.nll(labels)
    return Evaluation(
        scores.log_scores,
        nll,
        scores.predicted.astype(np.int64),
        nll.astype(np.float32),
        scores.mean_abs_h,
    )


@dataclass(frozen=True)
class FloatReference:
    """What a float model does with the first documents: the measure of a collapse.

    largest: the largest magnitude at every activation site.
    """

    behaviour: Behaviour
    largest: Mapping[str, float]


def reference_on(
    kind: str,
    arrays: Arrays,
    config: Mapping[str, Any],
    tokens: Ragged,
    labels: NDArray[np.int64],
) -> FloatReference:
    """Return how a float model behaves on the first of these documents."""
    documents = first(tokens)
    total, values, last = 0.0, 0, []
    largest: dict[str, float] = {}
    with torch.inference_mode():
        for done in FloatModel.of(kind, arrays).passes(documents):
            total += float(done.hidden.abs().sum(dtype=torch.float64))
            values += done.hidden.numel()
            last.append(done.batch.last(done.hidden).numpy())
            for site, seen in done.sites.items():
                top = max(float(part.values.abs().max()) for part in seen)
                largest[site] = max(largest.get(site, 0.0), top)
    exact = float_evaluation(arrays, config, documents, labels[: len(documents)])
    spread = state_spread(np.concatenate(last))
    behaviour = Behaviour(total / max(values, 1), spread, float(exact.nll.mean()))
    return FloatReference(behaviour, largest)


def collapse_flags(
    kind: str,
    thresholds: Mapping[str, float],
    found: Evaluation,
    expected: Behaviour,
    largest: Mapping[str, float],
) -> tuple[str, ...]:
    """Return the collapse flags of a quantized network, measured on some documents.

    thresholds: the largest representable magnitude by activation site, as far as there are sites.
    expected: how the float model behaves on the first of the same documents. largest: its largest
    magnitude at every activation site, on clean documents.
    """
    assert found.state_spread is not None
    labels = found.scores.shape[1]
    counts = np.bincount(found.predicted, minlength=labels)
    ratios = [t / largest[site] for site, t in thresholds.items() if largest[site]]
    return flags(
        Behaviour(found.mean_abs_h, found.state_spread, float(found.nll[:FIRST_DOCUMENTS].mean())),
        expected,
        majority_share=float(counts.max() / len(found.predicted)),
        chance_nll=math.log(labels) if kind == "discriminative" else 0.0,
        range_ratio=max(ratios, default=0.0),
    )
