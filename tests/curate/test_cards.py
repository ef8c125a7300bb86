"""Coverage cards of stored subsets: against the arrays by hand, kept, found again, and refused."""

from __future__ import annotations

import numpy as np
import pytest

from calibkit.corpora.reading import find_corpus
from calibkit.curate.card import CardMaker
from calibkit.curate.card_requests import find_subset, profile_subset
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.float_models import load_model
from calibkit.curate.seen_by_model import grams, ranges
from calibkit.curate.subsets import build_subset
from calibkit.engine.statistics import collect_statistics
from calibkit.errors import BadInput, UnknownName
from calibkit.policies import make_policy
from calibkit.policies.card import MODEL_METRICS, OUTSIDE, OUTSIDE_ALL, TEXT_METRICS
from calibkit.quantize.sites import ACTIVATION_SITES
from calibkit.store import insert

DRAWS = 20


@pytest.fixture
def library(store):
    with store.reading() as con:
        return Library(store, find_corpus(con, "made"), 1.0)


@pytest.fixture
def maker(library):
    return CardMaker(library, "train", DRAWS)


def subset(store, policy="random", size=24, **params):
    seed = params.pop("seed", 0)
    return build_subset(store, "made", make_policy(policy, params), size=size, seed=seed)


def main(card):
    return {line.metric: line for line in card.lines if not line.site}


def count(store, table="subset_cards"):
    with store.reading() as con:
        return con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


# ------------------------------------------------------------------------------------ the text


def test_a_card_says_what_the_profile_says_and_more(store, maker):
    built = subset(store)
    card = maker.card(built.subset_id)
    found = main(card)
    assert list(found) == [*(m.name for m in TEXT_METRICS), OUTSIDE]
    for metric, field in {
        "label_distance": "label_total_variation",
        "length_p10": "length_p10",
        "length_p50": "length_p50",
        "length_p90": "length_p90",
        "types_covered": "vocabulary_coverage",
        "oov_share": "oov_share",
    }.items():
        assert found[metric].value == pytest.approx(getattr(built.profile, field)), metric
    for line in card.lines:
        assert line.low <= line.median <= line.high
        assert line.verdict in ("low", "inside", "high")
        assert (line.rank, line.reason) != (None, "")
    assert (card.pool, card.share, card.model_id, card.draws) == ("train", 1.0, "", DRAWS)


def test_what_is_unusual_is_flagged(store, maker):
    found = main(maker.card(subset(store, "skewed", weights={"sea": 1}).subset_id))
    for name in ("label_distance", "label_chi_square", "mmd"):
        assert (found[name].verdict, found[name].is_bad) == ("high", True), name
    assert found["label_distance"].value == pytest.approx(2 / 3, abs=0.02)
    longest = main(maker.card(subset(store, "longest", 1, candidates=151).subset_id))
    assert longest["tokens_kept"].value == pytest.approx(80 / 200)
    assert longest["tokens_kept"].is_bad


def test_a_card_is_made_once_and_found_again(store, library, maker):
    told = []
    built = subset(store)
    first = maker.card(built.subset_id)
    again = CardMaker(library, "train", DRAWS, told.append).card(built.subset_id)
    assert (first.existed, again.existed, told) == (False, True, [])
    assert again.lines == first.lines
    rows = count(store)
    other = CardMaker(library, "train", DRAWS, told.append)
    other.card(subset(store, seed=1).subset_id)
    assert count(store) == 2 * rows
    assert told == []  # the draws of this size were there
    assert other.known() == {(built.subset_id, ""), (subset(store, seed=1).subset_id, "")}


def test_a_card_of_other_draws_stands_beside_it(store, library, maker):
    built = subset(store)
    card = maker.card(built.subset_id)
    more = CardMaker(library, "train", 40).card(built.subset_id)
    assert [line.value for line in more.lines[:-1]] == [line.value for line in card.lines[:-1]]
    assert [line.low for line in more.lines] != [line.low for line in card.lines]
    assert count(store) == 2 * len(card.lines)
    with pytest.raises(BadInput, match="5 random draws have no 5th and 95th percentile"):
        CardMaker(library, "train", 5)


