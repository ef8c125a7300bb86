"""The ranges of coalitions are those that the observer would choose for their documents."""

from __future__ import annotations

import numpy as np
import pytest

from calibkit.decide.coalition_ranges import (
    RUNGS,
    Ladder,
    Largest,
    LeastError,
    Quantile,
    SiteWorth,
    error_sums,
    reach_counts,
)
from calibkit.quantize.estimators import Codes, Histogram, mse_threshold, squared_error

CODES = Codes.activation(4, signed=True)


@pytest.fixture(scope="module")
def documents():
    """30 documents of 400 values each, some with wide tails."""
    rng = np.random.default_rng(0)
    widths = np.where(np.arange(30) % 10 == 3, 3.0, 1.0)
    return (rng.standard_t(4, size=(30, 400)) * widths[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def ladder(documents):
    return Ladder(float(np.abs(documents).max()), CODES)


def summed(function, documents):
    return np.array([function(row.astype(np.float64)).sum(axis=0) for row in documents])


def threshold_at(ladder, place):
    return float(np.exp(np.interp(place, np.arange(RUNGS), np.log(ladder.rungs))))


def rules(documents, ladder):
    reach = summed(reach_counts(ladder.rungs), documents)
    errors = summed(error_sums(ladder.rungs, CODES, np.positive), documents)
    tops = ladder.places(np.abs(documents).max(axis=1).astype(np.float64))
    return {
        "largest": Largest(tops),
        "quantile": Quantile(reach, 99.0),
        "error": LeastError(errors),
    }


def test_a_ladder_has_places_for_its_thresholds(ladder):
    assert len(ladder.rungs) == RUNGS and (np.diff(ladder.rungs) > 0).all()
    assert ladder.rungs[0] == pytest.approx(0.01 * ladder.top)
    assert ladder.rungs[-1] == pytest.approx(ladder.top * 8 / 7)  # the highest code is 7 of 8
    assert ladder.places(ladder.rungs) == pytest.approx(np.arange(RUNGS), abs=1e-9)
    assert ladder.places(np.array([0.0, 1e9])).tolist() == [0, RUNGS - 1]


@pytest.mark.parametrize("count", [1, 5, 30])
def test_coalitions_choose_what_estimators_choose_for_their_values(documents, ladder, count):
    order = np.random.default_rng(count).permutation(30)[:count]
    values = documents[order]
    chosen = {
        name: threshold_at(ladder, rule.choose(rule.joined(order[None]))[0, -1])
        for name, rule in rules(documents, ladder).items()
    }
    assert chosen["largest"] == pytest.approx(np.abs(values).max(), rel=1e-6)
    ranked = np.sort(np.abs(values), axis=None)
    assert chosen["quantile"] == pytest.approx(
        ranked[int(np.floor(0.99 * ranked.size + 0.5)) - 1], rel=0.04
    )
    seen = Histogram.of(values.ravel())
    best = mse_threshold(seen, CODES)
    error = squared_error(seen)
    assert error(CODES, chosen["error"]) <= 1.01 * error(CODES, best)


@pytest.mark.parametrize("name", ["largest", "quantile", "error"])
def test_prefixes_do_not_depend_on_who_joined_first(documents, ladder, name):
    rule = rules(documents, ladder)[name]
    rng = np.random.default_rng(3)
    orders = np.array([rng.permutation(30) for _ in range(4)])
    places = rule.choose(rule.joined(orders))
    assert places.shape == (4, 30)
    assert places[:, -1] == pytest.approx(places[0, -1], abs=1e-9)  # sums in another order
    for row, order in enumerate(orders):
        assert rule.choose(rule.alone)[order[0]] == places[row, 0]
        again = np.concatenate([rng.permutation(order[:9]), order[9:]])[None]
        assert rule.choose(rule.joined(again))[0, 8] == pytest.approx(places[row, 8], abs=1e-9)


def test_the_worth_of_a_site_is_the_error_of_the_judged_under_the_range(documents, ladder):
    rule = rules(documents, ladder)["largest"]
    error = squared_error(Histogram.of(documents[:7].ravel()))
    judged = np.array([error(CODES, float(rung)) for rung in ladder.rungs])
    site = SiteWorth("made", rule, judged, 2.0)
    orders = np.arange(30)[None]
    losses = site.loss(orders)[0]
    for count in (1, 12, 30):
        threshold = float(np.abs(documents[:count]).max())
        assert losses[count - 1] == pytest.approx(2 * error(CODES, threshold), rel=0.05)
    assert site.losses_alone()[0] == losses[0]
    half = Largest(np.full(30, 40.0))
    capped = SiteWorth("made", rule, judged, 2.0, half)
    assert capped.loss(orders)[0] == pytest.approx(np.full(30, 2 * judged[40]))
