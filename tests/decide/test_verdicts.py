"""Verdicts on claims: which side of a bound is established, and how sure, for a family."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.decide.contrast import Paired
from calibkit.decide.verdicts import Evidence, Judged, judge
from calibkit.measure.multiple import holm
from calibkit.recipe import Claim

SWAPPED = {"lower": "higher", "higher": "lower", "equal": "equal"}


def claim(expect: str = "lower", *, by: float = 0.0, within: float = 0.5, **more: object) -> Claim:
    """One about accuracy; ``by`` and ``within`` in points."""
    fields = {
        "id": "it", "says": "It is so.", "measure": "accuracy", "where": {}, "axis": "policy",
        "a": "x", "b": "y", **more,
    }  # fmt: skip
    amount = {"within": within} if expect == "equal" else {"by": by}
    return Claim(expect=expect, **fields, **amount)  # type: ignore[arg-type]


def pairs(gains: list[list[float]], level: float = 0.8) -> tuple[Paired, ...]:
    """Gains as a table, float models by draws; b is spread too."""
    return tuple(
        Paired(m, d, f"a{d}", f"b{d}", level + 0.01 * d + gain, level + 0.01 * d)
        for m, row in enumerate(gains)
        for d, gain in enumerate(row)
    )


def around(mean: float, sd: float, draws: int = 10) -> list[float]:
    """Return draws with exactly this mean and standard deviation."""
    x = np.linspace(-1, 1, draws)
    x = (x - x.mean()) / x.std(ddof=1)
    return [float(v) for v in mean + sd * x]


def evidence(what: Claim, gains: list[list[float]]) -> Evidence:
    given_pairs = pairs(gains)
    return Evidence(what, given_pairs, planned=len(given_pairs))


def one(what: Claim, gains: list[list[float]]) -> Judged:
    (judged,) = judge([evidence(what, gains)])
    return judged


# mean gain of A over B in points, with 10 draws that spread by .1 points
BY_HALF = [(-2.0, "supported"), (-0.2, "contradicted"), (0.0, "contradicted"),
           (1.0, "contradicted"), (-0.5, "undecided"), (-0.53, "undecided")]  # fmt: skip
BY_NOTHING = [(-2.0, "supported"), (-0.2, "supported"), (0.0, "undecided"), (0.2, "contradicted")]
EQUAL = [(0.0, "supported"), (0.3, "supported"), (-0.3, "supported"), (0.5, "undecided"),
         (0.45, "undecided"), (0.9, "contradicted"), (-0.9, "contradicted")]  # fmt: skip


@pytest.mark.parametrize(("mean", "verdict"), BY_HALF)
def test_lower_by_half_a_point(mean, verdict):
    assert one(claim("lower", by=0.5), [around(mean / 100, 0.001)]).verdict == verdict


@pytest.mark.parametrize(("mean", "verdict"), BY_NOTHING)
def test_lower_at_all(mean, verdict):
    assert one(claim("lower"), [around(mean / 100, 0.001)]).verdict == verdict


@pytest.mark.parametrize(("mean", "verdict"), EQUAL)
def test_equal_within_half_a_point(mean, verdict):
    assert one(claim("equal"), [around(mean / 100, 0.001)]).verdict == verdict


def test_a_difference_that_spreads_too_much_is_undecided_either_way():
    for expect in ("lower", "higher", "equal"):
        judged = one(claim(expect, by=0.5), [around(-0.003, 0.02)])
        assert judged.verdict == "undecided"
        assert judged.more.draws is not None and judged.more.draws > 10


@given(
    expect=st.sampled_from(["lower", "higher", "equal"]),
    by=st.sampled_from([0.0, 0.5, 2.0]),
    table=st.lists(
        st.lists(st.integers(-50, 50).map(lambda n: n / 1000), min_size=7, max_size=7),
        min_size=1,
        max_size=3,
    ),
)
def test_exchanging_a_and_b_and_the_expectation_changes_nothing(expect, by, table):
    what = claim(expect, by=by)
    back = dataclasses.replace(what, a="y", b="x", expect=SWAPPED[expect])
    exchanged = tuple(
        Paired(p.model_seed, p.seed, p.subset_b, p.subset_a, p.b, p.a) for p in pairs(table)
    )
    there = one(what, table)
    (again,) = judge([Evidence(back, exchanged, planned=len(exchanged))])
    assert there.verdict == again.verdict
    assert there.gain is not None and again.gain is not None
    assert there.gain.gain == pytest.approx(-again.gain.gain, abs=1e-12)
    assert there.p == pytest.approx(again.p, rel=1e-6)
    assert there.more == again.more


def test_p_is_about_the_bound_and_not_about_zero():
    at_bound = one(claim("lower", by=2.0), [around(-0.02, 0.001)])
    assert at_bound.p == pytest.approx(1.0, abs=0.05)
    assert at_bound.gain is not None and at_bound.gain.p == pytest.approx(2 / 2**10)


def test_equality_has_the_larger_of_two_one_sided_p_values():
    assert one(claim("equal"), [around(0.0, 0.0001)]).p == pytest.approx(1 / 2**10)
    assert one(claim("equal"), [around(0.004, 0.002)]).p == pytest.approx(
        one(claim("lower", by=-0.5), [around(0.004, 0.002)]).p / 2
    )


def test_equality_takes_the_t_tests_too():
    judged = one(claim("equal"), [[0.0049] * 9 + [-0.0049]])  # all inside, most of them barely
    assert judged.p == pytest.approx(1 / 2**10) and judged.verdict == "undecided"
    assert judged.gain is not None and judged.gain.equivalent is False


def test_few_draws_support_nothing_however_alike_they_are():
    for draws in range(1, 6):
        for expect, mean in (("lower", -0.2), ("equal", 0.0)):
            judged = one(claim(expect), [[mean] * draws])
            if expect == "lower" or draws < 5:
                assert judged.verdict == "undecided"
                assert judged.more.draws == (6 if expect == "lower" else 5)
    assert one(claim("lower"), [[-0.2 + 1e-4 * d for d in range(6)]]).verdict == "supported"


def test_holm_is_over_the_family():
    clear, weak = [around(-0.02, 0.001)], [around(-0.0016, 0.002)]
    alone = one(claim(), weak)
    assert alone.verdict == "supported" and 0.03 < alone.p_adjusted == alone.p <= 0.05
    family = [evidence(claim(id=f"c{n}"), clear if n else weak) for n in range(3)]
    judged = judge(family)
    assert [j.verdict for j in judged] == ["supported"] * 3  # the last step of Holm is times 1
    assert [j.p_adjusted for j in judged] == holm([j.p for j in judged if j.p is not None])
    many = judge([evidence(claim(id=f"c{n}"), weak) for n in range(3)])
    assert [j.verdict for j in many] == ["undecided"] * 3
    assert all(j.p_adjusted == pytest.approx(3 * j.p) for j in many if j.p is not None)


def test_families_do_not_see_each_other_and_order_does_not_matter():
    rows = [
        evidence(claim(id=f"{family}-{n}", family=family), [around(-0.001 * n, 0.002)])
        for family in ("one", "two")
        for n in range(1, 4)
    ]
    found = {j.claim.id: j for j in judge(rows)}
    assert found["one-2"].p_adjusted == found["two-2"].p_adjusted
    alone = {j.claim.id: j for j in judge(rows[:3])}
    for order in itertools.islice(itertools.permutations(rows), 0, 720, 97):
        for j in judge(list(order)):
            assert (j.verdict, j.p_adjusted) == (
                found[j.claim.id].verdict, found[j.claim.id].p_adjusted,
            )  # fmt: skip
    assert all(alone[i].p_adjusted == found[i].p_adjusted for i in alone)


def test_claims_without_pairs_count_in_the_family():
    measured = evidence(claim(id="m"), [around(-0.0016, 0.002)])
    missing = Evidence(claim(id="n"), (), planned=10)
    with_gap, gap = judge([measured, missing])
    assert gap.verdict == "undecided" and gap.gain is None and gap.p is None
    assert gap.p_adjusted == 1.0 and not gap.is_measured and with_gap.is_measured
    assert with_gap.verdict == "undecided"
    assert with_gap.p_adjusted == pytest.approx(2 * with_gap.p)


def test_float_models_that_disagree_leave_it_open_and_are_what_it_takes():
    table = [around(mean, 0.0005) for mean in (-0.03, -0.01, 0.004)]
    judged = one(claim("lower"), table)
    assert judged.gain is not None and judged.gain.models == 3
    assert judged.gain.p_flip is not None and judged.gain.p_flip < 0.01  # the draws alone agree
    assert judged.verdict == "undecided"
    assert judged.more.draws is None and judged.more.models is not None
    assert judged.more.models > 3
    agreeing = [around(-0.01 - 0.0005 * m, 0.0005) for m in range(3)]
    assert one(claim("lower"), agreeing).verdict == "supported"


def test_the_draws_that_are_said_to_decide_do():
    for expect, mean in (("lower", -0.007), ("equal", 0.0035)):
        few = one(claim(expect, by=0.5), [around(mean, 0.004, 8)])
        assert few.verdict == "undecided" and few.more.draws is not None
        enough = one(claim(expect, by=0.5), [around(mean, 0.004, few.more.draws)])
        assert enough.verdict == "supported"


def test_more_claims_in_the_family_take_more_draws():
    gains = [around(-0.004, 0.006)]
    needed = [
        judge([evidence(claim(id=f"c{n}"), gains) for n in range(size)])[0].more.draws
        for size in (1, 3, 10)
    ]
    assert None not in needed and needed == sorted(set(needed))


def test_on_the_bound_no_number_of_draws_is_promised():
    judged = one(claim("lower", by=0.5), [around(-0.005, 0.001)])
    assert judged.more.draws is None and judged.more.models is None
    assert one(claim("lower"), [[0.0] * 10]).verdict == "undecided"


@pytest.mark.parametrize("seed", range(6))
def test_p_is_the_largest_of_flips_and_of_t_over_models_and_over_draws(seed):
    rng = np.random.default_rng(seed)
    spreads = [(0.003, 0.0), (0.0, 0.003), (0.001, 0.001)][seed % 3]
    table = -0.01 + rng.normal(0, spreads[0], (3, 1)) + rng.normal(0, spreads[1], (1, 8))
    table = table + rng.normal(0, 0.001, (3, 8))
    judged = one(claim("lower", by=0.5), table.tolist())
    sides = [stats.ttest_1samp(table.mean(axis=axis), -0.005).pvalue for axis in (0, 1)]
    assert judged.gain is not None and judged.p is not None
    assert judged.p >= max(*sides, 2 / 2**8) * (1 - 1e-9)
    together = one(claim("lower", by=0.5), [row.tolist() for row in table[:1]])
    assert together.p == 2 / 2**8  # a single float model: exact flips


@pytest.mark.parametrize("by", [0.5, 1.0, 1.5, 2.0])
def test_numbers_that_stand_on_the_bound_decide_nothing(by):
    """A document of 200 is half a point: as floats, 0.905 - 0.9 is not quite 0.005."""
    exact = [
        Paired(m, d, f"a{d}", f"b{d}", 0.85 + d / 200, 0.85 + d / 200 - by / 100)
        for m in range(3)
        for d in range(10)
    ]
    for expect in ("higher", "equal"):
        what = claim(expect, by=by, within=by)
        (judged,) = judge([Evidence(what, tuple(exact), planned=30)])
        assert judged.verdict == "undecided", expect


def test_a_claim_without_b_is_held_against_zero():
    what = claim("higher", by=1.0, axis=None, a=None, b=None, measure="noise_excess")
    values = tuple(
        Paired(0, d, f"s{d}", "", value, 0.0) for d, value in enumerate(around(0.03, 0.002))
    )
    (judged,) = judge([Evidence(what, values, planned=10)])
    assert judged.verdict == "supported"
    assert judged.gain is not None and math.isclose(judged.gain.gain, 0.03)


@pytest.mark.parametrize("measure", ["nll", "noise_drop"])
def test_lower_and_higher_are_of_the_number_not_of_better_and_worse(measure):
    rising = claim("higher", measure=measure)
    table = [around(0.02, 0.001)]  # A has the higher, which is worse
    given_pairs = pairs(table)
    worse = Evidence(rising, given_pairs, planned=10, higher_is_better=False)
    (judged,) = judge([worse])
    assert judged.verdict == "supported"
    assert judged.gain is not None and judged.gain.wins == 0 and judged.gain.gain > 0
    assert one(claim("lower", measure=measure), table).verdict == "contradicted"


@pytest.mark.parametrize("models", [1, 3])
def test_wrong_verdicts_in_a_family_are_rare(models):
    """Every claim stands on its bound, where a wrong verdict is likeliest."""
    rng = np.random.default_rng(7)
    claims = [claim("lower", by=0.5, id="a"), claim("higher", id="b"), claim("equal", id="c")]
    means = [-0.005, 0.0, 0.005]
    studies, wrong = 100, 0
    for _ in range(studies):
        tables = [
            (mean + rng.normal(0, 0.004, (models, 1)) * (models > 1)
             + rng.normal(0, 0.004, (models, 8))).tolist()
            for mean in means
        ]  # fmt: skip
        found = judge([evidence(c, t) for c, t in zip(claims, tables, strict=True)])
        wrong += any(j.verdict != "undecided" for j in found)
    assert wrong <= 11  # 99.5 % of binomial(100, .05) lie there
