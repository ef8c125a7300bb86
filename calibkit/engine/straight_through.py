"""A frozen-scale quantized network that gradients go through: the step loop, differentiable.

Forward, the numbers of the network up to the rounding of float32 sums. Backward, a quantizer
passes the gradient on wherever its input is within its range (the straight-through estimator,
Bengio, Leonard & Courville 2013).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.mirror import COLUMNS
from calibkit.engine.plain import next_tokens
from calibkit.engine.quantizers import Quantizer, quantizer_of
from calibkit.models.likelihood import grouped_token_loss
from calibkit.quantize.networks import (
    Arrays,
    QuantGenerative,
    activation_impl,
    activation_proxies,
    linear_name,
    site_weight,
)
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged


class FakeQuantized(torch.autograd.Function):
    """Quantize and dequantize; see the module for the gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: Tensor | float, high: Tensor | float
    ) -> Tensor:
        """Return the nearest values of the grid ``scale`` times ``low`` .. ``high``."""
        units = x / scale
        ctx.save_for_backward((units >= low - 0.5) & (units <= high + 0.5))
        return units.round_().clamp_(low, high).mul_(scale)  # type: ignore[arg-type]

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient where the input was in range, 0 elsewhere."""
        (inside,) = ctx.saved_tensors
        return upstream[0] * inside, None, None, None


def fake_quantized(x: Tensor, scale: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Return ``x`` on a grid, with the straight-through gradient."""
    found: Tensor = FakeQuantized.apply(x, scale, low, high)  # type: ignore[no-untyped-call]
    return found


