"""The plain path: Brevitas used in the straightforward way, which every ratio is against.

Layers in eval mode, 64 documents a batch in the order given, padded to the longest; the
generative decoder once per label with a cross-entropy over the vocabulary; ranges by Brevitas's
calibration mode; rounding by its gpfq_mode on linear layers; distances by scipy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calibkit.bench.timing import Stages
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.plain import padded_states
from calibkit.quantize.networks import (
    Arrays,
    QuantClassifier,
    QuantDiscriminative,
    QuantGenerative,
    activation_impl,
    activation_proxies,
    linear_name,
    watch,
    weight_proxies,
    weight_tensors,
)
from calibkit.ragged import Ragged

BATCH = 64


def padded(tokens: Ragged) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield (rows, ids (n, steps) padded with 0, lengths (n,)) in the order given."""
    for start in range(0, len(tokens), BATCH):
        rows = slice(start, min(start + BATCH, len(tokens)))
        lengths = tokens.lengths[rows]
        ids = np.zeros((len(lengths), int(lengths.max())), dtype=np.int64)
        for place, row in enumerate(range(rows.start, rows.stop)):
            ids[place, : lengths[place]] = tokens[row]
        yield rows, torch.from_numpy(ids), torch.from_numpy(lengths)


def hidden_states(network: QuantClassifier, tokens: Ragged) -> list[Tensor]:
    """Return the hidden states of the quantized LSTM, padding included, batch by batch."""
    cut = isinstance(network, QuantGenerative)
    return [network.hidden_states(ids[:, :-1] if cut else ids) for _, ids, _ in padded(tokens)]


def scores_of_states(
    network: QuantGenerative, tokens: Ragged, states: list[Tensor]
) -> NDArray[np.float64]:
    """Return log p(x, y) (n, labels), decoding once a label."""
    found = np.empty((len(tokens), len(network.log_prior)))
    for (rows, ids, lengths), hidden in zip(padded(tokens), states, strict=True):
        targets = ids[:, 1:]
        real = torch.arange(targets.shape[1]) < lengths[:, None] - 1
        for label, vector in enumerate(network.label_vectors()):
            logits = network.decode(hidden, vector)
            losses = F.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), reduction="none"
            ).view_as(targets)
            summed = torch.where(real, losses, 0.0).sum(1, dtype=torch.float64)
            found[rows, label] = (network.log_prior[label] - summed).numpy()
    return found


def scores(network: QuantClassifier, tokens: Ragged) -> NDArray[np.float64]:
    """Return log p(y | x) or log p(x, y) of every document and label (n, labels)."""
    if isinstance(network, QuantGenerative):
        found = np.empty((len(tokens), len(network.log_prior)))
        for rows, _, _ in padded(tokens):  # states of one batch at a time, as anybody would
            part = tokens.take(range(rows.start, rows.stop))
            found[rows] = scores_of_states(network, part, hidden_states(network, part))
        return found
    parts = [torch.log_softmax(network(ids, lengths), 1) for _, ids, lengths in padded(tokens)]
    return torch.cat(parts).to(torch.float64).numpy()


class _OneLabel(nn.Module):
    """A generative network with one decoder run per call, where Brevitas's hooks stop."""

    def __init__(self, network: QuantGenerative) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, label: int) -> Tensor:
        return self.network.decode(
            self.network.hidden_states(ids[:, :-1]), self.network.label_vectors()[label]
        )


def rounded(network: QuantClassifier, tokens: Ragged, stages: Stages, *, times: float) -> None:
    """Round a copy of the network's linear layer by Brevitas's gpfq_mode.

    times: how often the documents at hand would go into those of the job; its passes over
    documents are taken that often, the update of the weights once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brevitas.graph.gpfq import gpfq_mode

        copy = deepcopy(network)
        model: Any = _OneLabel(copy) if isinstance(copy, QuantGenerative) else copy
        with torch.no_grad(), gpfq_mode(model) as mode:
            with stages("rounding", times=times):
                for _, ids, lengths in padded(tokens):
                    if isinstance(copy, QuantGenerative):
                        for label in range(len(copy.log_prior)):
                            mode.model(ids, label)
                    else:
                        mode.model(ids, lengths)
            with stages("rounding"):
                mode.update()


def brevitas_codes(network: QuantClassifier, arrays: Arrays, tokens: Ragged) -> NDArray[np.int64]:
    """Return the linear layer's codes by Brevitas's own GPFQ, fed with the two right inputs.

    Its gpfq_mode takes an LSTM with quantized activations for the float one; here the float side
    is the float model's. Changes the network.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brevitas.graph.gpfq import GPFQ
        from brevitas.graph.gpxq import LayerHandler
        from brevitas.utils.torch_utils import StopFwdException

    name = linear_name(network.kind)
    layer: Any = getattr(network, name)
    one = GPFQ(layer, name, False, 1, True, dtype=torch.float64)  # noqa: FBT003
    model, handler = FloatModel.of(network.kind, arrays), LayerHandler()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for batch, states in padded_states(network, tokens):
            exact = model.run(batch).linear_input
            if isinstance(network, QuantDiscriminative):
                pairs = [(network.pooled(states, batch.lengths), exact)]
            else:
                assert isinstance(network, QuantGenerative) and model.label_vectors is not None
                packed = batch.pack(states)
                pairs = [
                    (_beside(packed, v), _beside(exact, x))
                    for v, x in zip(network.label_vectors(), model.label_vectors, strict=True)
                ]
            for quantized, right in pairs:
                for inputs, off in ((quantized, False), (right, True)):
                    layer.weight_quant.disable_quant = off
                    layer.input_quant.disable_quant = off
                    try:
                        one.update_batch(layer, (inputs,), handler)
                    except StopFwdException:
                        continue
        layer.weight_quant.disable_quant = layer.input_quant.disable_quant = False
        one.single_layer_update()
    value, scale = weight_proxies(network)[name].tensor_quant(weight_tensors(network)[name])[:2]
    codes: NDArray[np.int64] = torch.round(value / scale).to(torch.int64).numpy()
    return codes


def _beside(rows: Tensor, vector: Tensor) -> Tensor:
    return torch.cat([rows, vector.expand(len(rows), -1)], dim=1)


def site_values(network: QuantClassifier, tokens: Ragged) -> dict[str, NDArray[np.float32]]:
    """Return what every activation quantizer gives at real tokens, in no particular order."""
    calls: dict[str, list[Tensor]] = {}
    parts: dict[str, list[Tensor]] = {}
    cut = 1 if isinstance(network, QuantGenerative) else 0
    last = f"{linear_name(network.kind)}.input"
    quantize = activation_impl(activation_proxies(network)[last])
    handles = watch(network, lambda site, value: calls.setdefault(site, []).append(value))
    try:
        for _, ids, lengths in padded(tokens):
            states = network.hidden_states(ids[:, : ids.shape[1] - cut])
            steps = states.shape[1]
            real = torch.arange(steps) < (lengths - cut)[:, None]
            for site, seen in calls.items():
                stepwise = [value for value in seen if value.dim() == 2]
                each = len(stepwise) // steps
                found = [value[real] for value in seen if value.dim() == 3]
                found += [v[real[:, place // each]] for place, v in enumerate(stepwise)]
                parts.setdefault(site, []).append(torch.cat(found).flatten())
            if isinstance(network, QuantDiscriminative):
                head = network.pooled(states, lengths)
            else:
                head = states[real]
            parts.setdefault(last, []).append(quantize(head)[0].flatten())
            calls.clear()
    finally:
        for handle in handles:
            handle.remove()
    return {site: torch.cat(found).numpy() for site, found in parts.items()}