def test_documents_of_the_test_split_are_found_out(store, library, maker):
    """A pool has none of them, so somebody must have listed them."""
    with store.reading() as con:
        leaked = [
            row[0]
            for row in con.execute(
                "SELECT doc_id FROM documents WHERE split = 'train' AND in_test ORDER BY doc_id"
            ).fetchall()
        ]
    ids = [*leaked, *subset(store, size=9).doc_ids]
    keep_subset(store, library, "s1-leaking", ids)
    found = main(maker.card("s1-leaking"))
    assert found["in_test"].value == pytest.approx(3 / 12)
    assert found["near_test"].value >= found["in_test"].value
    assert (found["in_test"].verdict, found["in_test"].is_bad) == ("high", True)


def keep_subset(store, library, subset_id, doc_ids):
    corpus_id = library.corpus.corpus_id
    with store.writing() as con:
        insert(con, "subsets", [
            {"subset_id": subset_id, "corpus_id": corpus_id, "size": len(doc_ids)}
        ])  # fmt: skip
        insert(con, "subset_documents", [
            {"subset_id": subset_id, "position": i, "doc_id": doc_id}
            for i, doc_id in enumerate(doc_ids)
        ])  # fmt: skip


# ------------------------------------------------------------------------------------ the model


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_a_card_under_a_model_beside_its_arrays(store, library, trained, features, maker, kind):
    model = trained[kind]
    built = subset(store)
    card = maker.card(built.subset_id, model)
    found = main(card)
    names = [m.name for m in (*TEXT_METRICS, *MODEL_METRICS)]
    assert sorted(found) == sorted([*names, OUTSIDE, OUTSIDE_ALL])
    rows = [features.doc_ids.index(doc_id) for doc_id in built.doc_ids]
    seen = ranges(features, model)[rows]
    tokens = Encoder.of(library, model.settings).encode(features.texts)
    weights = load_model(library, model).tensors
    statistics = collect_statistics(kind, weights, tokens, percentile=100.0)
    for place, site in enumerate(ACTIVATION_SITES[kind]):
        line = next(x for x in card.lines if (x.metric, x.site) == ("clip_rate", site))
        low, high = seen[:, place, 0].min(), seen[:, place, 1].max()
        histogram = statistics[site].histogram
        levels, shares = histogram.levels, histogram.counts / histogram.counts.sum()
        width = 0.004  # of a bin, relative
        surely = (levels < low - width * abs(low)) | (levels > high + width * abs(high))
        perhaps = (levels < low) | (levels > high)
        assert shares[surely].sum() - 1e-9 <= line.value <= shares[perhaps].sum() + 1e-9
    gram = grams(features, model).astype(np.float64)
    whole = gram.sum(axis=0)
    count_ = np.trace(whole) / len(whole)
    lengths = tokens.lengths[rows] - 1 if kind == "generative" else np.full(24, count_ / len(gram))
    mean = gram[rows].sum(axis=0) / lengths.sum()
    sign, log = np.linalg.slogdet(mean + 1e-6 * np.eye(len(mean)))
    assert sign > 0
    assert found["log_det"].value == pytest.approx(log, abs=1e-4)


def test_the_text_is_measured_once_for_all_models(store, maker, trained):
    built = subset(store)
    text = maker.card(built.subset_id)
    rows = count(store)
    for model in trained.values():
        card = maker.card(built.subset_id, model)
        assert card.lines[: len(text.lines)] == text.lines
    per_model = 2 * (1 + 13) + 2
    assert count(store) == rows + 2 * per_model
    assert maker.known() == {
        (built.subset_id, ""),
        *((built.subset_id, model.id) for model in trained.values()),
    }


def test_a_model_that_reads_other_words_is_refused(store, library, trained):
    maker = CardMaker(Library(store, library.corpus, 0.5), "train", DRAWS)
    built = subset(store)
    with pytest.raises(BadInput, match="another vocabulary than corpus 'made'"):
        maker.card(built.subset_id, trained["generative"])


# --------------------------------------------------------------- documents that no pool has


