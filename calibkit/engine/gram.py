"""Gram matrices of what weight matrices read, float side and quantized side, over a subset."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.engine.batches import BATCH, batches
from calibkit.engine.choice import states_by
from calibkit.engine.fidelity import float_pass_states
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.plain import States
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
from calibkit.quantize.rounding.grams import Labels
from calibkit.quantize.schemes import FloatPass
from calibkit.ragged import Ragged


def linear_gram(
    network: QuantClassifier,
    arrays: Arrays,
    tokens: Ragged,
    *,
    float_pass: FloatPass = "float",
    exact: bool = False,
    batch: int = BATCH,
    floats: States | None = None,
) -> Gram:
    """Return the Gram matrices of the classifier's or decoder's input, in float64.

    float_pass: where the float side comes from; brevitas stands for the pass that Brevitas takes
    for the float model's, see `calibkit.engine.fidelity`. exact: with the float inputs' own second
    moments. floats: gives the float model's hidden states, where they are at hand. The decoder's
    input is [h_t ; v_y] for every position and every label, as at inference; its Gram matrix is put
    together from sums over h and over v.
    """
    model = FloatModel.of(network.kind, arrays)
    proxy = activation_proxies(network)[f"{linear_name(network.kind)}.input"]
    quantize = activation_impl(proxy)
    sums, states = Sums(exact=exact), states_by("auto", network, tokens)
    if float_pass == "brevitas":
        floats = float_pass_states(network)
    floats = model.hidden if floats is None else floats
    with torch.inference_mode():
        for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
            ours, theirs = states(one), floats(one)
            if isinstance(network, QuantDiscriminative):
                ours, theirs = one.mean(ours), one.mean(theirs)
            sums.add(quantize(ours)[0], theirs)
        if not isinstance(network, QuantGenerative):
            return sums.gram()
        assert model.label_vectors is not None
        return sums.beside(network.decoder_labels(), model.label_vectors)


def gate_gram(
    network: QuantClassifier,
    arrays: Arrays,
    tokens: Ragged,
    *,
    exact: bool = False,
    batch: int = BATCH,
    floats: States | None = None,
) -> Gram:
    """Return the Gram matrices of [x_t ; h_(t-1)], which all four LSTM gates read, in float64.

    Over real tokens only; h before the first token is 0. The quantized side is what the network
    has now: its quantized input, and the hidden states under its present weights. exact, floats: as
    in `linear_gram`.
    """
    model = FloatModel.of(network.kind, arrays)
    proxies = activation_proxies(network)
    embedding = quantized_weight(network, "embedding")
    for site in network.input_sites:
        embedding = activation_impl(proxies[site])(embedding)[0]
    sums, states = Sums(exact=exact), states_by("auto", network, tokens)
    floats = model.hidden if floats is None else floats
    with torch.inference_mode():
        for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
            ids = one.pack(one.ids[:, :, None])[:, 0]
            theirs = torch.cat([model.embedding[ids], one.before(floats(one))], dim=1)
            sums.add(torch.cat([embedding[ids], one.before(states(one))], dim=1), theirs)
    return sums.gram()


class Sums:
    """First and second moments of paired inputs (quantized, float), accumulated in float64.

    exact: of the float inputs alone as well.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self.count = 0
        self.exact = exact
        self.sums: list[Tensor] = []

    def add(self, quantized: Tensor, exact: Tensor) -> None:
        """Take in rows (n, columns) of both sides."""
        q, x = quantized.to(torch.float64), exact.to(torch.float64)
        found = [q.T @ q, q.T @ x, q.sum(0), x.sum(0)]
        if self.exact:
            found.append(x.T @ x)
        self.count += len(q)
        if not self.sums:
            self.sums = found
        else:
            for total, more in zip(self.sums, found, strict=True):
                total += more

    def gram(self) -> Gram:
        """Return the matrices as means over the rows seen."""
        assert self.sums
        quantized, mixed, q_mean, x_mean, *exact = (total / self.count for total in self.sums)
        return Gram(quantized, mixed, q_mean, x_mean, exact[0] if exact else None)

    def beside(self, quantized_labels: Tensor, labels: Tensor) -> Gram:
        """Return the matrices of [row ; label vector] over all pairs of rows and labels."""
        rows = self.gram()
        q, x = quantized_labels.to(torch.float64), labels.to(torch.float64)
        q_mean, x_mean = rows.means()
        means, float_means = (q_mean, q.mean(0)), (x_mean, x.mean(0))

        def blocks(
            top_left: Tensor,
            left: tuple[Tensor, Tensor],
            right: tuple[Tensor, Tensor],
            low: Tensor,
        ) -> Tensor:
            upper = torch.cat([top_left, torch.outer(left[0], right[1])], dim=1)
            lower = torch.cat([torch.outer(left[1], right[0]), low], dim=1)
            return torch.cat([upper, lower], dim=0)

        exact = rows.exact
        return Gram(
            blocks(rows.quantized, means, means, q.T @ q / len(q)),
            blocks(rows.mixed, means, float_means, q.T @ x / len(q)),
            torch.cat(means),
            torch.cat(float_means),
            None if exact is None else blocks(exact, float_means, float_means, x.T @ x / len(x)),
            Labels(q, x),
        )
