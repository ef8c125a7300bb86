"""Generators: what they promise, what they make, and what they are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.noise import noise_kinds
from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.policies import (
    Draw,
    Generator,
    NewDocument,
    NoiseMix,
    Policy,
    PoolDocument,
    RandomTokens,
    SelfCalibration,
    find_policy,
    make,
    make_policy,
    policy_names,
    select,
)
from calibkit.policies.base import REGISTERED
from calibkit.policies.generator_checks import GENERATOR_CHECKS, ExampleSource
from calibkit.policies.turns import in_turn
from calibkit.testing import check_generator, example_policy

MAKING = [name for name in policy_names() if issubclass(find_policy(name), Generator)]
VARIANTS = [
    RandomTokens(draw="unigram"),
    NoiseMix(share=1.0, level=0.5),
    NoiseMix(of={"use": "skewed", "weights": {"label 1": 1}}, noise="ocr"),
    NoiseMix(of={"use": "k-center", "features": "hidden"}, share=0.25),
    SelfCalibration(mix="prior", temperature=0.7, top_p=0.9),
]


@pytest.fixture
def source(pool):
    return ExampleSource(pool)


def test_the_generators_are_registered_by_import():
    assert {"random-tokens", "noise-mix", "self-calibration"} <= set(MAKING)


@pytest.mark.parametrize("check", GENERATOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKING)
def test_every_registered_generator_keeps_the_contract(name, check, pool, source):
    check(find_policy(name).example(), pool, source)


@pytest.mark.parametrize("generator", VARIANTS, ids=str)
def test_the_contract_holds_for_other_parameters_too(generator, pool):
    check_generator(generator, pool)


def test_choosing_and_making_are_told_apart(pool):
    with pytest.raises(AssertionError, match="'noise-mix' makes documents"):
        example_policy("noise-mix")
    with pytest.raises(AssertionError, match="'random' chooses documents"):
        check_generator("random")
    with pytest.raises(BadInput, match="random-tokens makes documents, it does not choose them"):
        make_policy("noise-mix", {"of": {"use": "random-tokens"}})


@pytest.fixture
def defective():
    """Generators that break one clause each; forgotten afterwards."""
    before = dict(REGISTERED)

    class Of(Generator):
        def documents(self, pool, size, draw, source):
            return [self.one(pool, place, draw) for place in range(size)]

    class TooMany(Of, name="test-too-many"):
        """One more than was asked for."""

        def documents(self, pool, size, draw, source):
            return [NewDocument(f"{draw.seed} {i}", pool.labels[0]) for i in range(size + 1)]

    class Foreign(Of, name="test-foreign"):
        """A label of another corpus."""

        def one(self, pool, place, draw):
            return NewDocument(f"{draw.seed} {place}", "label 99")

    class Blank(Of, name="test-blank"):
        """Nothing but white space."""

        def one(self, pool, place, draw):
            return NewDocument(" ", pool.labels[0])

    class Twice(Of, name="test-twice"):
        """The same document of the pool again and again."""

        def one(self, pool, place, draw):
            return PoolDocument(pool.doc_ids[0])

    class Elsewhere(Of, name="test-elsewhere"):
        """Made from a document that is not there."""

        def one(self, pool, place, draw):
            return NewDocument(f"{draw.seed} {place}", pool.labels[0], made_from="d1-0")

    class Stubborn(Of, name="test-stubborn-maker"):
        """The same documents for every seed."""

        def one(self, pool, place, draw):
            return NewDocument(f"text {place}", pool.labels[0])

    class Careless(Of, name="test-careless-maker"):
        """Texts from numpy's global generator."""

        def one(self, pool, place, draw):
            return NewDocument(f"text {np.random.random()}", pool.labels[0])

    class Backwards(Of, name="test-backwards-maker"):
        """Promises nesting and turns the order round."""

        nested = True

        def documents(self, pool, size, draw, source):
            texts = [f"{draw.seed} {place}" for place in reversed(range(size))]
            return [NewDocument(text, pool.labels[0]) for text in texts]

    yield
    REGISTERED.clear()
    REGISTERED.update(before)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test-too-many", "2 documents where 1 were asked for"),
        ("test-foreign", "the label 'label 99', which the pool does not have"),
        ("test-blank", "a document without text"),
        ("test-twice", "15 documents of the pool a second time"),
        ("test-elsewhere", "the document 'd1-0', which the pool does not have"),
        ("test-stubborn-maker", "same documents for several seeds"),
        ("test-careless-maker", "global generator"),
        ("test-backwards-maker", "not nested"),
    ],
)
def test_the_contract_catches_a_generator_that_breaks_it(name, complaint, defective):
    with pytest.raises(AssertionError, match=complaint):
        check_generator(name)


