"""What the generative model writes: drawn as its probabilities say, the same however it is run."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from calibkit.errors import BadInput
from calibkit.models.checkpoints import from_arrays
from calibkit.models.writing import BOS, EOS, UNK, drawn, write

WORDS = 6
"""Types beside the four specials."""


@pytest.fixture(scope="module")
def model(make_model):
    """Three labels, ten ids, decided opinions."""
    made = make_model("generative", vocabulary=WORDS + 4, labels=3, hidden=8, seed=3)
    network = from_arrays(made.arrays, made.config)
    with torch.no_grad():
        network.decoder.weight.mul_(2.5)
        network.decoder.bias.mul_(0.3)
    return network


@pytest.fixture(scope="module")
def large(make_model):
    """Three labels, and a vocabulary of several blocks that do not come out even."""
    made = make_model("generative", vocabulary=500, labels=3, hidden=16, seed=1)
    return from_arrays(made.arrays, made.config)


def next_token(model, label, text, *, temperature=1.0, top_p=1.0):
    """p(next | <bos> text, label) by the network's own forward pass, in double precision."""
    ids = torch.tensor([[BOS, *text, EOS]])
    with torch.no_grad():
        logits = model(ids, torch.tensor([label]))[0, len(text)].double()
    logits[: UNK + 1] = logits[BOS] = -torch.inf
    if not text:
        logits[EOS] = -torch.inf
    p = (logits / temperature).softmax(dim=0).numpy()
    return nucleus(p, top_p)


def nucleus(p, top_p):
    """The shortest beginning of the sorted probabilities with a sum of top_p or more."""
    order = sorted(range(len(p)), key=lambda token: (-p[token], token))
    kept, total = [], 0.0
    for token in order:
        if total >= top_p:
            break
        kept.append(token)
        total += p[token]
    found = np.zeros(len(p))
    found[kept] = p[kept] / p[kept].sum()
    return found


def of_one_label(model, label, documents, **settings):
    found = write(model, np.full(documents, label), range(documents), **settings)
    return [tuple(found[row][1:-1].tolist()) for row in range(documents)]


def assert_drawn_from(counts, probabilities, draws):
    """A chi-square test at 1e-4, rare events together; and nothing impossible happened."""
    assert set(counts) <= {key for key, p in probabilities.items() if p > 0}
    often = {key for key, p in probabilities.items() if p * draws >= 5}
    rest = sum(p for key, p in probabilities.items() if key not in often) * draws
    seen = [counts[key] for key in often]
    expected = [probabilities[key] * draws for key in often]
    if rest > 0:
        seen, expected = [*seen, draws - sum(seen)], [*expected, rest]
    statistic = sum((a - b) ** 2 / b for a, b in zip(seen, expected, strict=True))
    assert len(seen) == 1 or statistic < chi2.isf(1e-4, len(seen) - 1)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.6}, {"top_p": 0.8}], ids=str)
@pytest.mark.parametrize("label", [0, 2])
def test_whole_documents_have_the_probability_of_the_model(model, label, settings):
    """Every document of one or two tokens, and the beginnings of longer ones."""
    draws = 3_000
    texts = of_one_label(model, label, draws, most_tokens=3, **settings)
    probabilities = {}
    first = next_token(model, label, (), **settings)
    for one in range(4, WORDS + 4):
        second = next_token(model, label, (one,), **settings)
        probabilities[one,] = first[one] * second[EOS]
        for two in range(4, WORDS + 4):
            p = first[one] * second[two]
            third = next_token(model, label, (one, two), **settings) if p else second
            probabilities[one, two] = p * third[EOS]
            probabilities |= {(one, two, w): p * third[w] for w in range(4, WORDS + 4)}
    assert sum(probabilities.values()) == pytest.approx(1)
    assert_drawn_from(Counter(texts), probabilities, draws)


def test_labels_write_differently(model):
    """Each label's first tokens fit its own distribution and no other's."""
    draws = 2_000
    for label, other in product(range(3), range(3)):
        first = Counter(text[0] for text in of_one_label(model, label, draws, most_tokens=1))
        expected = dict(enumerate(next_token(model, other, ())))
        if label == other:
            assert_drawn_from(first, expected, draws)
        else:
            with pytest.raises(AssertionError):
                assert_drawn_from(first, expected, draws)


@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.75, 0.95])
def test_exactly_the_nucleus_is_drawn(model, top_p):
    for label in range(3):
        expected = next_token(model, label, (), top_p=top_p)
        texts = of_one_label(model, label, 1_500, most_tokens=1, top_p=top_p)
        seen = {text[0] for text in texts}
        assert seen == set(np.flatnonzero(expected).tolist())
        assert_drawn_from(Counter(t[0] for t in texts), dict(enumerate(expected)), 1_500)


