"""Labels in turn: which label each document of a made subset stands for."""

from __future__ import annotations

import heapq
from collections.abc import Mapping


def in_turn(weights: Mapping[str, float], size: int) -> list[str]:
    """Return ``size`` names so that every beginning of the list is in proportion to ``weights``.

    Equal weights give the names one after the other, again and again; names without weight never
    come. The n-th name is the one with the highest quotient weight / (2 times taken + 1), of equal
    ones the first: the divisor method of Webster (1832) and Sainte-Laguë (1910).
    O(size log names).
    """
    queue = [(-weight, place, name) for place, (name, weight) in enumerate(weights.items())]
    queue = [entry for entry in queue if entry[0] < 0]
    if not queue:
        raise ValueError("in_turn needs at least one positive weight")
    heapq.heapify(queue)
    taken = dict.fromkeys(weights, 0)
    names = []
    for _ in range(size):
        _, place, name = queue[0]
        names.append(name)
        taken[name] += 1
        heapq.heapreplace(queue, (-weights[name] / (2 * taken[name] + 1), place, name))
    return names