# ------------------------------------------------------------------------------- labels in turn


@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=6),
    st.integers(1, 80),
)
def test_every_beginning_of_the_labels_is_in_proportion(weights, size):
    """What makes Webster's method: no document could stand for another label and be fairer."""
    shares = {f"label {place}": weight for place, weight in enumerate(weights)}
    names = in_turn(shares, size)
    assert len(names) == size
    for upto in (size, max(1, size // 3)):
        taken = Counter(names[:upto])
        for one, weight in shares.items():
            for other, less in shares.items():
                if taken[one]:
                    assert (2 * taken[one] - 1) / weight <= (2 * taken[other] + 1) / less + 1e-9


def test_equal_weights_go_round():
    assert in_turn({"b": 1.0, "a": 1.0, "c": 1.0}, 7) == ["b", "a", "c", "b", "a", "c", "b"]
    assert in_turn({"a": 0.0, "b": 2.0}, 2) == ["b", "b"]


# -------------------------------------------------------------------------------- random tokens


def test_random_tokens_have_the_pools_lengths_and_labels_in_turn(pool, source):
    made = make(RandomTokens(), pool, 400, Draw(1), source)
    lengths = np.array([len(document.text.split()) for document in made])
    assert set(lengths) <= set(pool.lengths.tolist())
    assert abs(np.mean(lengths) - np.mean(pool.lengths)) < 4 * np.std(pool.lengths) / 20
    assert [document.label for document in made[:5]] == [*pool.label_names, pool.label_names[0]]
    assert {document.made_from for document in made} == {""}


def test_uniform_and_unigram_draw_from_other_distributions(pool, source):
    """A chi-square over the types, against each of the two; the wrong one is far off."""
    from scipy.stats import chi2

    types = source.types()
    uniform = np.full(len(types), 1 / len(types))
    counts = np.bincount(pool.tokens.ids, minlength=len(types) + 4)[4 : len(types) + 4]
    expected = {"uniform": uniform, "unigram": counts / counts.sum()}
    limit = chi2.isf(1e-4, len(types) - 1)
    for draw in ("uniform", "unigram"):
        made = make(RandomTokens(draw=draw), pool, 300, Draw(5), source)
        words = Counter(word for document in made for word in document.text.split())
        seen = np.array([words[name] for name in types])
        for other, shares in expected.items():
            there = shares > 0
            ideal = shares[there] * seen.sum()
            statistic = ((seen[there] - ideal) ** 2 / ideal).sum() + 1e9 * seen[~there].sum()
            assert (statistic < limit) == (other == draw), (draw, other)


class Wordless(ExampleSource):
    """A training vocabulary in which no type is frequent enough."""

    def types(self):
        return ()


def test_without_types_there_is_nothing_to_draw_from(pool):
    with pytest.raises(Infeasible, match="no type to draw from.*has 0"):
        make(RandomTokens(), pool, 4, Draw(0), Wordless(pool))


# ------------------------------------------------------------------------------------ noise mix


def test_originals_are_those_that_the_policy_chooses_by_itself(pool, source):
    chosen = pool.ids(select(make_policy("stratified"), pool, 40, Draw(3)))
    made = make(NoiseMix(of={"use": "stratified"}), pool, 40, Draw(3), source)
    named = [
        document.doc_id if isinstance(document, PoolDocument) else document.made_from
        for document in made
    ]
    assert tuple(named) == chosen
    label = dict(zip(pool.doc_ids, pool.labels, strict=True))
    for document in made:
        if isinstance(document, NewDocument):
            (before,) = source.texts([document.made_from])
            assert document.label == label[document.made_from]
            assert document.text != before
            assert len(document.text) == len(before)


@pytest.mark.parametrize(("share", "size", "noisy"), [(0.5, 33, 17), (1.0, 20, 20), (0.1, 4, 0)])
def test_the_share_is_rounded_to_whole_documents(share, size, noisy, pool, source):
    made = make(NoiseMix(share=share, level=1.0), pool, size, Draw(0), source)
    assert sum(isinstance(document, NewDocument) for document in made) == noisy


@dataclass
class Quiet(ExampleSource):
    """Noise that changes nothing of one document, and leaves nothing of another."""

    spared: str = ""
    emptied: str = ""
    asked: list = field(default_factory=list)

    def corrupted(self, doc_ids, kind, level, seed):
        self.asked.append((kind, level, seed))
        texts = dict(zip(doc_ids, self.texts(doc_ids), strict=True))
        noisy = {doc_id: f"{text} noisy" for doc_id, text in texts.items()}
        noisy |= {self.spared: texts.get(self.spared, ""), self.emptied: ""}
        return [noisy[doc_id] for doc_id in doc_ids]


def test_a_copy_that_says_the_same_or_nothing_is_the_original(pool):
    chosen = pool.ids(select(make_policy("random"), pool, 10, Draw(7)))
    source = Quiet(pool, spared=chosen[2], emptied=chosen[5])
    made = make(NoiseMix(share=1.0, noise="delete", level=0.3), pool, 10, Draw(7), source)
    own = [document for document in made if isinstance(document, PoolDocument)]
    assert own == [PoolDocument(chosen[2]), PoolDocument(chosen[5])]
    assert source.asked == [("delete", 0.3, 7)]


def test_noise_mix_asks_for_what_its_policy_asks_for(pool, source):
    mix = NoiseMix(of={"use": "k-center", "features": "hidden"})
    assert mix.every_need == ("hidden",)
    named = NoiseMix(of={"use": "skewed", "weights": {"label 0": 1, "label 3": 2}})
    assert named.labels_named() == (("of.weights", "label 0"), ("of.weights", "label 3"))
    with pytest.raises(Infeasible, match="'label 3' documents, the pool has"):
        make(named, pool, 400, Draw(0), source)
    with pytest.raises(UnknownName, match="'label 9'"):
        make(NoiseMix(of={"use": "skewed", "weights": {"label 9": 1}}), pool, 4, Draw(0), source)
    assert make_policy("noise-mix", {"of": {"use": "random"}}) == NoiseMix()


def test_its_version_rises_with_that_of_the_policy_that_chooses(defective):
    class Third(Policy, name="test-third"):
        """The first rows, in the third version."""

        version = 3

        def pick(self, pool, size, draw):
            return np.arange(size)

    assert (NoiseMix().version, NoiseMix(of={"use": "test-third"}).version) == (1, 3)


def test_the_kinds_of_noise_are_those_that_a_text_can_have():
    from typing import get_args

    from calibkit.policies.noise_mix import NoiseKind

    there = [kind for kind in noise_kinds() if not kind.startswith("unk-match")]
    assert sorted(get_args(NoiseKind)) == sorted(there)


# ----------------------------------------------------------------------------- self-calibration


@dataclass
class Listening(ExampleSource):
    """A source that remembers what it was asked to write."""

    asked: list = field(default_factory=list)

    def write(self, labels, seeds, *, temperature, top_p):
        self.asked.append((list(labels), list(seeds), temperature, top_p))
        return super().write(labels, seeds, temperature=temperature, top_p=top_p)


def test_labels_are_asked_for_equally_or_by_the_prior_with_seeds_of_their_own(pool):
    source = Listening(pool)
    make(SelfCalibration(temperature=0.5, top_p=0.8), pool, 40, Draw(0), source)
    make(SelfCalibration(mix="prior"), pool, 50, Draw(0), source)
    (labels, seeds, temperature, top_p), (by_prior, others, *_) = source.asked
    assert Counter(labels) == dict.fromkeys(pool.label_names, 10)
    assert (temperature, top_p) == (0.5, 0.8)
    assert Counter(by_prior) == dict(zip(pool.label_names, (24, 12, 8, 6), strict=True))
    assert len(set(seeds)) == 40
    # the third document of a label is the same one, whatever stands between
    third = [s for label, s in zip(labels, seeds, strict=True) if label == "label 1"][2]
    assert third == [s for label, s in zip(by_prior, others, strict=True) if label == "label 1"][2]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("self-calibration", {"temperature": 0}, "temperature is 0; it must be greater than 0"),
        ("self-calibration", {"temperature": float("inf")}, "temperature is inf"),
        ("self-calibration", {"top_p": 0.0}, "top_p is 0.0; it must be greater than 0"),
        ("self-calibration", {"top_p": 1.5}, "top_p is 1.5; it must be less than or equal to 1"),
        ("self-calibration", {"mix": "even"}, "mix is 'even'; it must be 'equal' or 'prior'"),
        ("self-calibration", {"topp": 1}, "no parameter is called 'topp'; did you mean 'top_p'"),
        ("random-tokens", {"draw": "bigram"}, "draw is 'bigram'; it must be 'uniform'"),
        ("noise-mix", {"share": 0}, "share is 0; it must be greater than 0"),
        ("noise-mix", {"level": 1.1}, "level is 1.1; it must be less than or equal to 1"),
        ("noise-mix", {"noise": "unk-match"}, "noise is 'unk-match'; it must be 'keyboard'"),
        ("noise-mix", {"of": "random"}, "'random' is not a policy; write it as {use: NAME"),
        ("noise-mix", {"of": {"use": "randon"}}, "did you mean 'random'"),
    ],
)
def test_wrong_parameters_are_told(name, params, message):
    with pytest.raises(BadInput) as caught:
        make_policy(name, params)
    assert message in str(caught.value)
