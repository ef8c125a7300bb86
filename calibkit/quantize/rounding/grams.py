"""What rounding needs to know of a layer's inputs: their second moments and their means."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Labels:
    """Vectors that stand in the last columns of a layer's inputs, each beside every row alike.

    quantized, exact: (labels, width) float64, as the quantized and as the float network has them.
    """

    quantized: Tensor
    exact: Tensor

    def centred(self) -> Labels:
        """Return the same vectors about their means."""
        return Labels(self.quantized - self.quantized.mean(0), self.exact - self.exact.mean(0))


@dataclass(frozen=True)
class Gram:
    """Moments of a layer's inputs over a subset; matrices (columns, columns), means (columns,).

    quantized: H = mean of x_q x_q^T; mixed: G = mean of x_q x^T, where x is the float network's
    input at the same place and x_q the quantized network's. quantized_mean, float_mean: means of
    x_q and x; exact: C = mean of x x^T, which no rounding needs and which makes errors absolute.
    These are None where they were not collected. labels: what the last columns are where they do
    not depend on the others (the decoder's [h ; v]); it saves most of some products. All float64.
    """

    quantized: Tensor
    mixed: Tensor
    quantized_mean: Tensor | None = None
    float_mean: Tensor | None = None
    exact: Tensor | None = None
    labels: Labels | None = None

    def centred(self) -> Gram:
        """Return the same moments about the means: what is left once a bias takes up the means.

        Raises ValueError without means.
        """
        q, x = self.means()
        quantized = self.quantized - torch.outer(q, q)
        # the difference of two equal numbers is 0 up to their rounding, or an input looks alive
        dead = quantized.diagonal() <= ROUNDING * self.quantized.diagonal()
        quantized[dead, :] = 0
        quantized[:, dead] = 0
        mixed = self.mixed - torch.outer(q, x)
        mixed[dead, :] = 0
        exact = None if self.exact is None else self.exact - torch.outer(x, x)
        labels = None if self.labels is None or bool(dead.any()) else self.labels.centred()
        return Gram(quantized, mixed, torch.zeros_like(q), torch.zeros_like(x), exact, labels)

    def errors_times_inputs(self, chosen: Tensor, weight: Tensor) -> Tensor:
        """Return W_q H - W G^T (rows, columns), for W_q ``chosen`` and W ``weight``, both float64.

        Where `labels` are known: with products of the other columns alone, of each label's outputs,
        and of means.
        """
        if self.labels is None:
            return chosen @ self.quantized - weight @ self.mixed.T
        width = self.labels.quantized.shape[1]
        rest = chosen.shape[1] - width
        q, x = (mean[:rest] for mean in self.means())
        found = chosen[:, rest:] @ self.labels.quantized.T - weight[:, rest:] @ self.labels.exact.T
        left = chosen[:, :rest] @ self.quantized[:rest, :rest]
        left -= weight[:, :rest] @ self.mixed[:rest, :rest].T
        left += torch.outer(found.mean(1), q)
        found += (chosen[:, :rest] @ q - weight[:, :rest] @ x)[:, None]
        right = found @ self.labels.quantized / len(self.labels.quantized)
        return torch.cat([left, right], dim=1)

    def halfway(self, other: Gram) -> Gram:
        """Return the means of both sets of moments.

        Raises ValueError without means.
        """
        pairs = zip(self.means(), other.means(), strict=True)
        quantized_mean, float_mean = ((mine + theirs) / 2 for mine, theirs in pairs)
        return Gram(
            (self.quantized + other.quantized) / 2,
            (self.mixed + other.mixed) / 2,
            quantized_mean,
            float_mean,
            self.exact if other.exact is None else other.exact,  # floats know nothing of codes
        )

    def means(self) -> tuple[Tensor, Tensor]:
        """Return the means of the quantized and of the float inputs.

        Raises ValueError where they were not collected.
        """
        if self.quantized_mean is None or self.float_mean is None:
            raise ValueError("these Gram matrices came without the means of the inputs")
        return self.quantized_mean, self.float_mean


ROUNDING = 1e-12
"""A variance below this share of the mean square is float64 rounding, not variance."""


def damped(h: Tensor, share: float) -> Tensor:
    """Return H with ``share`` of its mean diagonal added to the diagonal; dead inputs get 1.

    An input is dead where H_tt = 0; it has no part in the mean, so that the result only scales
    with the power of the inputs.
    """
    diagonal = h.diagonal()
    alive = diagonal > 0
    mean = diagonal[alive].mean() if bool(alive.any()) else diagonal.new_tensor(0.0)
    return h + torch.diag(torch.where(alive, share * mean, torch.ones_like(diagonal)))
