"""The two classifiers built from Brevitas layers, and access to each of their quantizers by site.

`build` copies float weights in; `calibkit.quantize.installation` then fixes the quantizers: a bit
width and a threshold per site. Nothing in a network adapts to data after that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calibkit.quantize.sites import ACTIVATION_SITES, GATES, WEIGHT_SITES

with warnings.catch_warnings():  # brevitas and torch.jit deprecate each other at import
    warnings.simplefilter("ignore")
    import brevitas.nn as qnn
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerTensorFloat,
        Int32Bias,
        Uint8ActPerTensorFloat,
    )

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Quantizers:
    """Which Brevitas quantizers a network is built with; all None for the port."""

    weight: Any
    bias: Any
    signed: Any
    unsigned: Any


QUANTIZED = Quantizers(
    Int8WeightPerTensorFloat, Int32Bias, Int8ActPerTensorFloat, Uint8ActPerTensorFloat
)
DYNAMIC = Quantizers(Int8WeightPerTensorFloat, None, Int8ActPerTensorFloat, Uint8ActPerTensorFloat)
"""Without a bias quantizer: an integer bias would need one grid for all rows."""

PORT = Quantizers(None, None, None, None)
"""The same graph with every quantizer off: isolates what the port to Brevitas changes."""


class QuantClassifier(nn.Module):
    """What both classifiers share: embedding, input quantizer, LSTM."""

    kind: str
    embedding: Any
    input: Any
    lstm: Any
    dynamic = False
    """Whether every row of activations is quantized over its own range; set by `install`."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, with_: Quantizers) -> None:
        super().__init__()
        on = with_.signed is not None
        self.embedding = qnn.QuantEmbedding(vocabulary, embedding, weight_quant=with_.weight)
        self.input = qnn.QuantIdentity(act_quant=with_.signed, return_quant_tensor=on)
        self.lstm = qnn.QuantLSTM(
            embedding,
            hidden,
            batch_first=True,
            weight_quant=with_.weight,
            bias_quant=with_.bias,
            io_quant=with_.signed,
            gate_acc_quant=with_.signed,
            sigmoid_quant=with_.unsigned,
            tanh_quant=with_.signed,
            cell_state_quant=with_.signed,
        )

    @property
    def input_sites(self) -> tuple[str, ...]:
        """The quantizers that the LSTM's input goes through, in order.

        Without a scale of its own for the hidden state, Brevitas quantizes the input a second
        time, on the hidden state's grid.
        """
        only_output = self.lstm.layers[0][0].quantize_output_only
        return ("input",) if only_output else ("input", "lstm.io")

    def hidden_states(self, ids: Tensor) -> Tensor:
        """Return the (dequantized) hidden states (batch, steps, hidden) of padded ids."""
        states: Tensor = self.lstm(self.input(self.embedding(ids)))[0]
        return states


