"""Which implementation computes the hidden states and token likelihoods of a frozen network.

The engine is a matter of time only: each one gives the same hidden states bit for bit, or is not
used. What does change numbers is the arithmetic: of the token likelihoods, in their last digits
(float-native), or of everything (integer). It is part of a scheme, hence of a cell's identity, and
never depends on what a machine has.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from calibkit.engine import native
from calibkit.engine.batches import Batch, make_batch
from calibkit.engine.integer import IntegerClassifier, IntegerDecoder, IntegerLSTM
from calibkit.engine.mirror import SMALLEST_PRODUCT, Mirror
from calibkit.engine.native.decoder import NativeDecoder
from calibkit.engine.native.integer import NativeIntegerDecoder, NativeIntegerLSTM
from calibkit.engine.native.mirror import NativeMirror
from calibkit.engine.plain import (
    Head,
    Kernels,
    States,
    brevitas_states,
    defining_states,
    float_head,
)
from calibkit.errors import BadInput
from calibkit.quantize.networks import QuantClassifier, QuantDiscriminative, QuantGenerative
from calibkit.quantize.schemes import Arithmetic
from calibkit.ragged import Ragged

log = logging.getLogger(__name__)

Engine = Literal["auto", "plain", "torch", "native"]
ENGINES: tuple[Engine, ...] = ("auto", "plain", "torch", "native")

PROBE_DOCUMENTS = 16
PROBE_TOKENS = 64


def kernels_by(
    engine: Engine,
    network: QuantClassifier,
    tokens: Ragged,
    *,
    arithmetic: Arithmetic = "float-torch",
) -> Kernels:
    """Return what evaluates a calibrated network: hidden states by engine, scores by arithmetic.

    Raises BadInput for the engine native, and for the arithmetic float-native, on a machine
    without the native kernels: another arithmetic would be another cell. Under arithmetic integer,
    every engine gives the same numbers.
    """
    if arithmetic == "integer":
        return integer_kernels(engine, network, tokens)
    head = native_head if arithmetic == "float-native" else float_head
    if head is native_head:
        native.levels()  # say at once, for either kind of model, that there are no kernels
    # one head serves every noise level: setting up a large vocabulary takes a second
    return Kernels(states_by(engine, network, tokens), lru_cache(maxsize=1)(head))


def native_head(network: QuantClassifier) -> Head:
    """Return the head of a network in the arithmetic float-native."""
    return NativeDecoder(network) if isinstance(network, QuantGenerative) else float_head(network)


def integer_kernels(engine: Engine, network: QuantClassifier, tokens: Ragged) -> Kernels:
    """Return what evaluates a calibrated network in the arithmetic integer.

    plain and torch: the reference. native: the compiled kernels, which give the same numbers.
    auto: these where there are any, after a look at some of ``tokens``. Raises BadInput for native
    without its kernels, and for a network whose scales integers cannot hold.
    """
    if engine == "native":
        native.levels()
    if engine == "native" or (engine == "auto" and native.available()):
        lstm: IntegerLSTM = NativeIntegerLSTM.of(network)
        head = _integer_head(network, compiled=True)
        if engine == "native" or equals_reference(lstm, head, tokens):
            return Kernels(lstm.states, lambda _: head)
        log.warning("the native integer kernels are wrong on this machine; using torch")
    lstm, head = IntegerLSTM.of(network), _integer_head(network, compiled=False)
    return Kernels(lstm.states, lambda _: head)


def _integer_head(network: QuantClassifier, *, compiled: bool) -> Head:
    if isinstance(network, QuantGenerative):
        return (NativeIntegerDecoder if compiled else IntegerDecoder).of(network)
    assert isinstance(network, QuantDiscriminative)
    return IntegerClassifier.of(network)


def equals_reference(lstm: IntegerLSTM, head: Head, tokens: Ragged) -> bool:
    """Return whether native states and sums are those of the torch implementation on a probe."""
    with torch.inference_mode():
        one = probe(tokens, drop_last=isinstance(head, IntegerDecoder))
        expected = IntegerLSTM.states(lstm, one)
        same = torch.equal(lstm.states(one), expected)
        if same and isinstance(head, IntegerDecoder):
            codes = head.codes(expected[:PROBE_TOKENS])
            pairs = zip(head.sums(codes), IntegerDecoder.sums(head, codes), strict=True)
            same = all(torch.equal(ours, theirs) for ours, theirs in pairs)
    return same


def states_by(engine: Engine, network: QuantClassifier, tokens: Ragged) -> States:
    """Return the function that computes packed hidden states for a calibrated network.

    plain: Brevitas's layers. torch: the step loop of `Mirror`. native: the same in C++. auto: the
    fastest of them that gives the very numbers that Brevitas gives on some of ``tokens``.
    Raises BadInput for torch or native where they would give other numbers, and for native
    without its kernels. A dynamic network has one path only, whatever the engine.
    """
    if engine == "plain" or network.dynamic:
        return defining_states(network)
    if engine in ("torch", "native"):
        chosen = Mirror(network) if engine == "torch" else NativeMirror(network)
        if not agrees(network, chosen, tokens):
            raise BadInput(
                f"the {engine} engine gives other numbers than Brevitas on this machine (checked "
                "on 16 documents), and an engine may not change numbers; use --engine auto or plain"
            )
        return ByBatchSize(chosen.states, brevitas_states(network))
    if native.available() and native.levels()[0].fused:
        compiled = NativeMirror(network)
        if agrees(network, compiled, tokens):
            return ByBatchSize(compiled.states, brevitas_states(network))
        log.info("the native engine differs from Brevitas on this machine; trying torch")
    mirror = Mirror(network)
    if agrees(network, mirror, tokens):
        return ByBatchSize(mirror.states, brevitas_states(network))
    log.warning("the torch engine differs from Brevitas on this machine; using Brevitas")
    return brevitas_states(network)


@dataclass(frozen=True)
class ByBatchSize:
    """Leaves batches of a few documents to Brevitas: their products are summed in another order."""

    many: States
    few: States

    def __call__(self, one: Batch) -> Tensor:
        """Return the hidden states of a batch's packed positions."""
        return self.many(one) if len(one.rows) >= SMALLEST_PRODUCT else self.few(one)


def agrees(
    network: QuantClassifier, mirror: Mirror, tokens: Ragged, *, states: States | None = None
) -> bool:
    """Return whether mirror and Brevitas agree bit for bit on documents of all lengths.

    states: what has been found to agree already, if anything: Brevitas's layers take much memory
    over a large vocabulary.
    """
    with torch.inference_mode():
        one = probe(tokens, drop_last=isinstance(network, QuantGenerative))
        expected: Tensor = (states or brevitas_states(network))(one)
        return bool(torch.equal(mirror.states(one), expected))


def probe(tokens: Ragged, *, drop_last: bool) -> Batch:
    """Return a batch of documents spread evenly over the lengths that occur, longest first."""
    order = np.argsort(-tokens.lengths, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, PROBE_DOCUMENTS).astype(np.intp))
    return make_batch(tokens, order[places], drop_last=drop_last)
