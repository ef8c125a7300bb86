import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.mcnemar import mcnemar

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(answers)
def test_it_is_the_exact_binomial_test_of_the_documents_that_differ(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = mcnemar(first, second)
    gained = int((first & ~second).sum())
    differ = int((first != second).sum())
    expected = stats.binomtest(gained, differ).pvalue if differ else 1.0
    assert found.p == pytest.approx(expected)
    assert found.discordance == pytest.approx(differ / len(pairs))
    assert found.difference.difference == pytest.approx(first.mean() - second.mean())
    turned = mcnemar(second, first)
    assert turned.p == found.p
    assert turned.difference.difference == -found.difference.difference


def test_six_to_none_is_found_and_five_to_none_is_not():
    second = np.zeros(100, dtype=bool)
    assert mcnemar(np.arange(100) < 6, second).p == pytest.approx(2 / 2**6)
    assert mcnemar(np.arange(100) < 5, second).p == pytest.approx(2 / 2**5)
    with pytest.raises(BadInput, match="cannot be paired"):
        mcnemar(second, second[:50])
