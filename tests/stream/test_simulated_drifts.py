"""Drifts drawn from a training text: who comes, what is mistyped, and what never changes."""

from itertools import combinations

import numpy as np
import pytest

from calibkit.corpora.vocabulary import BOS, EOS, UNK
from calibkit.errors import BadInput
from calibkit.identity import keyed_generator
from calibkit.ragged import Ragged
from calibkit.stream.simulated_drifts import (
    NARROWEST,
    SimulatedDrift,
    Simulator,
    draw_drift,
    letters,
    rarity,
)

DOCUMENTS = 200
NUMBER = 1000
"""Ids from here on number the documents, as their last but one token."""

AS_IT_WAS = (1.0, 1.0)


def drawn(name: str = "test") -> np.random.Generator:
    return keyed_generator(0, name)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    """200 documents of 5 to 24 tokens and two labels; each has a token of its own."""
    generator = np.random.default_rng(0)
    bodies = [generator.integers(4, 200, size=2 + row % 20) for row in range(DOCUMENTS)]
    tokens = Ragged.of([np.r_[BOS, b, NUMBER + row, EOS] for row, b in enumerate(bodies)])
    return Simulator.of(tokens, np.arange(DOCUMENTS) % 2)


def rows_of(sample: Ragged) -> list[int]:
    """The documents that a sample is of; -1 where noise has hidden which."""
    numbers = [int(sample[row][-2]) for row in range(len(sample))]
    return [number - NUMBER if number >= NUMBER else -1 for number in numbers]


def test_samples_have_no_document_in_common(simulator):
    found = simulator.samples(SimulatedDrift(AS_IT_WAS), [20, 20, 60], drawn())
    assert [len(sample) for sample in found] == [20, 20, 60]
    rows = [row for sample in found for row in rows_of(sample)]
    assert len(set(rows)) == len(rows) == 100
    for sample in found:
        for row, number in enumerate(rows_of(sample)):
            assert np.array_equal(sample[row], simulator.tokens[number])


def test_the_same_generator_gives_the_same_samples(simulator):
    drift = SimulatedDrift((1.0, 3.0), noise=0.1, share=0.5)
    one, two, other = (
        simulator.samples(drift, [10, 30], drawn(name))[1].ids for name in ("a", "a", "b")
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_labels_come_by_their_weights_in_every_sample(simulator):
    samples = simulator.samples(SimulatedDrift((19.0, 1.0)), [20, 20, 20], drawn())
    for sample in samples:
        assert sum(row % 2 for row in rows_of(sample)) < 7
    only = simulator.samples(SimulatedDrift((0.0, 1.0)), [20, 20], drawn())
    assert all(row % 2 == 1 for sample in only for row in rows_of(sample))


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.4, 1.0)])
def test_a_slice_has_documents_between_its_quantiles_only(simulator, low, high):
    lengths = simulator.tokens.lengths
    for name, column in (("tokens", lengths), ("rarity", rarity(simulator.tokens))):
        drift = SimulatedDrift(AS_IT_WAS, **{name: (low, high)})
        (sample,) = simulator.samples(drift, [40], drawn())
        inside = np.sort(column)[[int(low * DOCUMENTS), int(high * DOCUMENTS) - 1]]
        values = column[rows_of(sample)]
        assert inside[0] <= values.min() <= values.max() <= inside[1]


def test_typing_errors_make_words_unknown_more_often_the_higher_the_level(simulator):
    shares = []
    for level in (0.0, 0.05, 0.15):
        (sample,) = simulator.samples(SimulatedDrift(AS_IT_WAS, noise=level), [100], drawn())
        ends = np.r_[sample.ids[sample.offsets[:-1]], sample.ids[sample.offsets[1:] - 1]]
        assert set(ends.tolist()) == {BOS, EOS}
        shares.append(np.mean(sample.ids == UNK))
    assert shares[0] == 0
    assert 0.05 < shares[1] < shares[2] < 0.6


