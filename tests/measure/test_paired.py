import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.measure.paired import paired_difference

counts = st.integers(0, 60)


def pairs(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, gained, lost, neither])
    second = np.repeat([True, False, True, False], [both, gained, lost, neither])
    return first, second


@given(counts, counts, counts, counts)
def test_it_is_the_difference_of_the_accuracies_and_inside_its_interval(a, b, c, d):
    if a + b + c + d == 0:
        return
    first, second = pairs(a, b, c, d)
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(first.mean() - second.mean(), abs=1e-15)
    assert (found.gained, found.lost, found.documents) == (b, c, len(first))
    assert -1 <= found.low <= found.difference <= found.high <= 1
    turned = paired_difference(second, first)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_formula_on_a_table_of_the_literature():
    # 1,600 people asked twice about the prime minister: 794 and 570 stay, 150 and 86 change;
    # Wald's interval, .04 -+ 1.96 * .00955 = (.0213, .0587), moves by the fourth decimal
    found = paired_difference(*pairs(794, 150, 86, 570))
    assert found.difference == pytest.approx(0.04)
    assert (found.low, found.high) == pytest.approx((0.02122, 0.05868), abs=2e-5)


def test_documents_on_which_both_agree_narrow_the_interval():
    few, many = (paired_difference(*pairs(n, 5, 1, n)) for n in (10, 1000))
    assert many.high - many.low < (few.high - few.low) / 20


def test_equal_answers_have_an_interval_of_some_width():
    found = paired_difference(*pairs(98, 0, 0, 0))
    assert found.difference == 0 and found.low == -found.high
    assert found.high == pytest.approx(0.0196, abs=1e-4)


def test_about_95_of_100_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        kind = rng.choice(4, size=80, p=[0.7, 0.12, 0.06, 0.12])
        found = paired_difference(np.isin(kind, [0, 1]), np.isin(kind, [0, 2]))
        held += found.low <= 0.06 <= found.high
    assert 0.94 <= held / 2000 <= 0.97


@pytest.mark.parametrize(("sizes", "level"), [((0, 0), 0.95), ((2, 3), 0.95), ((2, 2), 1.0)])
def test_what_cannot_be_paired_is_refused(sizes, level):
    first, second = (np.ones(n, dtype=bool) for n in sizes)
    with pytest.raises(BadInput, match=r"cannot be paired|level"):
        paired_difference(first, second, level)
