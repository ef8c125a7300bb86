"""How far one decoder's word distributions are from another's, with gradients.

In blocks of tokens, as in `calibkit.models.likelihood`: the logits of a whole batch are never held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calibkit.models.likelihood import StoredGradients, blocks

_BLOCK = 64  # tokens whose logits exist at one time, those of both decoders


@dataclass(frozen=True)
class Words:
    """Where word distributions come from: softmax(weight h_t + biases[label of t]).

    states (T, H), weight (V, H), biases (K, V), float32.
    """

    states: Tensor
    weight: Tensor
    biases: Tensor


class WordDivergence(StoredGradients):
    """Sum of Kullback-Leibler divergences, with its gradients computed in the same pass."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        biases: Tensor,
        teacher: Words,
        groups: tuple[tuple[int, int], ...],
    ) -> Tensor:
        """Return the sum over tokens, a scalar; arguments as in `word_divergence`."""
        total = states.new_zeros((), dtype=torch.float64)
        to_states = torch.empty_like(states)
        to_weight, to_biases = torch.zeros_like(weight), torch.zeros_like(biases)
        rows = min(_BLOCK, max(len(states), 1))
        ours, theirs = states.new_empty((2, rows, len(weight))).unbind()
        for label, at in blocks(groups, _BLOCK):
            here, size = states[at], at.stop - at.start
            p, q = ours[:size], theirs[:size]
            torch.addmm(biases[label], here, weight.t(), out=p)
            torch.addmm(teacher.biases[label], teacher.states[at], teacher.weight.t(), out=q)
            p.sub_(p.amax(dim=1, keepdim=True))
            q.sub_(q.amax(dim=1, keepdim=True))
            ahead = q - p
            p_mass = p.exp_().sum(dim=1, keepdim=True)
            q_mass = q.exp_().sum(dim=1, keepdim=True)
            q.div_(q_mass)
            expected = ahead.mul_(q).sum(dim=1, keepdim=True)
            total += (expected - q_mass.log() + p_mass.log()).sum(dtype=torch.float64)
            slope = p.div_(p_mass).sub_(q)
            torch.mm(slope, weight, out=to_states[at])
            to_weight.addmm_(slope.t(), here)
            to_biases[label] += slope.sum(dim=0)
        ctx.save_for_backward(to_states, to_weight, to_biases)
        return total.to(states.dtype)


def word_divergence(teacher: Words, student: Words, groups: tuple[tuple[int, int], ...]) -> Tensor:
    """Return sum_t KL(teacher's || student's distribution of the word after t) in nats, a scalar.

    Gradients go to the student alone. groups: (label, number of tokens) of consecutive runs of
    tokens of one label, summing to T.
    """
    found: Tensor = WordDivergence.apply(  # type: ignore[no-untyped-call]
        student.states, student.weight, student.biases, teacher, groups
    )
    return found