def test_as_the_temperature_falls_the_likeliest_token_is_always_drawn(large):
    found = write(large, np.arange(6) % 3, range(6), most_tokens=12, temperature=1e-6)
    for row in range(6):
        text = found[row][1:-1].tolist()
        for place, token in enumerate(text):
            assert token == next_token(large, row % 3, text[:place]).argmax()
    likeliest = write(large, np.arange(6) % 3, range(6), most_tokens=12, top_p=1e-9)
    assert likeliest.ids.tolist() == found.ids.tolist()


def test_a_document_depends_on_its_label_and_seed_alone(large):
    """Not on the batch, the others in it, their order, or the number of threads."""
    labels, seeds = np.arange(90) % 3, [1000 + 7 * i for i in range(90)]
    how = {"most_tokens": 25, "top_p": 0.9}
    whole = write(large, labels, seeds, **how)
    order = np.random.default_rng(0).permutation(90)
    threads = torch.get_num_threads()
    for batch, count in ((1, 1), (7, 2), (90, 4), (200, 1)):
        torch.set_num_threads(count)
        some = order[: 12 if batch == 1 else 90]
        found = write(large, labels[some], [seeds[i] for i in some], batch=batch, **how)
        for row, original in enumerate(some):
            assert found[row].tolist() == whole[original].tolist()
    torch.set_num_threads(threads)
    again = write(large, (labels + 1) % 3, seeds, **how)
    assert sum(again[i].tolist() == whole[i].tolist() for i in range(90)) < 5


def test_documents_are_wrapped_and_hold_words_alone(large):
    found = write(large, np.arange(300) % 3, range(300), most_tokens=9)
    assert len(found) == 300
    for row in range(300):
        document = found[row].tolist()
        assert (document[0], document[-1]) == (BOS, EOS)
        assert 1 <= len(document) - 2 <= 9
        assert min(document[1:-1]) > EOS
    assert {9} < set((found.lengths - 2).tolist())
    short = write(large, np.arange(300) % 3, range(300), most_tokens=4)
    for row in range(300):
        assert short[row][1:-1].tolist() == found[row][1:-1].tolist()[:4]
    assert len(write(large, np.zeros(0, dtype=int), [], most_tokens=9)) == 0


@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=300).filter(any),
    st.floats(0.01, 1.0),
    st.integers(0, 2**32),
)
def test_a_column_is_drawn_from_the_nucleus_of_any_row(weights, top_p, seed):
    """Whole numbers of any size, zeros and ties among them."""
    total = sum(weights)
    order = sorted(range(len(weights)), key=lambda column: (-weights[column], column))
    before, inside = 0, set()
    for column in order:
        if before < top_p * total and weights[column]:
            inside.add(column)
        before += weights[column]
    rows = torch.tensor([weights] * 3, dtype=torch.float64)
    found = drawn(rows, top_p, [np.random.default_rng([seed, row]) for row in range(3)])
    assert set(found) <= inside


def test_ties_at_the_edge_of_the_nucleus_go_to_the_lowest_ids():
    rows = torch.tensor([[2.0, 5, 2, 2, 2, 2]] * 400, dtype=torch.float64)
    generators = [np.random.default_rng(row) for row in range(400)]
    assert set(drawn(rows, 0.6, generators)) == {0, 1, 2}  # 5 + 2 + 2 of 15 is 0.6


class Fixed:
    """A generator that gives the same uniform number."""

    def __init__(self, uniform):
        self.uniform = uniform

    def random(self):
        return self.uniform


def test_the_ends_of_a_row_can_be_drawn():
    rows = torch.zeros((2, 400), dtype=torch.float64)
    rows[:, 3] = rows[:, 256] = 2.0**50
    assert drawn(rows, 1.0, [Fixed(0.0), Fixed(np.nextafter(1.0, 0.0))]) == [3, 256]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature: 0.0 is not allowed; give a number above 0"),
        ({"temperature": float("nan")}, "temperature: nan"),
        ({"top_p": 0.0}, "top_p: 0.0 is not allowed; give a number above 0, up to 1"),
        ({"top_p": 1.01}, "top_p: 1.01"),
        ({"most_tokens": 0}, "most_tokens: 0 is not allowed; give 1 or more"),
        ({"labels": np.array([0, 3])}, "labels run from 0 to 3; the model has 0 to 2"),
        ({"labels": np.array([0])}, "1 labels for 2 seeds; give one each"),
    ],
)
def test_what_cannot_be_written_is_told(model, settings, message):
    how = {"labels": np.array([0, 1]), "seeds": [0, 1], "most_tokens": 5, **settings}
    with pytest.raises(BadInput) as caught:
        write(model, how.pop("labels"), how.pop("seeds"), **how)
    assert message in str(caught.value)
