import numpy as np
import pytest

from calibkit.corpora.reading import documents, find_corpus
from calibkit.corpora.text import tokenize
from calibkit.curate.encoding import Library
from calibkit.curate.subsets import SubsetBuilder, build_subset, find_model, read_subset
from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.policies import Draw, Policy, Pool, make_policy
from calibkit.policies.base import REGISTERED


@pytest.fixture
def shortest():
    """A policy that ignores its seed, registered for one test only."""

    class Shortest(Policy, name="shortest-of-tests"):
        uses_seed = False

        def pick(self, pool: Pool, size: int, draw: Draw):
            return np.argsort(pool.lengths, kind="stable")[:size]

    yield Shortest()
    del REGISTERED["shortest-of-tests"]


def texts_of(store, split, **how):
    with store.reading() as con:
        found = documents(con, find_corpus(con, "made"), split, **how)
    return dict(zip(found.ids, found.texts, strict=True))


def count(store, table):
    with store.reading() as con:
        return con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_asking_again_answers_from_the_store(store):
    policy = make_policy("random", {})
    first = build_subset(store, "made", policy, size=20, seed=3)
    again = build_subset(store, "made", policy, size=20, seed=3)
    assert (first.existed, again.existed) == (False, True)
    assert again.subset_id == first.subset_id
    assert again.doc_ids == first.doc_ids
    assert again.profile == first.profile
    assert count(store, "subsets") == count(store, "subset_requests") == 1
    with store.reading() as con:
        assert read_subset(con, first.subset_id).doc_ids == first.doc_ids


def test_a_smaller_subset_is_a_prefix_and_its_own_subset(store):
    policy = make_policy("random", {})
    small, large = (build_subset(store, "made", policy, size=n, seed=0) for n in (8, 32))
    assert large.doc_ids[:8] == small.doc_ids
    assert large.subset_id != small.subset_id


def test_a_policy_that_ignores_its_seed_has_one_request(store, shortest):
    one, other = (build_subset(store, "made", shortest, size=5, seed=s) for s in (0, 1))
    assert other.existed
    assert one.subset_id == other.subset_id


def test_different_requests_for_the_same_documents_are_one_subset(store):
    by_weights = make_policy("skewed", {"weights": {"sea": 2}})
    by_other_weights = make_policy("skewed", {"weights": {"sea": 5}})
    one = build_subset(store, "made", by_weights, size=10, seed=0)
    other = build_subset(store, "made", by_other_weights, size=10, seed=0)
    assert one.subset_id == other.subset_id
    assert (count(store, "subsets"), count(store, "subset_requests")) == (1, 2)


def test_documents_that_stand_in_test_are_never_chosen(store):
    in_test = set(texts_of(store, "test").values())
    whole = texts_of(store, "train")
    allowed = {i for i, text in whole.items() if text not in in_test}
    assert len(allowed) == len(whole) - 3
    everything = build_subset(store, "made", make_policy("random", {}), size=len(allowed), seed=0)
    assert set(everything.doc_ids) == allowed
    with pytest.raises(Infeasible, match=f"{len(whole)}"):
        build_subset(store, "made", make_policy("random", {}), size=len(whole), seed=0)


def test_a_pool_and_a_share_limit_what_is_chosen(store):
    valid = set(texts_of(store, "valid"))
    policy = make_policy("random", {})
    assert set(build_subset(store, "made", policy, size=30, seed=0, pool="valid").doc_ids) == valid
    shared = set(texts_of(store, "train", share=0.25))
    part = build_subset(store, "made", policy, size=20, seed=0, share=0.25)
    assert set(part.doc_ids) <= shared
    with pytest.raises(UnknownName, match="'validation'; did you mean 'valid'"):
        build_subset(store, "made", policy, size=5, seed=0, pool="validation")


