"""Intervals against simulation; 2,000 studies know a coverage of 95 % to within 1.3 %."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.clustered import Spread, clustered_interval
from calibkit.measure.statistics import t_interval

STUDIES = 2000
SPREADS = {  # standard deviations over float models, over draws, and of the rest
    "draws decide": (0.3, 1.0, 0.3),
    "draws and rest": (0.0, 1.0, 1.0),
    "all alike": (1.0, 1.0, 1.0),
    "models decide": (1.0, 0.3, 0.3),
    "small ones": (0.5, 0.5, 1.0),
}


def simulated(models: int, draws: int, spread: tuple[float, float, float]) -> np.ndarray:
    """Return studies of the true gain 0: (studies, float models, draws)."""
    rng = np.random.default_rng([models, draws, *(int(10 * s) for s in spread)])
    of_model, of_draw, rest = spread
    return (
        of_model * rng.standard_normal((STUDIES, models, 1))
        + of_draw * rng.standard_normal((STUDIES, 1, draws))
        + rest * rng.standard_normal((STUDIES, models, draws))
    )


def coverage(studies: np.ndarray) -> float:
    found = [clustered_interval(study) for study in studies]
    return float(np.mean([one.low <= 0 <= one.high for one in found]))


@pytest.mark.parametrize("draws", [3, 6, 10, 20])
def test_one_float_model_is_covered(draws):
    assert 0.93 <= coverage(simulated(1, draws, (0.0, 1.0, 0.0))) <= 0.97


@pytest.mark.parametrize("draws", [3, 6, 10, 20])
@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
def test_several_float_models_are_covered_whoever_varies(spread, draws):
    assert 0.93 <= coverage(simulated(3, draws, spread)) <= 0.97
    assert 0.93 <= coverage(simulated(5, draws, spread)) <= 0.97


def test_two_float_models_are_covered_at_a_price():
    assert coverage(simulated(2, 10, (1.0, 1.0, 1.0))) >= 0.93


def test_draws_alone_would_promise_too_much_where_models_vary():
    studies = simulated(3, 10, (1.0, 1.0, 1.0))
    by_draw = studies.mean(axis=1)
    low, high = stats.t.interval(0.95, 9, loc=by_draw.mean(1), scale=stats.sem(by_draw, axis=1))
    assert np.mean((low <= 0) & (high >= 0)) < 0.85


@pytest.mark.parametrize("draws", [3, 10])
def test_where_nothing_varies_but_chance_it_is_a_little_wide(draws):
    assert 0.95 <= coverage(simulated(3, draws, (0.0, 0.0, 1.0))) <= 0.99


@given(st.lists(st.integers(-50, 50).map(lambda i: i / 16), min_size=2, max_size=10))
def test_one_float_model_is_students_interval(values):
    found, student = clustered_interval([values]), t_interval(values)
    assert (found.low, found.high, found.sd) == pytest.approx(
        (student.low, student.high, student.sd)
    )
    assert found.df == len(values) - 1


tables = st.tuples(st.integers(2, 4), st.integers(2, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(-50, 50).map(float), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


@given(tables)
def test_order_sign_and_unit_change_nothing_else(table):
    found = clustered_interval(table)
    turned = clustered_interval(np.asarray(table)[::-1, ::-1])
    assert (turned.low, turned.high) == pytest.approx((found.low, found.high))
    mirrored = clustered_interval(-10 * np.asarray(table))
    assert (mirrored.low, mirrored.high) == pytest.approx((-10 * found.high, -10 * found.low))
    assert found.df >= 1 and found.se >= 0


def test_the_mean_squares_are_those_of_the_textbook():
    """Two-way table without repetition (Searle, 1971)."""
    table = np.array([[0.0, 1.0, 2.0], [2.0, 2.0, 5.0], [4.0, 6.0, 5.0]])
    found = clustered_interval(table)
    mean = table.mean()
    of_models = 3 * ((table.mean(1) - mean) ** 2).sum() / 2
    of_draws = 3 * ((table.mean(0) - mean) ** 2).sum() / 2
    rest = ((table - mean) ** 2).sum() - 2 * (of_models + of_draws)
    assert found.spread.rest == pytest.approx(rest / 4)
    assert found.spread.model == pytest.approx((of_models - rest / 4) / 3)
    assert found.se == pytest.approx(np.sqrt((of_models + of_draws - rest / 4) / 9))


def test_the_p_value_takes_float_models_draws_and_both():
    table = np.random.default_rng(4).normal(0.5, 1.0, size=(3, 8))
    found = clustered_interval(table)
    tests = [
        2 * stats.t.sf(found.mean / found.se, found.df),
        stats.ttest_1samp(table.mean(1), 0).pvalue,
        stats.ttest_1samp(table.mean(0), 0).pvalue,
    ]
    assert found.p == pytest.approx(max(tests))
    assert clustered_interval(table[:1]).p == pytest.approx(stats.ttest_1samp(table[0], 0).pvalue)


def test_what_to_expect_of_other_sizes():
    spread = Spread(model=0.0, draw=1.0, rest=0.0)
    assert spread.of_mean(1, 25) == pytest.approx((0.2, 24))
    assert spread.of_mean(3, 25)[0] == pytest.approx(0.2)
    fixed = Spread(model=1.0, draw=0.0, rest=0.0)
    assert fixed.of_mean(4, 1000)[0] == pytest.approx(0.5)  # more draws do not help
    assert clustered_interval(np.full((3, 4), 0.5)).low == 0.5


def test_two_float_models_give_the_wider_of_both_intervals():
    table = np.array([[0.0, 0.1, 0.2, 0.3], [1.0, 1.1, 1.2, 1.3]])
    found = clustered_interval(table)
    low, high = stats.t.interval(0.95, 1, loc=table.mean(), scale=stats.sem(table.mean(1)))
    assert (found.low, found.high, found.df) == pytest.approx((low, high, 1))


def test_what_is_no_table_is_refused():
    assert clustered_interval([[1.0], [2.0]]) is None
    for wrong in ([1.0, 2.0], [[]]):
        with pytest.raises(BadInput, match="shape"):
            clustered_interval(wrong)
    with pytest.raises(BadInput, match="NaN"):
        clustered_interval([[1.0, float("nan")]])
    with pytest.raises(BadInput, match="level"):
        clustered_interval([[1.0, 2.0]], 95)
