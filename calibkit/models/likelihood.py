"""Token likelihoods of the generative model without one decoder run per label.

The decoder reads [h_t ; v_y], so its logits are W_h h_t + (W_v v_y + b): one product over the
hidden state, shared by all labels, plus one vector of the vocabulary's size per label. Both
functions work in blocks of tokens and never hold the logits of a whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_BLOCK = 256  # tokens whose logits exist at one time
_SPREAD = 60.0  # exp(-60) is far above the smallest float32: the product of exponentials is safe


class StoredGradients(torch.autograd.Function):
    """A sum over tokens, whose gradients to states, weight and biases were found with it.

    Its ``forward`` takes these three and two arguments that have no gradients, and saves the
    gradients for the way back.
    """

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the stored gradients times the gradient of the sum."""
        to_states, to_weight, to_biases = ctx.saved_tensors
        (scale,) = upstream
        return to_states * scale, to_weight * scale, to_biases * scale, None, None


class GroupedTokenLoss(StoredGradients):
    """Sum of token cross-entropies, with its gradients computed in the same pass.

    Exact softmax over the vocabulary. Gradients are formed while a block's probabilities are
    still in memory, which saves keeping and reading the logits of all tokens again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        biases: Tensor,
        targets: Tensor,
        groups: tuple[tuple[int, int], ...],
    ) -> Tensor:
        """Return the summed loss, a scalar.

        states (T, H), weight (V, H), biases (K, V), targets int64 (T,); groups: (label, number of
        tokens) of consecutive runs of tokens of one label, summing to T.
        """
        total = states.new_zeros((), dtype=torch.float64)
        to_states = torch.empty_like(states)
        to_weight = torch.zeros(weight.shape, dtype=weight.dtype, device=weight.device)
        to_biases = torch.zeros_like(biases)
        rows = min(_BLOCK, max(len(states), 1))
        buffer = states.new_empty((rows, len(weight)))
        for label, at in blocks(groups, _BLOCK):
            here = states[at]
            p = buffer[: len(here)]
            torch.addmm(biases[label], here, weight.t(), out=p)
            p.sub_(p.amax(dim=1, keepdim=True))
            wanted = targets[at, None]
            shifted = p.gather(1, wanted)
            mass = p.exp_().sum(dim=1, keepdim=True)
            total += (mass.log() - shifted).sum(dtype=torch.float64)
            p.div_(mass)
            p.scatter_add_(1, wanted, torch.full_like(shifted, -1.0))
            torch.mm(p, weight, out=to_states[at])
            to_weight.addmm_(p.t(), here)
            to_biases[label] += p.sum(dim=0)
        ctx.save_for_backward(to_states, to_weight, to_biases)
        return total.to(states.dtype)


def grouped_token_loss(
    states: Tensor,
    weight: Tensor,
    biases: Tensor,
    targets: Tensor,
    groups: tuple[tuple[int, int], ...],
) -> Tensor:
    """Return sum_t -log p(target_t | h_t, label of t) with gradients; see GroupedTokenLoss."""
    loss: Tensor = GroupedTokenLoss.apply(states, weight, biases, targets, groups)  # type: ignore[no-untyped-call]
    return loss


def label_token_log_probs(
    states: Tensor, weight: Tensor, biases: Tensor, targets: Tensor
) -> Tensor:
    """Return log p(target_t | h_t, y) for every token and every label: float32 (T, K).

    states (T, H), weight (V, H), biases (K, V), targets int64 (T,); no gradients.

    logsumexp_v(a_t + b_y) = m_t + log(exp(a_t - m_t) . exp(b_y)): the sums over the vocabulary of
    all labels are one matrix product. Where the b_y of a model spread over more than 60 nats, so
    that the exponentials could underflow, each label gets its own logsumexp instead.
    """
    found = states.new_empty((len(states), len(biases)))
    top = biases.amax(dim=1)
    spread = float((top - biases.amin(dim=1)).max())
    factors = (biases - top[:, None]).exp().t().contiguous() if spread <= _SPREAD else None
    buffer = states.new_empty((min(_BLOCK, max(len(states), 1)), len(weight)))
    for start in range(0, len(states), _BLOCK):
        stop = min(start + _BLOCK, len(states))
        a = torch.mm(states[start:stop], weight.t(), out=buffer[: stop - start])
        wanted = targets[start:stop]
        gold = a.gather(1, wanted[:, None]) + biases[:, wanted].t()
        if factors is None:
            mass = torch.stack([(a + bias).logsumexp(dim=1) for bias in biases], dim=1)
        else:
            peak = a.amax(dim=1, keepdim=True)
            mass = (a.sub_(peak).exp_() @ factors).log_() + top + peak
        found[start:stop] = gold - mass
    return found


def blocks(groups: tuple[tuple[int, int], ...], size: int) -> Iterator[tuple[int, slice]]:
    """Yield labels and places of at most ``size`` consecutive tokens of one label.

    groups: (label, number of tokens) of consecutive runs.
    """
    start = 0
    for label, count in groups:
        end = start + count
        for first in range(start, end, size):
            yield label, slice(first, min(first + size, end))
        start = end
