"""The search for bits: on functions that are known, so that the best answer is known too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.decide.assignment import Greedy, uniform
from calibkit.decide.budget import Budget, mean_bits, used
from calibkit.decide.targets import Target
from calibkit.errors import BadInput

SITES = ("a", "b", "c")
LOW, HIGH = 3, 8


@dataclass
class Told:
    """Measures by a function; counts what it is asked."""

    nll: Callable[[Mapping[str, int]], float]
    seen: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def evaluations(self) -> int:
        return len(self.seen)

    def known(self, bits: Mapping[str, int]) -> bool:
        return tuple(bits.values()) in self.seen

    def measure(self, bits: Mapping[str, int]) -> SimpleNamespace:
        if not self.known(bits):
            self.seen.append(tuple(bits.values()))
        return SimpleNamespace(nll=self.nll(bits))


def budget(sizes: Mapping[str, int], mean: float | None) -> Budget:
    ends = (dict.fromkeys(sizes, LOW), dict.fromkeys(sizes, HIGH))
    return Budget.of("weights", sizes, mean, *ends)


def singles(sites=SITES, part="weights") -> list[Target]:
    return [Target(site, part, (site,)) for site in sites]


def search(nll, sizes, mean, *, most=1000, targets=None, measure=None):
    greedy = Greedy(
        measure or Told(nll),
        targets or singles(sizes),
        {"weights": budget(sizes, mean)},
        HIGH,
        most,
    )
    return greedy.run(dict.fromkeys(sizes, LOW))


weights = st.lists(st.integers(1, 40), min_size=3, max_size=3)
sizes = st.lists(st.integers(1, 500), min_size=3, max_size=3).map(
    lambda n: dict(zip(SITES, n, strict=True))
)
means = st.integers(30, 80).map(lambda tenths: tenths / 10)


def losses(scale: list[int], decay: float = 0.5) -> Callable[[Mapping[str, int]], float]:
    """Each site's loss shrinks by the same factor with every bit, so gains only shrink."""
    return lambda bits: sum(s * decay ** bits[site] for s, site in zip(scale, SITES, strict=True))


# ------------------------------------------------------------------------------------ the budget


@given(sizes, means)
def test_a_budget_is_the_largest_whole_number_of_bits_that_keeps_the_mean(sizes, mean):
    found = budget(sizes, mean)
    total = sum(sizes.values())
    exact = Fraction(str(mean))
    assert Fraction(found.most, total) <= exact < Fraction(found.most + 1, total)


def test_a_budget_means_what_is_written():
    assert budget({"a": 10}, 4.1).most == 41  # 4.1 * 10 is 40.99... in binary fractions
    assert budget({"a": 3, "b": 1}, None).most == 16  # one bit more than all at LOW


@pytest.mark.parametrize("mean", [2.9, 8.1, -1.0, float("nan"), float("inf")])
def test_a_budget_outside_of_what_can_be_is_refused(mean):
    with pytest.raises(BadInput, match=r"--budget .*: the schemes .* have 3 to 8 bits per weight"):
        budget({"a": 3, "b": 1}, mean)


def test_a_refused_budget_of_activations_is_called_so():
    ends = ({"a": LOW}, {"a": HIGH})
    with pytest.raises(BadInput, match=r"--activation-budget 2: .* per activation value"):
        Budget.of("activations", {"a": 7}, 2.0, *ends)


# ------------------------------------------------------------------------------------ the search


@given(weights, sizes, means, st.integers(0, 40))
def test_no_assignment_on_the_way_exceeds_the_budget_or_the_cap(scale, sizes, mean, most):
    measure = Told(losses(scale))
    found = search(None, sizes, mean, most=most, measure=measure)
    assert found.evaluations == measure.evaluations <= most
    limit = Fraction(str(mean))
    for bits in (*found.path, found.bits):
        assert Fraction(used(sizes, bits), sum(sizes.values())) <= limit
        assert all(LOW <= width <= HIGH for width in bits.values())
        assert mean_bits(sizes, bits) <= mean
    for before, after in itertools.pairwise(found.path):
        assert used(sizes, after) > used(sizes, before)
    if not found.is_cut:  # not one more bit fits
        last = found.path[-1]
        spare = budget(sizes, mean).most - used(sizes, last)
        assert all(sizes[s] > spare for s in SITES if last[s] < HIGH)


