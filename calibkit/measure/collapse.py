"""Signs that an accuracy comes from a network that no longer works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEAD_STATE = "dead-lstm"
CONSTANT_OUTPUT = "constant-output"
ONE_LABEL = "one-label"
NLL_EXPLODES = "nll-explodes"
RANGE_EXPLODES = "range-explodes"

FLAGS = (DEAD_STATE, CONSTANT_OUTPUT, ONE_LABEL, NLL_EXPLODES, RANGE_EXPLODES)
"""All flags, in the order in which they are told."""

DEAD_SHARE = 0.01
"""A working LSTM keeps most of the float model's mean |h|; a dead one has exactly 0 of it."""

CONSTANT_SHARE = 0.1
"""Networks that classify keep a third of the float model's spread over documents and more."""

ONE_LABEL_SHARE = 0.999

NLL_RATIO = 1.25
"""Generative networks with a working LSTM stay below 1.2 at all widths, dead ones come to 1.35."""

RANGE_RATIO = 4.0
"""Two bits of every code are then never used; estimators by themselves go up to 2 at 2 bits."""


@dataclass(frozen=True)
class Behaviour:
    """How a network behaves on some documents: mean |h|, `state_spread`, mean nll per document."""

    mean_abs_h: float
    state_spread: float
    nll: float


def state_spread(last: NDArray[np.float32]) -> float:
    """Return how much the last hidden states (documents, hidden) differ between documents.

    Root mean square over hidden units of the standard deviation over documents; 0 where all
    documents leave the LSTM in the same state.
    """
    return float(np.sqrt(last.astype(np.float64).var(axis=0).mean()))


def flags(
    found: Behaviour,
    expected: Behaviour,
    *,
    majority_share: float,
    chance_nll: float = 0.0,
    range_ratio: float = 0.0,
) -> tuple[str, ...]:
    """Return the collapse flags of one measurement, out of `FLAGS`.

    found, expected: the quantized and the float model. chance_nll: the nll of guessing evenly, log
    of the number of labels, for a model whose nll is that of the label; 0 for a model of the text.
    range_ratio: the largest quotient, over activation sites, of a quantizer's threshold and the
    float model's largest value there.

    dead-lstm: mean |h| is below 1 % of the float model's, so the hidden state says nothing (a
    generative model can still score well from its label embedding alone). constant-output: the
    last hidden states of the documents differ by less than 10 % of what they do in the float model:
    whatever is read, the same comes out. one-label: at least 99.9 % of the predictions are one
    label. nll-explodes: the nll is more than 1.25 times the float model's and, for labels, worse
    than guessing; few labels leave room for honest losses far above a float model that is nearly
    always sure. range-explodes: a threshold is more than 4 times the largest value that the float
    model has at its site, so at least two bits of its codes are never used.
    """
    signs = {
        DEAD_STATE: found.mean_abs_h < DEAD_SHARE * expected.mean_abs_h,
        CONSTANT_OUTPUT: found.state_spread < CONSTANT_SHARE * expected.state_spread,
        ONE_LABEL: majority_share >= ONE_LABEL_SHARE,
        NLL_EXPLODES: found.nll > max(NLL_RATIO * expected.nll, chance_nll),
        RANGE_EXPLODES: range_ratio > RANGE_RATIO,
    }
    return tuple(flag for flag in FLAGS if signs[flag])
