import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.measure.multiple import benjamini_hochberg, holm

p_values = st.lists(st.integers(0, 64).map(lambda i: i / 64), max_size=8)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx(
        [0.04, 0.16 / 3, 0.16 / 3, 0.5]
    )
    assert benjamini_hochberg([]) == []


@given(p_values, st.randoms(use_true_random=False))
def test_corrections_go_with_their_p_value_whatever_the_order(p, random):
    places = list(range(len(p)))
    random.shuffle(places)
    for correct in (holm, benjamini_hochberg):
        moved = correct([p[place] for place in places])
        assert moved == pytest.approx([correct(p)[place] for place in places])


@given(p_values)
def test_corrected_values_keep_the_ranking_and_never_fall(p):
    for correct in (holm, benjamini_hochberg):
        found = correct(p)
        assert all(p[i] <= found[i] + 1e-12 and found[i] <= 1 for i in range(len(p)))
        order = np.argsort(p, kind="stable")
        assert (np.diff(np.asarray(found)[order]) >= -1e-12).all()
    assert all(h >= b - 1e-12 for h, b in zip(holm(p), benjamini_hochberg(p), strict=True))


def test_what_is_no_p_value_is_refused():
    for wrong in (1.1, -0.1, float("nan")):
        with pytest.raises(BadInput, match="between 0 and 1"):
            holm([0.5, wrong])