def test_the_profile_counts_whole_documents(store):
    """The longest document has 200 tokens, of which a model reads 80."""
    longest = build_subset(store, "made", make_policy("random", {}), size=150, seed=0)
    texts = texts_of(store, "train")
    lengths = [len(tokenize(texts[doc_id])) for doc_id in longest.doc_ids]
    assert max(lengths) == 200
    assert longest.profile.tokens == sum(lengths)
    assert longest.profile.length_p50 == np.quantile(lengths, 0.5)
    assert longest.profile.documents == 150
    assert sum(longest.profile.label_mix.values()) == pytest.approx(1)


def test_lengths_of_the_pool_are_those_of_the_documents(store, shortest):
    built = build_subset(store, "made", shortest, size=10, seed=0)
    texts = texts_of(store, "train", leave_out_in_test=True)
    lengths = sorted(len(tokenize(text)) for text in texts.values())
    assert [len(tokenize(texts[doc_id])) for doc_id in built.doc_ids] == lengths[:10]


def test_what_cannot_be_given_leaves_nothing_behind(store):
    policy = make_policy("skewed", {"weights": {"sea": 1}})
    with pytest.raises(Infeasible, match="asked for 120 'sea' documents, the pool has 50"):
        build_subset(store, "made", policy, size=120, seed=0)
    through = make_policy("k-center", {"features": "hidden"})
    with pytest.raises(BadInput, match="looks at documents through a float model"):
        build_subset(store, "made", through, size=5, seed=0)
    with pytest.raises(BadInput, match="no model with an id that starts with 'm1-none'"):
        build_subset(store, "made", through, size=5, seed=0, model="m1-none")
    with pytest.raises(BadInput, match="leave --model out"):
        build_subset(store, "made", make_policy("random", {}), size=5, seed=0, model="m1-none")
    assert count(store, "subset_requests") == count(store, "subsets") == 0


def test_a_label_of_another_corpus_is_named(store):
    policy = make_policy("skewed", {"weights": {"see": 1}})
    with pytest.raises(UnknownName, match="'see'; did you mean 'sea'"):
        build_subset(store, "made", policy, size=5, seed=0)


def test_features_are_computed_once(store, monkeypatch):
    from calibkit.policies import features

    calls = []
    real = features.tfidf_svd
    monkeypatch.setattr(features, "tfidf_svd", lambda texts: calls.append(1) or real(texts))
    policy = make_policy("k-center", {})
    chosen = [build_subset(store, "made", policy, size=12, seed=seed) for seed in (0, 1)]
    assert len(calls) == 1
    assert chosen[0].doc_ids != chosen[1].doc_ids


def test_documents_come_in_the_order_that_was_asked_for(store):
    with store.reading() as con:
        corpus = find_corpus(con, "made")
    builder = SubsetBuilder(Library(store, corpus, 1.0))
    ids = build_subset(store, "made", make_policy("random", {}), size=9, seed=0).doc_ids
    found = builder.documents(ids[::-1])
    texts = texts_of(store, "train")
    assert found.ids == ids[::-1]
    assert found.texts == tuple(texts[doc_id] for doc_id in ids[::-1])


def test_a_model_is_found_by_what_its_ids_start_with(store):
    from calibkit.models.settings import settings_from
    from calibkit.store import insert

    made = {kind: settings_from(kind, {"epochs": 2}) for kind in ("generative", "discriminative")}
    rows = [
        {"model_key": f"k1-{kind}", "model_id": f"m1-{kind}", "kind": kind}
        | {"settings": settings.as_dict()}
        for kind, settings in made.items()
    ]
    with store.writing() as con:
        insert(con, "models", rows)
    with store.reading() as con:
        for kind, settings in made.items():
            assert find_model(con, f"m1-{kind[:3]}").settings == settings
            assert find_model(con, f"k1-{kind}").id == f"m1-{kind}"
        with pytest.raises(BadInput, match="2 models with an id that starts with 'm1-'"):
            find_model(con, "m1-")
