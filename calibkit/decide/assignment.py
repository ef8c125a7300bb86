"""Bits per quantizer under a budget, by a greedy search that measures every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from calibkit.decide.budget import Budget, used
from calibkit.decide.targets import Part, Target

Bits = Mapping[str, int]


class HasNll(Protocol):
    """What is told about a measured assignment; the search looks at the nll alone."""

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood."""
        ...


class Measure(Protocol):
    """Measures assignments, each at most once."""

    @property
    def evaluations(self) -> int:
        """How many assignments have been measured."""
        ...

    def known(self, bits: Bits) -> bool:
        """Say whether measuring this assignment takes nothing."""
        ...

    def measure(self, bits: Bits) -> HasNll:
        """Return what an assignment comes to."""
        ...


@dataclass(frozen=True)
class Move:
    """Raising a target by one bit, or as far as the budget allows."""

    target: Target
    how: Literal["step", "leap"]


@dataclass(frozen=True)
class Search:
    """What a search came to.

    bits: the suggestion; path: the assignments from the start, each one move after the last.
    evaluations: schemes measured for it. is_cut: whether it ended at the cap on evaluations, so
    that the budget may not be used up.
    """

    bits: dict[str, int]
    path: tuple[dict[str, int], ...]
    evaluations: int
    is_cut: bool


@dataclass
class Greedy:
    """Raises, again and again, what lowers the nll most for its share of the budget.

    Marginal allocation (Fox, 1966), with the gains measured and not added up: after every move the
    candidates are measured again from where the search stands. Lazily (Minoux, 1978): in the order
    of the gains they had when last measured, until one that was measured now is at least as good
    as all that are left had been. That is exact where gains only shrink as bits are added, and an
    approximation elsewhere.

    A candidate raises one quantizer, or a group, by one bit, or at once to the largest width that
    fits and is at most ``high``: two bits more may do what one bit more does not. Moves without a
    gain are made too, since the next one may have it.

    measure: what measures; budgets: at most one per part, of those parts whose targets move;
    most: evaluations at which the search ends.
    """

    measure: Measure
    targets: Sequence[Target]
    budgets: Mapping[Part, Budget]
    high: int
    most: int
    _last: dict[Move, float] = field(default_factory=dict)

    def run(self, start: Bits) -> Search:
        """Search from an assignment that fits; return the best of those on the way."""
        before = self.measure.evaluations
        limit = before + self.most
        whole = {part: b.most - used(b.sizes, start) for part, b in self.budgets.items()}
        path = [dict(start)]
        is_cut = not self._allowed(start, limit)
        while not is_cut:
            bits, best = path[-1], None
            here = self.measure.measure(bits).nll
            options = sorted(self._options(bits), key=lambda o: -self._last.get(o[0], math.inf))
            for move, raised in options:
                if best is not None and best[0] >= self._last.get(move, math.inf):
                    break
                if not self._allowed(raised, limit):
                    is_cut = True
                    break
                gain = here - self.measure.measure(raised).nll
                budget = self.budgets[move.target.part]
                added = used(budget.sizes, raised) - used(budget.sizes, bits)
                rate = gain * whole[budget.part] / added if gain > 0 else gain
                self._last[move] = rate
                if best is None or rate > best[0]:
                    best = rate, raised
            if best is None:
                break
            if not is_cut or best[0] > 0:
                path.append(best[1])
        measured = [bits for bits in path if self.measure.known(bits)]
        return Search(
            self.best(measured) if measured else dict(start),
            tuple(path),
            self.measure.evaluations - before,
            is_cut,
        )

    def best(self, among: Iterable[Bits]) -> dict[str, int]:
        """Return the measured assignment of lowest nll; of equal ones that with fewest bits."""
        found = min(
            among,
            key=lambda bits: (
                self.measure.measure(bits).nll,
                [used(budget.sizes, bits) for budget in self.budgets.values()],
            ),
        )
        return dict(found)

    def _allowed(self, bits: Bits, limit: int) -> bool:
        return self.measure.known(bits) or self.measure.evaluations < limit

    def _options(self, bits: Bits) -> Iterator[tuple[Move, dict[str, int]]]:
        """Yield the moves that change something and fit, with where they lead."""
        for target in self.targets:
            budget = self.budgets.get(target.part)
            if budget is None:
                continue
            step = {s: bits[s] + 1 for s in target.sites if bits[s] < self.high}
            if not step or not budget.fits({**bits, **step}):
                continue
            yield Move(target, "step"), {**bits, **step}
            for width in range(self.high, min(step.values()), -1):
                leap = {**bits, **{s: max(bits[s], width) for s in target.sites}}
                if budget.fits(leap):
                    if leap != {**bits, **step}:
                        yield Move(target, "leap"), leap
                    break


def uniform(start: Bits, free: Iterable[str], budgets: Mapping[Part, Budget], high: int) -> Bits:
    """Return ``start`` with each part's free quantizers at the one largest width that fits."""
    found = dict(start)
    free = list(free)
    for budget in budgets.values():
        sites = [site for site in budget.sizes if site in free]
        for width in range(high, min((start[s] for s in sites), default=high), -1):
            raised = {**found, **dict.fromkeys(sites, width)}
            if budget.fits(raised):
                found = raised
                break
    return found
