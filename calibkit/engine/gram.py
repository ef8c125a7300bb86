"""Gram matrices of what weight matrices read, float side and quantized side, over a subset."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.engine.batches import BATCH, batches
from calibkit.engine.choice import states_by
from calibkit.engine.fidelity import float_pass_states
from calibkit.engine.float_pass import FloatModel
from calibkit.quantize.networks import (
    Arrays,
    QuantClassifier,
    QuantDiscriminative,
    QuantGenerative,
    activation_impl,
    activation_proxies,
    linear_name,
    quantized_weight,
)
from calibkit.quantize.rounding import Gram
from calibkit.quantize.schemes import FloatPass
from calibkit.ragged import Ragged


def linear_gram(
    network: QuantClassifier,
    arrays: Arrays,
    tokens: Ragged,
    *,
    float_pass: FloatPass = "float",
    batch: int = BATCH,
) -> Gram:
    """Return the Gram matrices of the classifier's or decoder's input, in float64.

    float_pass: where the float side comes from; brevitas stands for the pass that Brevitas takes
    for the float model's, see `calibkit.engine.fidelity`. The decoder's input is [h_t ; v_y] for
    every position and every label, as at inference; its Gram matrix is put together from sums
    over h and over v.
    """
    model = FloatModel.of(network.kind, arrays)
    proxy = activation_proxies(network)[f"{linear_name(network.kind)}.input"]
    quantize = activation_impl(proxy)
    sums, states = Sums(), states_by("auto", network, tokens)
    floats = float_pass_states(network) if float_pass == "brevitas" else model.hidden
    with torch.inference_mode():
        for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
            inexact, exact = states(one), floats(one)
            if isinstance(network, QuantDiscriminative):
                inexact, exact = one.mean(inexact), one.mean(exact)
            sums.add(quantize(inexact)[0], exact)
        if not isinstance(network, QuantGenerative):
            return sums.gram()
        assert model.label_vectors is not None
        return sums.beside(network.decoder_labels(), model.label_vectors)


def gate_gram(
    network: QuantClassifier, arrays: Arrays, tokens: Ragged, *, batch: int = BATCH
) -> Gram:
    """Return the Gram matrices of [x_t ; h_(t-1)], which all four LSTM gates read, in float64.

    Over real tokens only; h before the first token is 0. The quantized side is what the network
    has now: its quantized input, and the hidden states under its present weights.
    """
    model = FloatModel.of(network.kind, arrays)
    proxies = activation_proxies(network)
    embedding = quantized_weight(network, "embedding")
    for site in network.input_sites:
        embedding = activation_impl(proxies[site])(embedding)[0]
    sums, states = Sums(), states_by("auto", network, tokens)
    with torch.inference_mode():
        for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
            ids = one.pack(one.ids[:, :, None])[:, 0]
            exact = torch.cat([model.embedding[ids], one.before(model.hidden(one))], dim=1)
            sums.add(torch.cat([embedding[ids], one.before(states(one))], dim=1), exact)
    return sums.gram()


class Sums:
    """First and second moments of paired inputs (quantized, float), accumulated in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.quantized: Tensor | None = None

    def add(self, quantized: Tensor, exact: Tensor) -> None:
        """Take in rows (n, columns) of both sides."""
        q, x = quantized.to(torch.float64), exact.to(torch.float64)
        found = (q.T @ q, q.T @ x, q.sum(0), x.sum(0))
        self.count += len(q)
        if self.quantized is None:
            self.quantized, self.mixed, self.q_sum, self.x_sum = found
        else:
            self.quantized += found[0]
            self.mixed += found[1]
            self.q_sum += found[2]
            self.x_sum += found[3]

    def gram(self) -> Gram:
        """Return the matrices as means over the rows seen."""
        assert self.quantized is not None
        n = self.count
        return Gram(self.quantized / n, self.mixed / n, self.q_sum / n, self.x_sum / n)

    def beside(self, quantized_labels: Tensor, labels: Tensor) -> Gram:
        """Return the matrices of [row ; label vector] over all pairs of rows and labels."""
        rows = self.gram()
        q, x = quantized_labels.to(torch.float64), labels.to(torch.float64)
        q_mean, x_mean = self.q_sum / self.count, self.x_sum / self.count

        def blocks(top_left: Tensor, outer: tuple[Tensor, Tensor], low: Tensor) -> Tensor:
            left, right = outer
            upper = torch.cat([top_left, torch.outer(q_mean, right)], dim=1)
            lower = torch.cat([torch.outer(q.mean(0), left), low], dim=1)
            return torch.cat([upper, lower], dim=0)

        return Gram(
            blocks(rows.quantized, (q_mean, q.mean(0)), q.T @ q / len(q)),
            blocks(rows.mixed, (x_mean, x.mean(0)), q.T @ x / len(q)),
            torch.cat([q_mean, q.mean(0)]),
            torch.cat([x_mean, x.mean(0)]),
        )