@given(weights, means, st.sampled_from([0.3, 0.5, 0.7]))
def test_with_shrinking_gains_and_equal_sizes_it_is_the_best_there_is(scale, mean, decay):
    """Marginal allocation is optimal there (Fox, 1966)."""
    nll, sizes = losses(scale, decay), dict.fromkeys(SITES, 1)
    found = search(nll, sizes, mean)
    every = [
        dict(zip(SITES, bits, strict=True)) for bits in itertools.product(range(3, 9), repeat=3)
    ]
    best = min(nll(bits) for bits in every if budget(sizes, mean).fits(bits))
    assert nll(found.bits) == pytest.approx(best, rel=1e-12)


def test_gains_count_by_the_bits_they_take():
    # b gains a little more than a, for a hundred times the weights
    def nll(bits):
        return 1.0 * (bits["a"] < 4) + 1.1 * (bits["b"] < 4)

    found = search(nll, {"a": 1, "b": 100}, 3.95, targets=singles(("a", "b")))
    assert found.bits == {"a": 4, "b": 3}


def test_a_site_that_only_gains_by_several_bits_at_once_is_found():
    found = search(lambda bits: float(bits["b"] < 7), dict.fromkeys(SITES, 1), 4.5)
    assert found.bits["b"] >= 7


def test_sites_that_only_gain_together_are_found_as_a_group():
    pair = Target("pair", "weights", ("a", "c"))

    def nll(bits):
        return float(min(bits["a"], bits["c"]) < 5)

    together = search(nll, dict.fromkeys(SITES, 1), 4.4, targets=[*singles(), pair])
    assert min(together.bits["a"], together.bits["c"]) >= 5


def test_what_was_best_on_the_way_is_suggested_not_what_came_last():
    # every bit of c does harm, and it is all that still fits after a
    def nll(bits):
        return 10 * 0.5 ** bits["a"] + 0.1 * bits["c"]

    found = search(nll, {"a": 1, "c": 1}, 8.0, targets=singles(("a", "c")))
    assert found.bits == {"a": 8, "c": 3}
    assert found.path[-1] == {"a": 8, "c": 8}


def test_of_equal_assignments_the_smallest_is_suggested():
    found = search(lambda bits: 1.0, dict.fromkeys(SITES, 1), 6.0)
    assert found.bits == dict.fromkeys(SITES, LOW)


def test_the_cap_is_told_and_what_was_found_until_then_is_kept():
    def nll(bits):
        return sum(0.5**width for width in bits.values())

    whole = search(nll, dict.fromkeys(SITES, 1), 8.0)
    short = search(nll, dict.fromkeys(SITES, 1), 8.0, most=10)
    assert not whole.is_cut and whole.bits == dict.fromkeys(SITES, HIGH)
    assert short.is_cut and short.evaluations == 10
    assert nll(short.bits) < nll(dict.fromkeys(SITES, LOW))


def test_most_candidates_are_not_measured_again():
    """Six candidates a step and fifteen steps; most of them keep behind the best one."""
    scale = {"a": 1.0, "b": 100.0, "c": 10_000.0}

    def nll(bits):
        return sum(scale[site] * 0.25 ** bits[site] for site in SITES)

    measure = Told(nll)
    found = search(None, dict.fromkeys(SITES, 1), 8.0, measure=measure)
    assert found.bits == dict.fromkeys(SITES, HIGH)
    assert measure.evaluations < 45


def test_parts_have_budgets_of_their_own():
    own = {"w": "weights", "x": "activations"}
    targets = [Target(site, part, (site,)) for site, part in own.items()]
    ends = ({"w": LOW, "x": LOW}, {"w": HIGH, "x": HIGH})
    budgets = {
        "weights": Budget.of("weights", {"w": 10}, 4.0, *ends),
        "activations": Budget.of("activations", {"x": 1000}, 6.0, *ends),
    }
    measure = Told(lambda bits: 1 / bits["w"] + 1 / bits["x"])
    found = Greedy(measure, targets, budgets, HIGH, 100).run(ends[0])
    assert found.bits == {"w": 4, "x": 6}
    only = Greedy(measure, targets, {"weights": budgets["weights"]}, HIGH, 100).run(ends[0])
    assert only.bits == {"w": 4, "x": LOW}


@given(sizes, means)
def test_equal_widths_are_as_wide_as_the_budget_allows(sizes, mean):
    one = budget(sizes, mean)
    found = uniform(dict.fromkeys(sizes, LOW), SITES, {"weights": one}, HIGH)
    (width,) = set(found.values())
    assert width == int(mean)
    fixed = dict.fromkeys(sizes, LOW) | {"a": HIGH}
    if one.fits(fixed):
        kept = uniform(fixed, ("b", "c"), {"weights": one}, HIGH)
        assert kept["a"] == HIGH and kept["b"] == kept["c"] and one.fits(kept)