def test_frequent_words_are_short_and_seldom_hit():
    often, seldom = 5, 6
    tokens = Ragged.of([np.r_[BOS, [often] * 9, seldom, EOS]] * 50)
    found = letters(tokens)
    assert found[often] < found[seldom]
    assert found[BOS] == found[EOS] == found[UNK] == 0
    simulator = Simulator.of(tokens, np.zeros(50, dtype=int))
    (sample,) = simulator.samples(SimulatedDrift((1.0,), noise=0.15), [30], drawn())
    lost = sample.ids == UNK
    assert lost.reshape(30, -1)[:, 10].mean() > 0
    assert lost.reshape(30, -1)[:, 1:10].mean() < lost.reshape(30, -1)[:, 10].mean() + 0.1


def test_documents_that_did_not_drift_are_as_before(simulator):
    drift = SimulatedDrift((1.0, 0.0), noise=0.15, share=0.5)
    (sample,) = simulator.samples(drift, [80], drawn())
    rows = [row for row in rows_of(sample) if row >= 0]
    stayed = [row for row in range(80) if UNK not in sample[row]]
    assert len(stayed) >= 40
    assert {row % 2 for row in rows} == {0, 1}


def test_a_small_text_gives_smaller_samples_in_proportion(simulator):
    few = Simulator.of(simulator.tokens.take(np.arange(20)), np.arange(20) % 2)
    sizes = [len(s) for s in few.samples(SimulatedDrift(AS_IT_WAS), [64, 64, 800], drawn())]
    assert sum(sizes) <= 20
    assert min(sizes) >= 1
    assert sizes[2] > sizes[0]


def test_three_documents_are_enough_for_three_samples(simulator):
    few = Simulator.of(simulator.tokens.take(np.arange(3)), np.array([0, 0, 1]))
    drift = SimulatedDrift((0.0, 1.0), tokens=(0.0, 0.4))
    found = few.samples(drift, [5, 5, 5], drawn())
    assert [len(sample) for sample in found] == [1, 1, 1]


def test_too_few_documents_or_labels_are_refused(simulator):
    for documents, labels in ((1, 1), (5, 4)):
        tokens = simulator.tokens.take(np.arange(documents))
        with pytest.raises(BadInput, match="two documents or more, each with a label"):
            Simulator.of(tokens, np.zeros(labels, dtype=int))


def test_rarity_is_the_mean_of_minus_log_document_shares():
    tokens = Ragged.of([[2, 7, 7, 3], [2, 7, 3], [2, 8, 3], [2, 3]])
    seven, eight = -np.log(2 / 4), -np.log(1 / 4)
    expected = [2 * seven / 4, seven / 3, eight / 3, 0.0]
    assert np.allclose(rarity(tokens), expected)


def test_drawn_drifts_are_of_all_sorts_and_within_their_bounds():
    drifts = [draw_drift(keyed_generator(0, str(n)), 4) for n in range(200)]
    for drift in drifts:
        assert len(drift.weights) == 4
        assert np.isclose(sum(drift.weights), 4)
        assert 0 <= drift.noise <= 0.15
        assert 0.3 <= drift.share <= 1
        for low, high in (drift.tokens, drift.rarity):
            assert 0 <= low < high <= 1
            assert high - low >= NARROWEST - 1e-9
    sorts = [
        [drift.noise > 0 for drift in drifts],
        [max(drift.weights) > 1 for drift in drifts],
        [drift.tokens != (0.0, 1.0) for drift in drifts],
        [drift.rarity != (0.0, 1.0) for drift in drifts],
        [drift.share < 1 for drift in drifts],
    ]
    assert all(0.35 < np.mean(sort) < 0.65 for sort in sorts)
    assert all(np.mean(np.logical_and(a, b)) > 0.1 for a, b in combinations(sorts, 2))
