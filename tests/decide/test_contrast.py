"""Pairs of measurements: what is counted, what decides, and how many more draws would."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.decide.contrast import Paired, contrast
from calibkit.errors import BadInput
from calibkit.measure.clustered import clustered_interval
from calibkit.measure.multiple import holm
from calibkit.measure.statistics import sign_flip_p, t_interval


def paired(gains, *, base: float = 0.8) -> list[Paired]:
    """Return pairs of distinct subsets from a table of gains (float models, draws)."""
    return [
        Paired(model, seed, f"a{seed}", f"b{seed}", base + gain, base)
        for model, of_model in enumerate(np.atleast_2d(gains).tolist())
        for seed, gain in enumerate(of_model)
    ]


EIGHTHS = st.integers(-8, 8).map(lambda i: i / 64)
tables = st.tuples(st.integers(1, 3), st.integers(1, 7)).flatmap(
    lambda shape: st.lists(
        st.lists(EIGHTHS, min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


@given(tables)
def test_turning_the_arms_turns_everything(table):
    pairs = paired(table, base=0.5)
    turned = [replace(p, subset_a=p.subset_b, subset_b=p.subset_a, a=p.b, b=p.a) for p in pairs]
    found, other = contrast(pairs), contrast(turned)
    assert other.gain == pytest.approx(-found.gain, abs=1e-12)
    assert (other.p, other.sd, other.detectable) == pytest.approx(
        (found.p, found.sd, found.detectable), nan_ok=True
    )
    if found.low is not None:
        assert (other.low, other.high) == pytest.approx((-found.high, -found.low), abs=1e-12)
    swap = {"better": "worse", "worse": "better"}
    assert other.verdict == swap.get(found.verdict, found.verdict)
    assert (other.a, other.b) == pytest.approx((found.b, found.a))
    assert (other.draws, other.pairs, other.draws_needed) == (
        found.draws, found.pairs, found.draws_needed,
    )  # fmt: skip


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(table, random):
    pairs = paired(table, base=0.5)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert contrast(shuffled) == contrast(pairs)


def test_one_float_model_is_students_interval_and_fishers_test():
    gains = [0.01, 0.02, 0.005, 0.015, 0.012, 0.03]
    found, student = contrast(paired(gains)), t_interval(gains)
    assert (found.gain, found.low, found.high) == pytest.approx(
        (student.mean, student.low, student.high)
    )
    assert found.p == found.p_flip == sign_flip_p(gains) == 2 / 2**6
    assert (found.verdict, found.wins, found.pairs, found.draws, found.models) == (
        "better", 6, 6, 6, 1,
    )  # fmt: skip
    assert (found.a, found.b) == pytest.approx((0.8 + np.mean(gains), 0.8))


def test_seeds_that_compare_the_same_subsets_are_one_draw():
    one = [Paired(0, seed, "fixed", "other", 0.9, 0.8) for seed in range(6)]
    found = contrast(one)
    assert (found.draws, found.pairs, found.wins, found.low, found.verdict) == (
        1, 1, 1, None, "undecided",
    )  # fmt: skip
    against_draws = [
        Paired(0, seed, "fixed", f"r{seed}", 0.9, 0.8 + seed / 99) for seed in range(6)
    ]
    found = contrast(against_draws)
    assert (found.draws, found.draws_a, found.draws_b) == (6, 1, 6)


def test_several_float_models_are_in_the_interval():
    rng = np.random.default_rng(3)
    table = 0.02 + np.array([[-0.02], [0.0], [0.02]]) + rng.normal(0, 0.001, size=(3, 10))
    found, clustered = contrast(paired(table)), clustered_interval(table)
    assert (found.low, found.high, found.df) == pytest.approx(
        (clustered.low, clustered.high, clustered.df)
    )
    assert found.p == pytest.approx(clustered.p)
    assert found.p_flip == 2 / 2**10  # the draws agree, but the float models do not
    assert found.verdict == "undecided" and found.draws_needed is None
    assert found.models_needed > 3
    assert found.bca is None and found.pairs == 30


def test_the_sign_flips_bound_p_also_with_several_float_models():
    table = 0.02 + np.random.default_rng(0).normal(0, 1e-4, size=(3, 4))
    found = contrast(paired(table))
    assert found.p == found.p_flip == 2 / 2**4
    assert found.verdict == "undecided" and found.draws_needed == 6


def test_what_is_not_measured_yet_is_left_out_of_the_table():
    pairs = [p for p in paired(np.full((3, 5), 0.01)) if (p.model_seed, p.seed) != (2, 4)]
    found = contrast(pairs)
    assert (found.models, found.draws, found.pairs, found.left_out) == (3, 4, 12, 2)
    early = [p for p in paired(np.full((3, 6), 0.01)) if p.model_seed == 0 or p.seed == 0]
    found = contrast(early)
    assert (found.models, found.draws, found.left_out) == (1, 6, 2)


def test_no_difference_is_called_the_same_only_when_shown():
    rng = np.random.default_rng(1)
    assert contrast(paired(rng.normal(0.001, 0.001, 6))).verdict == "same"
    assert contrast(paired(rng.normal(0.0, 0.02, 6))).verdict == "undecided"
    gains = rng.normal(0.001, 0.001, 6)
    assert contrast(paired(gains), margin=None).equivalent is None
    assert contrast(paired(gains), margin=0.0005).verdict != "same"
    # a difference that is sure but inside the margin is the same in practice
    small = contrast(paired(np.full(8, 0.002) + np.arange(8) * 1e-5))
    assert small.low > 0 and small.p <= 0.05 and small.verdict == "same"


def test_without_a_margin_the_same_are_those_with_the_very_same_numbers():
    assert contrast(paired([0.0] * 4), margin=None).verdict == "same"
    assert contrast(paired([0.0, 0.0, 0.0, 1e-9]), margin=None).verdict == "undecided"
    assert contrast(paired([0.0]), margin=None).verdict == "undecided"  # one draw says nothing


def test_lower_is_better_where_it_is():
    pairs = paired([-0.02, -0.021, -0.019, -0.022, -0.02, -0.018])
    assert contrast(pairs).verdict == "worse"
    found = contrast(pairs, higher_is_better=False)
    assert (found.verdict, found.wins, found.gain) == ("better", 6, pytest.approx(-0.02))


def test_a_corrected_p_value_decides_and_asks_for_more_draws():
    gains = np.array([0.02, 0.021, 0.019, 0.022, 0.02, 0.018])
    assert contrast(paired(gains)).verdict == "better"
    found = contrast(paired(gains), p_adjusted=20 * 2 / 2**6)
    assert found.verdict == "undecided"
    assert found.draws_needed == 10  # 20 * 2 / 2^10 <= .05


@pytest.mark.parametrize("gain", [0.001, 0.01])
def test_the_draws_that_it_asks_for_do_in_four_studies_of_five(gain):
    """Either finding counts: the difference, or that it is inside the margin."""
    sd, short = 0.012, 4
    z = np.random.default_rng(4).standard_normal(short)
    told = contrast(paired(gain + sd * (z - z.mean()) / z.std(ddof=1))).draws_needed
    assert told is not None and told > short
    rng = np.random.default_rng(6)
    studies = [contrast(paired(rng.normal(gain, sd, told))) for _ in range(300)]
    decided = np.mean([study.verdict in ("better", "same") for study in studies])
    assert 0.7 < decided < 0.95


def test_one_pair_says_how_many_draws_a_test_takes():
    found = contrast(paired([0.1]))
    assert (found.gain, found.low, found.p, found.verdict) == (
        pytest.approx(0.1), None, 1.0, "undecided",
    )  # fmt: skip
    assert found.draws_needed == 6
    with pytest.raises(BadInput, match="no pairs"):
        contrast([])


def test_from_thirty_draws_on_bca_stands_beside_and_from_forty_one_t_decides():
    gains = np.random.default_rng(2).normal(0.01, 0.01, 45)
    assert contrast(paired(gains[:29])).bca is None
    low, high = contrast(paired(gains[:30])).bca
    assert low < gains[:30].mean() < high
    found = contrast(paired(gains))
    assert found.p_flip is None
    assert found.p == pytest.approx(stats.ttest_1samp(gains, 0).pvalue)


FAMILIES = 2000


@pytest.mark.parametrize(("models", "draws"), [(1, 10), (1, 20), (3, 10), (3, 20)])
def test_a_family_without_effects_has_a_false_finding_in_at_most_one_of_twenty(models, draws):
    """Eight comparisons with the same random draws, so dependent; float models differ in gains.

    The 99 % Monte Carlo interval of the family-wise error under Holm reaches .05 or lies below it.
    """
    rng = np.random.default_rng([models, draws])
    wrong = 0
    for _ in range(FAMILIES):
        of_random = rng.standard_normal((1, 1, draws))
        gains = of_random + rng.standard_normal((8, 1, draws))
        gains = gains + rng.standard_normal((8, models, draws))
        if models > 1:
            gains = gains + rng.standard_normal((8, models, 1))
        wrong += min(holm([_p(table) for table in gains])) <= 0.05
    error = wrong / FAMILIES
    assert error - 2.576 * np.sqrt(error * (1 - error) / FAMILIES) <= 0.05


def _p(table: np.ndarray) -> float:
    """Return the p value that ``contrast`` decides by, without the rest of its work."""
    if len(table) == 1:
        return sign_flip_p(table[0].tolist())
    found = clustered_interval(table)
    if found.p > 0.05:  # no family finds it, whatever flips say
        return found.p
    return max(sign_flip_p(table.mean(axis=0).tolist()), found.p)


def test_the_simulated_p_value_is_the_one_that_decides():
    rng = np.random.default_rng(9)
    for models in (1, 3):
        table = rng.normal(0.01, 0.01, size=(models, 8))
        told = contrast(paired(table)).p
        assert _p(table) == pytest.approx(told) or (told > 0.05 and _p(table) > 0.05)
