"""Which implementation computes the hidden states of a frozen network."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.batches import Batch, make_batch
from calibkit.engine.mirror import Mirror
from calibkit.engine.plain import States, brevitas_states
from calibkit.quantize.networks import QuantClassifier, QuantGenerative
from calibkit.ragged import Ragged

log = logging.getLogger(__name__)

Engine = Literal["auto", "plain", "torch"]
ENGINES: tuple[Engine, ...] = ("auto", "plain", "torch")

PROBE_DOCUMENTS = 16


def states_by(engine: Engine, network: QuantClassifier, tokens: Ragged) -> States:
    """Return the function that computes packed hidden states for a calibrated network.

    plain: Brevitas's layers. torch: the step loop of `Mirror`. auto: the step loop where it gives
    the very numbers that Brevitas gives on some of ``tokens``, else Brevitas.
    """
    if engine == "plain":
        return brevitas_states(network)
    mirror = Mirror(network)
    if engine == "auto" and not agrees(network, mirror, tokens):
        log.warning("the torch engine differs from Brevitas on this machine; using Brevitas")
        return brevitas_states(network)
    return mirror.states


def agrees(network: QuantClassifier, mirror: Mirror, tokens: Ragged) -> bool:
    """Return whether mirror and Brevitas agree bit for bit on documents of all lengths."""
    with torch.inference_mode():
        one = probe(tokens, drop_last=isinstance(network, QuantGenerative))
        expected: Tensor = brevitas_states(network)(one)
        return bool(torch.equal(mirror.states(one), expected))


def probe(tokens: Ragged, *, drop_last: bool) -> Batch:
    """Return a batch of documents spread evenly over the lengths that occur, longest first."""
    order = np.argsort(-tokens.lengths, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, PROBE_DOCUMENTS).astype(np.intp))
    return make_batch(tokens, order[places], drop_last=drop_last)