class StraightThrough:
    """A state's network with float weights behind its codes, which can be trained.

    weights: by site, rounding to the state's codes at first: those of the float model where these
    do, else what the codes stand for. biases: by site.
    """

    def __init__(self, state: IntegerState, arrays: Arrays, scheme: Scheme) -> None:
        network = state.network(arrays, scheme)
        proxies = activation_proxies(network)
        self.kind, self.last = state.kind, linear_name(state.kind)
        self.embedding_width = network.embedding.embedding_dim
        self.input_sites = network.input_sites
        self.own_label_grid = isinstance(network, QuantGenerative) and network.separate_hv
        self.quantizers: dict[str, Quantizer] = {}
        for site, proxy in proxies.items():
            found = quantizer_of(activation_impl(proxy))
            assert isinstance(found, Quantizer)
            self.quantizers[site] = found
        self.scales = {site: torch.from_numpy(s) for site, s in state.weight_scales.items()}
        self.top = {site: float((1 << (scheme.bits_of(site) - 1)) - 1) for site in state.codes}
        self.weights = {site: self._latent(state, arrays, site) for site in state.codes}
        self.biases = {
            site: torch.tensor(bias).requires_grad_() for site, bias in state.biases.items()
        }
        gates = [f"lstm.acc_{gate}" for gate in COLUMNS]
        hidden = len(state.biases["lstm.weight_input"])
        self.accumulator = self._beside(gates, hidden)
        self.sigmoid = self._beside([f"lstm.sigmoid_{gate}" for gate in COLUMNS[:3]], hidden)

    def _beside(self, sites: list[str], width: int) -> Quantizer:
        return Quantizer.beside([self.quantizers[site] for site in sites], width)

    def _latent(self, state: IntegerState, arrays: Arrays, site: str) -> Tensor:
        scale, top = self.scales[site], self.top[site]
        codes = torch.from_numpy(state.codes[site]).to(torch.float32)
        exact = torch.from_numpy(site_weight(arrays, site))
        exact = torch.clamp(exact / scale, -top, top)
        return torch.where(exact.round() == codes, exact, codes).mul_(scale).requires_grad_()

    def parameters(self) -> list[Tensor]:
        """Return all that can be trained."""
        return [*self.weights.values(), *self.biases.values()]

    def codes(self, site: str) -> Tensor:
        """Return the integer codes (rows, columns) int8 that a weight rounds to now."""
        units = (self.weights[site].detach() / self.scales[site]).round_()
        return units.clamp_(-self.top[site], self.top[site]).to(torch.int8)

    def _on(self, site: str, x: Tensor) -> Tensor:
        q = self.quantizers[site]
        return fake_quantized(x, q.scale, q.low, q.high)

    def _weight(self, site: str) -> Tensor:
        return fake_quantized(
            self.weights[site], self.scales[site], -self.top[site], self.top[site]
        )

    def _bias(self, site: str, input_site: str) -> Tensor:
        """Return a bias in whole units of its layer's input and weight steps."""
        bias = self.biases[site]
        unit = self.quantizers[input_site].scale * self.scales[site].reshape(-1)
        return fake_quantized(bias, unit.expand(len(bias)), -(2.0**31), 2.0**31 - 1)

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions."""
        site = "embedding"
        ids = batch.pack(batch.ids[:, :, None])[:, 0]
        words, places = torch.unique(ids, return_inverse=True)
        scale, top = self.scales[site], self.top[site]
        rows = fake_quantized(
            self.weights[site][words], scale[words] if scale.ndim else scale, -top, top
        )
        inputs = rows[places]
        for quantizer in self.input_sites:
            inputs = self._on(quantizer, inputs)
        gates = [self._weight(f"lstm.weight_{gate}") for gate in COLUMNS]
        weight = torch.cat(gates)
        read = self.input_sites[-1]
        bias = torch.cat([self._bias(f"lstm.weight_{gate}", read) for gate in COLUMNS])
        width = weight.shape[1] - self.embedding_width
        products = inputs @ weight[:, : self.embedding_width].T
        recurrent = weight[:, self.embedding_width :].T
        hidden = cell = inputs.new_zeros(batch.active[0], width)
        found, start = [], 0
        acc, sigmoid = self.accumulator, self.sigmoid
        for count in batch.active:
            here = products[start : start + count] + hidden[:count] @ recurrent + bias
            here = fake_quantized(here, acc.scale, acc.low, acc.high)
            opened = torch.sigmoid(here[:, : 3 * width])
            take, forget, show = fake_quantized(
                opened, sigmoid.scale, sigmoid.low, sigmoid.high
            ).chunk(3, dim=1)
            candidate = self._on("lstm.tanh_cell", torch.tanh(here[:, 3 * width :]))
            kept = self._on("lstm.cell", forget * cell[:count])
            cell = self._on("lstm.cell", kept + self._on("lstm.cell", candidate * take))
            squashed = self._on("lstm.tanh_hidden", torch.tanh(cell))
            hidden = self._on("lstm.io", squashed * show)
            found.append(hidden)
            start += count
        return torch.cat(found)

    def classify(self, batch: Batch) -> Tensor:
        """Return a discriminative network's logits (n, labels)."""
        packed = self.states(batch)
        total = packed.new_zeros(len(batch.rows), packed.shape[1], dtype=torch.float64)
        total = total.index_add(0, batch.documents, packed.to(torch.float64))
        pooled = (total / batch.lengths[:, None]).to(packed.dtype)
        read = f"{self.last}.input"
        bias = self._bias(self.last, read)
        return self._on(read, pooled) @ self._weight(self.last).T + bias

    def decoder_input(self, hidden: Tensor) -> Tensor:
        """Return hidden states (positions, hidden) as a generative network's decoder reads them."""
        return self._on(f"{self.last}.input", hidden)

    def decoder(self) -> tuple[Tensor, Tensor]:
        """Return a generative network's weights of h (words, hidden) and logits on h = 0.

        The latter (labels, words) are the label vectors' part and the bias.
        """
        weight, read = self._weight(self.last), f"{self.last}.input"
        vectors = self._weight("label_embedding")
        if not self.own_label_grid:
            vectors = self._on(read, vectors)
        width = weight.shape[1] - vectors.shape[1]
        bias = self._bias(self.last, read)
        return weight[:, :width], vectors @ weight[:, width:].T + bias

    def loss(self, batch: Batch, tokens: Ragged, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of the true labels, or of the true labels' tokens.

        tokens, labels: of all documents, which ``batch.rows`` indexes.
        """
        truth = labels[torch.from_numpy(batch.rows)]
        if self.kind == "discriminative":
            return torch.nn.functional.cross_entropy(self.classify(batch), truth)
        packed = self.decoder_input(self.states(batch))
        own = truth[batch.documents]
        order = torch.argsort(own, stable=True)
        groups = tuple((label, int((own == label).sum())) for label in sorted({*own.tolist()}))
        weight, by_label = self.decoder()
        targets = next_tokens(batch, tokens)[order]
        summed = grouped_token_loss(packed[order], weight, by_label, targets, groups)
        return summed / batch.total
