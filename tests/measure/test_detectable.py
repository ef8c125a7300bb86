import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibkit.errors import BadInput
from calibkit.measure.detectable import (
    beyond,
    detectable_by_mcnemar,
    detectable_difference,
    draws_for,
    minimal_detectable_difference,
    power_of,
)


@pytest.mark.parametrize("draws", [3, 6, 10, 20])
def test_four_studies_of_five_find_the_detectable_difference(draws):
    """2,000 studies with a true difference as told; 99 % Monte Carlo error of 80 % is 2.3 %."""
    sd = 0.01
    difference = minimal_detectable_difference(sd, draws)
    studies = np.random.default_rng(draws).normal(difference, sd, size=(2000, draws))
    found = stats.ttest_1samp(studies, 0.0, axis=1).pvalue <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=2.576 * math.sqrt(0.16 / 2000))


@given(st.sampled_from([2.0, 2.5, 5.0, 9.0, 19.0, 500.0]), st.floats(-3, 8))
def test_the_non_central_t_is_that_of_scipy(df, distance):
    critical = float(stats.t.ppf(0.975, df))
    assert beyond(critical, df, distance) == pytest.approx(
        stats.nct.sf(critical, df, distance), abs=1e-5
    )


def test_the_detectable_difference_has_the_power_that_was_asked_for():
    for df in (1, 2, 3.7, 19):
        for power in (0.5, 0.8, 0.95):
            found = detectable_difference(0.3, df, power)
            assert power_of(found, 0.3, df) == pytest.approx(power, abs=1e-6)
            assert power_of(-found, 0.3, df) == pytest.approx(power, abs=1e-6)
    assert minimal_detectable_difference(0.1, 1) is None
    assert minimal_detectable_difference(0.0, 5) == 0.0
    with pytest.raises(BadInput, match="power"):
        detectable_difference(1.0, 5, power=0.05)


def test_the_draws_told_are_the_fewest_that_do():
    draws = draws_for(0.01, 0.012)
    assert minimal_detectable_difference(0.012, draws) <= 0.01
    assert minimal_detectable_difference(0.012, draws - 1) > 0.01
    assert draws_for(0.0, 0.01) is None
    assert draws_for(1e-6, 0.01) is None
    assert draws_for(0.01, 0.0) == 2


def test_what_documents_can_tell_apart():
    assert detectable_by_mcnemar(7600, 0.03) == pytest.approx(0.0056, abs=5e-5)
    assert detectable_by_mcnemar(7600, 0.08) == pytest.approx(0.0091, abs=5e-5)
    assert detectable_by_mcnemar(7600, 0.0) == 0.0
    assert detectable_by_mcnemar(10, 0.1) <= 0.1  # no difference exceeds the discordance
    with pytest.raises(BadInput, match="0 documents"):
        detectable_by_mcnemar(0, 0.1)


@pytest.mark.parametrize("discordance", [0.03, 0.08])
def test_the_exact_test_finds_it_almost_as_often(discordance):
    """1,000 pairs of networks on 7,600 documents: the conditional test is a little conservative."""
    rng = np.random.default_rng(1)
    documents, studies = 7600, 1000
    difference = detectable_by_mcnemar(documents, discordance)
    discordant = rng.binomial(documents, discordance, size=studies)
    gained = rng.binomial(discordant, (1 + difference / discordance) / 2)
    fewer = np.minimum(gained, discordant - gained)
    p = np.minimum(2 * stats.binom.cdf(fewer, discordant, 0.5), 1.0)
    assert 0.74 < (p <= 0.05).mean() < 0.83