def test_new_documents_have_a_card_of_their_own_texts(store, library, trained, maker):
    """The same texts as documents of the pool, under ids that it does not have."""
    built = subset(store)
    model = trained["generative"]
    card = maker.card(built.subset_id, model)
    with store.reading() as con:
        texts = con.execute(
            "SELECT doc_id, label_id, text, tokens FROM documents"
            " SEMI JOIN subset_documents USING (doc_id) WHERE split = 'train'"
        ).fetchall()
    new = [
        {"corpus_id": library.corpus.corpus_id, "doc_id": f"new-{doc_id}", "split": "synthetic",
         "label_id": label, "text": text, "tokens": tokens}
        for doc_id, label, text, tokens in texts
    ]  # fmt: skip
    with store.writing() as con:
        insert(con, "documents", new)
    keep_subset(store, library, "s1-new", [row["doc_id"] for row in new])
    fresh = maker.card("s1-new", model)
    mine, theirs = main(card), main(fresh)
    assert list(theirs) == list(mine)
    for name, line in theirs.items():
        assert line.value == pytest.approx(mine[name].value, rel=1e-6, abs=1e-9), name
        assert (line.low, line.high, line.reason) == (mine[name].low, mine[name].high, "")


def test_a_subset_larger_than_its_pool_has_values_without_draws(store, library):
    with store.reading() as con:
        ids = [
            row[0]
            for row in con.execute(
                "SELECT doc_id FROM documents WHERE split = 'train' AND NOT in_test"
            ).fetchall()
        ]
    keep_subset(store, library, "s1-all", ids)
    maker = CardMaker(library, "valid", DRAWS)
    card = maker.card("s1-all")
    line = main(card)["label_distance"]
    assert line.value is not None
    assert line.verdict is None
    assert "larger than the pool" in line.reason
    assert card.words.startswith("cannot be compared with random draws")


# ------------------------------------------------------------------------------ what is asked


def test_a_subset_is_held_against_what_it_was_asked_from(store):
    told = []
    policy = make_policy("random", {})
    part = build_subset(store, "made", policy, size=12, seed=0, share=0.5)
    found, card = profile_subset(store, part.subset_id[:9], draws=DRAWS, tell=told.append)
    assert (found.subset_id, found.pools) == (part.subset_id, (("train", 0.5),))
    assert (card.pool, card.share) == ("train", 0.5)
    _, other = profile_subset(store, part.subset_id, draws=DRAWS, share=1.0, tell=told.append)
    assert (other.pool, other.share) == ("train", 1.0)
    assert not any("also:" in line for line in told)


def test_a_subset_that_was_asked_from_several_pools_says_which_counts(store, library):
    whole = subset(store, size=4)
    with store.writing() as con:
        insert(con, "subset_requests", [
            {"request_key": "r1-later", "subset_id": whole.subset_id, "pool": "valid",
             "share": 0.5, "corpus_id": library.corpus.corpus_id,
             "created_at": "2999-01-01 00:00:00"}
        ])  # fmt: skip
    told = []
    _, card = profile_subset(store, whole.subset_id, draws=DRAWS, tell=told.append)
    assert (card.pool, card.share) == ("train", 1.0)
    assert "held against train at share 1" in told[0]
    assert "valid at share 0.5" in told[0]


def test_what_cannot_be_profiled_says_why(store, library, trained):
    first, second = subset(store), subset(store, seed=1)
    with pytest.raises(BadInput, match="no subset with an id that starts with 's1-none'"):
        profile_subset(store, "s1-none")
    with pytest.raises(BadInput, match="several subsets have ids that start with 's1-'"):
        profile_subset(store, "s1-")
    with pytest.raises(BadInput, match="no model with an id that starts with 'm1-none'"):
        profile_subset(store, first.subset_id, model="m1-none")
    with store.writing() as con:
        insert(con, "corpora", [{"corpus_id": "c1-other", "name": "other", "version": "1"}])
        insert(con, "models", [
            {"model_key": "k1-generative", "model_id": "m1-generative", "kind": "generative",
             "corpus_id": "c1-other", "share": 1.0,
             "settings": trained["generative"].settings.as_dict()}
        ])  # fmt: skip
    with pytest.raises(BadInput, match="trained on corpus 'other', version 1, and the subset is"):
        profile_subset(store, second.subset_id, model="m1-generative")
    with pytest.raises(UnknownName, match="'tran'; did you mean 'train'"):
        profile_subset(store, first.subset_id, pool="tran")
    with store.reading() as con:
        assert find_subset(con, first.subset_id).size == 24
    assert count(store) == 0