class QuantDiscriminative(QuantClassifier):
    """p(y|x): mean of the hidden states over real tokens, then a linear layer."""

    kind = "discriminative"
    classifier: Any

    def __init__(
        self, vocabulary: int, labels: int, embedding: int, hidden: int, with_: Quantizers
    ) -> None:
        super().__init__(vocabulary, embedding, hidden, with_)
        self.classifier = qnn.QuantLinear(
            hidden,
            labels,
            bias=True,
            weight_quant=with_.weight,
            bias_quant=with_.bias,
            input_quant=with_.signed,
        )

    def pooled(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean (batch, hidden) of the states over each document's real tokens."""
        steps = torch.arange(states.shape[1], device=states.device)
        real = (steps < lengths[:, None]).to(states.dtype)
        # in float64 the sum does not depend on how far the batch is padded
        total = (states * real[:, :, None]).sum(1, dtype=torch.float64)
        return (total / lengths[:, None]).to(states.dtype)

    def logits(self, pooled: Tensor) -> Tensor:
        """Return logits (batch, labels) of pooled states (batch, hidden)."""
        if self.dynamic:
            read = self.classifier.input_quant(pooled)
            return _linear(self.classifier, read, read.value)
        found: Tensor = self.classifier(pooled)
        return found

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        return self.logits(self.pooled(self.hidden_states(ids), lengths))


class QuantGenerative(QuantClassifier):
    """p(x_t | x_<t, y): the decoder reads [h_t ; v_y]; its output stays float."""

    kind = "generative"
    label_embedding: Any
    decoder: Any
    log_prior: Tensor
    separate_hv = False
    """Whether only h goes through the decoder's input quantizer; set by `install`."""

    def __init__(
        self, vocabulary: int, labels: int, embedding: int, hidden: int, with_: Quantizers
    ) -> None:
        super().__init__(vocabulary, embedding, hidden, with_)
        self.label_embedding = qnn.QuantEmbedding(labels, hidden, weight_quant=with_.weight)
        self.decoder = qnn.QuantLinear(
            2 * hidden,
            vocabulary,
            bias=True,
            weight_quant=with_.weight,
            bias_quant=with_.bias,
            input_quant=with_.signed,
        )
        self.register_buffer("log_prior", torch.zeros(labels))

    def label_vectors(self) -> Tensor:
        """Return the (quantized) label embeddings (labels, hidden)."""
        every = torch.arange(self.label_embedding.num_embeddings, device=self.log_prior.device)
        vectors: Tensor = self.label_embedding(every)
        return vectors

    def decode(self, states: Tensor, label_vector: Tensor) -> Tensor:
        """Return logits (..., vocabulary) for states (..., hidden) under one label's vector.

        With scales of their own, v stays on the grid of the label embedding's weights, and the
        bias is quantized to the product of h's scale and the decoder's.
        """
        repeated = label_vector.expand(*states.shape[:-1], -1)
        if not self.separate_hv:
            logits: Tensor = self.decoder(torch.cat([states, repeated], dim=-1))
            return logits
        h = self.decoder.input_quant(states)
        return _linear(self.decoder, h, torch.cat([h.value, repeated], dim=-1))

    def label_logits(self) -> Tensor:
        """Return the decoder's logits on h = 0 (labels, vocabulary), its weights quantized once."""
        vectors, layer = self.label_vectors(), self.decoder
        nothing = vectors.new_zeros(vectors.shape[1])
        if not layer.weight_quant.is_quant_enabled:
            return torch.stack([self.decode(nothing, vector) for vector in vectors])
        weight = quantized_weight(self, "decoder")
        scales = layer.weight_quant(layer.weight[:, :1])  # of the rows, all that the bias needs
        found = []
        for vector in vectors:
            if self.separate_hv:
                read = layer.input_quant(nothing)
                inputs = torch.cat([read.value, vector])
            else:
                read = layer.input_quant(torch.cat([nothing, vector]))
                inputs = getattr(read, "value", read)
            bias = layer.bias_quant(layer.bias, read, scales)
            found.append(nn.functional.linear(inputs, weight, getattr(bias, "value", bias)))
        return torch.stack(found)

    def decoder_labels(self) -> Tensor:
        """Return the label vectors (labels, hidden) as the decoder's matrix product reads them."""
        vectors = self.label_vectors()
        proxy = self.decoder.input_quant
        if self.separate_hv or not proxy.is_quant_enabled:
            return vectors
        quantized: Tensor = activation_impl(proxy)(vectors)[0]
        return quantized

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return log p(x, y) (batch, labels); the plain path, once through the decoder a label."""
        states = self.hidden_states(ids[:, :-1])
        steps = torch.arange(states.shape[1], device=states.device)
        real = steps < lengths[:, None] - 1
        targets = ids[:, 1:]
        columns = []
        for vector in self.label_vectors():
            log_p = torch.log_softmax(self.decode(states, vector), dim=-1)
            token = log_p.gather(-1, targets[..., None])[..., 0]
            columns.append(torch.where(real, token, torch.zeros_like(token)).sum(1))
        return torch.stack(columns, dim=1) + self.log_prior


def _linear(layer: Any, quantized: Any, inputs: Tensor) -> Tensor:
    """Return a Brevitas linear layer's output for inputs that do not share one scale.

    quantized: the quantized tensor whose scale the bias is quantized with, where it is at all.
    """
    weight = layer.quant_weight()
    bias = layer.bias_quant(layer.bias, quantized, weight)
    return nn.functional.linear(inputs, weight.value, getattr(bias, "value", bias))


def build(kind: str, arrays: Arrays, with_: Quantizers = QUANTIZED) -> QuantClassifier:
    """Return a Brevitas network with the float weights of ``arrays`` (torch state-dict names).

    Torch's gate rows W_ii | W_if | W_ig | W_io go to Brevitas's four gates; the two biases of
    each gate are summed.
    """
    vocabulary, embedding = arrays["embedding.weight"].shape
    hidden = arrays["lstm.weight_hh_l0"].shape[1]
    network: QuantClassifier
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then overwritten
        if kind == "discriminative":
            labels = arrays["classifier.weight"].shape[0]
            network = QuantDiscriminative(vocabulary, labels, embedding, hidden, with_)
        else:
            labels = arrays["label_embedding.weight"].shape[0]
            network = QuantGenerative(vocabulary, labels, embedding, hidden, with_)
    for layer in (network.embedding, getattr(network, "label_embedding", None)):
        if layer is not None and with_.weight is not None:
            # Brevitas cannot look up rows together with one scale a row; the scales are not needed
            layer.weight_quant.skip_create_quant_tensor = True
    with torch.no_grad():
        for name, weight in weight_tensors(network).items():
            weight.copy_(torch.from_numpy(float_weight(arrays, name)))
        for gate, module in gate_modules(network).items():
            bias = arrays["lstm.bias_ih_l0"] + arrays["lstm.bias_hh_l0"]
            module.bias.copy_(torch.from_numpy(_gate_rows(bias, gate)))
        last: Any = getattr(network, linear_name(kind))
        last.bias.copy_(torch.from_numpy(np.asarray(arrays[f"{linear_name(kind)}.bias"])))
        if isinstance(network, QuantGenerative):
            network.log_prior.copy_(torch.from_numpy(np.asarray(arrays["log_prior"])))
    network.requires_grad_(False)  # noqa: FBT003
    network.eval()
    return network


def linear_name(kind: str) -> str:
    """Return the name of the model's linear layer: classifier or decoder."""
    return "classifier" if kind == "discriminative" else "decoder"


def _gate_rows(stacked: NDArray[Any], gate: str) -> NDArray[np.float32]:
    size = stacked.shape[0] // 4
    at = GATES.index(gate) * size
    return np.ascontiguousarray(stacked[at : at + size], dtype=np.float32)


def gate_modules(network: QuantClassifier) -> dict[str, Any]:
    """Return Brevitas's parameters of each LSTM gate, by gate name."""
    layer = network.lstm.layers[0][0]
    return {gate: getattr(layer, f"{gate}_gate_params") for gate in GATES}


def weight_tensors(network: QuantClassifier) -> dict[str, Tensor]:
    """Return every weight matrix by name.

    The gate matrices are ``lstm.weight_<gate>.input`` and ``lstm.weight_<gate>.hidden``; the
    others carry their site's name.
    """
    found: dict[str, Tensor] = {"embedding": network.embedding.weight}
    for gate, module in gate_modules(network).items():
        found[f"lstm.weight_{gate}.input"] = module.input_weight.weight
        found[f"lstm.weight_{gate}.hidden"] = module.hidden_weight.weight
    if isinstance(network, QuantGenerative):
        found["label_embedding"] = network.label_embedding.weight
        found["decoder"] = network.decoder.weight
    elif isinstance(network, QuantDiscriminative):
        found["classifier"] = network.classifier.weight
    return found


def float_weight(arrays: Arrays, name: str) -> NDArray[np.float32]:
    """Return one weight matrix of the float model by the name `weight_tensors` gives it."""
    if name.startswith("lstm."):
        _, which, part = name.split(".")
        key = "lstm.weight_ih_l0" if part == "input" else "lstm.weight_hh_l0"
        return _gate_rows(arrays[key], which.removeprefix("weight_"))
    return np.ascontiguousarray(arrays[f"{name}.weight"], dtype=np.float32)


def site_weight(arrays: Arrays, site: str) -> NDArray[np.float32]:
    """Return the float values behind one weight quantizer (rows, columns).

    A gate's input-to-hidden and hidden-to-hidden matrices stand side by side.
    """
    if site.startswith("lstm."):
        parts = [float_weight(arrays, f"{site}.{part}") for part in ("input", "hidden")]
        return np.concatenate(parts, axis=1)
    return float_weight(arrays, site)


def weight_proxies(network: QuantClassifier) -> dict[str, Any]:
    """Return Brevitas's weight quantizers by weight site."""
    found: dict[str, Any] = {"embedding": network.embedding.weight_quant}
    for gate, module in gate_modules(network).items():
        found[f"lstm.weight_{gate}"] = module.input_weight.weight_quant
    if isinstance(network, QuantGenerative):
        found["label_embedding"] = network.label_embedding.weight_quant
        found["decoder"] = network.decoder.weight_quant
    elif isinstance(network, QuantDiscriminative):
        found["classifier"] = network.classifier.weight_quant
    assert tuple(found) == WEIGHT_SITES[network.kind]
    return found


def activation_proxies(network: QuantClassifier) -> dict[str, Any]:
    """Return Brevitas's activation quantizers by activation site."""
    cell = network.lstm.layers[0][0].cell
    last = linear_name(network.kind)
    found = {
        "input": network.input.act_quant,
        "lstm.io": cell.output_quant,
        **{f"lstm.acc_{gate}": getattr(cell, f"{gate}_acc_quant") for gate in GATES},
        "lstm.sigmoid_input": cell.input_sigmoid_quant,
        "lstm.sigmoid_forget": cell.forget_sigmoid_quant,
        "lstm.tanh_cell": cell.cell_tanh_quant,
        "lstm.sigmoid_output": cell.output_sigmoid_quant,
        "lstm.cell": cell.cell_state_quant,
        "lstm.tanh_hidden": cell.hidden_state_tanh_quant,
        f"{last}.input": getattr(network, last).input_quant,
    }
    assert tuple(found) == ACTIVATION_SITES[network.kind]
    return found


def activation_impl(proxy: Any) -> Any:
    """Return the module that rounds a site's activations (has scaling and bit-width parts)."""
    return proxy.fused_activation_quant_proxy.tensor_quant


def quantized_weight(network: QuantClassifier, name: str) -> Tensor:
    """Return a weight matrix as the forward pass sees it, quantized and dequantized."""
    site = name.rsplit(".", 1)[0] if name.startswith("lstm.") else name
    quantizer, weight = weight_proxies(network)[site].tensor_quant, weight_tensors(network)[name]
    # Brevitas's own operations, one after the other in place: its way takes six times the memory
    _, scale, _, bits = quantizer(weight[:, :1])
    top = 2 ** (int(bits) - 1) - 1
    value: Tensor = (weight.detach() / scale).round_().clamp_(-top, top).mul_(scale)
    return value


def set_weight(network: QuantClassifier, name: str, value: Tensor) -> None:
    """Overwrite a weight matrix, e.g. with values that a rounding scheme chose."""
    with torch.no_grad():
        weight_tensors(network)[name].copy_(value)


Observe = Callable[[str, Tensor], None]
"""Called with a site and the quantizer's dequantized output, once per call of the quantizer."""


def watch(network: QuantClassifier, observe: Observe) -> list[Any]:
    """Call ``observe(site, output)`` at every activation quantizer; returns handles to remove."""

    def hook(site: str) -> Callable[[nn.Module, Any, Any], None]:
        def report(module: nn.Module, inputs: Any, output: Any) -> None:
            observe(site, output[0])

        return report

    return [
        proxy.fused_activation_quant_proxy.register_forward_hook(hook(site))
        for site, proxy in activation_proxies(network).items()
    ]
