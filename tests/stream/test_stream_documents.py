"""What comes in a stream: batches of every draw, hold-outs of every phase, and their noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.corpora.ingest import ingest
from calibkit.corpora.noise import corrupt_tokens
from calibkit.corpora.reading import Corpus, find_corpus
from calibkit.curate.encoding import Encoder, Library, artefacts_of
from calibkit.errors import Infeasible, UnknownName
from calibkit.identity import draw_order
from calibkit.recipe.load_stream import parse_stream_recipe
from calibkit.store.connection import Store
from calibkit.stream.columns import Frequencies, between
from calibkit.stream.documents import StreamSource

TEMPLATE = """\
calibkit: 1
name: example
corpus: {name: made}
models: {discriminative: {}}
policies: {start: {use: random}}
stream:
  batch: 6
  hold_out: 15
  %s
methods: {frozen: {subset: frozen, model: frozen}}
grid: {model: [discriminative], method: [frozen], policy: [start], size: [8], seed: %s, bits: [4]}
"""
NOISY = """phases:
    - {name: clean, batches: 2}
    - {name: typos, batches: 3, noise: {keyboard: 0.3}}"""
LEAKED = 4

Sources = Callable[..., StreamSource]


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, make_corpus_files: Callable[..., dict[str, Path]]
) -> Store:
    """Corpora ``made`` (art, sea, sky), ``other`` (sky, art: another order), ``strange`` (zoo).

    The first valid documents of ``made`` also stand in test.
    """
    folder = tmp_path_factory.mktemp("streams")
    files = make_corpus_files(folder / "made", {"train": 90, "valid": 60, "test": 60})
    test = files["test"].read_text().splitlines()[1:]
    with files["valid"].open("a") as file:
        file.write("\n".join([*test[:LEAKED], ""]))
    store = Store(folder / "store.duckdb")
    ingest(store, "made", **files)
    for name, topics in (
        ("other", {"sky": ["cloud"], "art": ["paint"]}),
        ("strange", {"art": ["paint"], "zoo": ["lion"]}),
    ):
        sizes = {"train": 20, "valid": 30, "test": 30}
        ingest(store, name, **make_corpus_files(folder / name, sizes, seed=7, topics=topics))
    return store


@pytest.fixture(scope="module")
def corpus(store: Store) -> Corpus:
    with store.reading() as con:
        return find_corpus(con, "made")


@pytest.fixture
def source(store: Store, corpus: Corpus) -> Sources:
    def of(content: str, seeds: Any = (0, 1), **changes: str) -> StreamSource:
        text = TEMPLATE % (content, list(seeds))
        for key, value in changes.items():
            text = text.replace({"hold_out": "hold_out: 15", "corpus": "{name: made}"}[key], value)
        return StreamSource(store, parse_stream_recipe(text), corpus)

    return of


def labels_of(corpus: Corpus, label_ids: Any) -> dict[str, int]:
    return dict(Counter(corpus.labels[number] for number in label_ids))


# ---------------------------------------------------------------------------- batches and draws


def test_no_document_comes_twice_and_none_is_measured_on(source: Sources) -> None:
    found = source("order: {by: tokens, phases: 3, batches: 2}")
    held_out = {text for documents in found.hold_outs() for text in documents.texts}
    for seed in (0, 1):
        batches = found.batches(seed)
        assert [len(batch) for batch in batches] == [6] * 6
        ids = [doc_id for batch in batches for doc_id in batch.ids]
        assert len(set(ids)) == len(ids)
        assert held_out.isdisjoint(text for batch in batches for text in batch.texts)


def test_what_stands_in_a_hold_out_never_comes(source: Sources, store: Store) -> None:
    all_held_out = {"hold_out": "hold_out: 60"}
    found = source("phases: [{name: a, batches: 10}]", **all_held_out)
    came = {text for batch in found.batches(0) for text in batch.texts}
    valid = Library(store, found.corpus, 1.0).split("valid").texts
    leaked = set(valid) & set(found.hold_outs()[0].texts)
    assert len(leaked) == LEAKED and len(came) == 60
    assert came == set(valid) - leaked
    with pytest.raises(Infeasible, match="has 0 that are right and not taken"):
        source("phases: [{name: a, batches: 11}]", **all_held_out).batches(0)


def test_a_draw_is_the_same_whatever_is_asked_first(source: Sources) -> None:
    one, other = source(NOISY), source(NOISY)
    other.batches(1)
    first = [batch.ids for batch in one.batches(0)]
    assert first == [batch.ids for batch in other.batches(0)]
    assert first != [batch.ids for batch in other.batches(1)]
    assert [h.ids for h in one.hold_outs()] == [h.ids for h in other.hold_outs()]


def test_batches_come_in_the_order_of_a_keyed_draw(source: Sources) -> None:
    found = source("phases: [{name: a, batches: 3}]").batches(5)
    ids = [doc_id for batch in found for doc_id in batch.ids]
    assert list(draw_order(5, "stream-batches", ids)) == list(range(len(ids)))


def test_a_further_batch_leaves_those_before_as_they_are(source: Sources) -> None:
    short = source("phases: [{name: a, batches: 2}]").batches(0)
    long = source("phases: [{name: a, batches: 4}]").batches(0)
    assert [batch.ids for batch in long[:2]] == [batch.ids for batch in short]


@settings(max_examples=15, deadline=None)  # each reads the store
@given(
    weights=st.fixed_dictionaries(
        {label: st.integers(0, 5) for label in ("art", "sea", "sky")}
    ).filter(lambda w: any(w.values()))
)
def test_label_weights_hold_in_every_batch_and_hold_out(
    store: Store, corpus: Corpus, weights: dict[str, int]
) -> None:
    written = ", ".join(f"{label}: {weight}" for label, weight in weights.items())
    text = TEMPLATE % (f"phases: [{{name: a, batches: 2, labels: {{{written}}}}}]", [0])
    found = StreamSource(store, parse_stream_recipe(text), corpus)
    total = sum(weights.values())
    for documents in (*found.batches(0), *found.hold_outs()):
        counts = labels_of(corpus, documents.label_ids)
        for label, weight in weights.items():
            assert abs(counts.get(label, 0) - len(documents) * weight / total) < 1
            assert weight or label not in counts


def test_a_share_of_the_corpus_is_a_share_of_its_stream(source: Sources, store: Store) -> None:
    half = source("phases: [{name: a, batches: 2}]", corpus="{name: made, share: 0.5}")
    library = Library(store, half.corpus, 0.5)
    ids = {doc_id for batch in half.batches(0) for doc_id in batch.ids}
    assert ids <= set(library.split("valid").ids)
    assert set(half.hold_outs()[0].ids) <= set(library.split("test").ids)


# ------------------------------------------------------------------------------------ hold-outs


def test_phases_that_differ_in_noise_alone_are_measured_on_the_same_documents(
    source: Sources,
) -> None:
    clean, typos = source(NOISY).hold_outs()
    assert clean.ids == typos.ids == tuple(sorted(clean.ids))
    assert len(clean) == 15


def test_hold_outs_and_batches_of_an_order_stand_where_the_column_says(source: Sources) -> None:
    found = source("order: {by: tokens, phases: 3, batches: 2}")
    lengths = [[len(text.split()) for text in one.texts] for one in found.hold_outs()]
    assert max(lengths[0]) <= min(lengths[1]) and max(lengths[1]) <= min(lengths[2])
    lengths = [[len(text.split()) for text in one.texts] for one in found.batches(0)]
    assert max(lengths[0] + lengths[1]) <= min(lengths[2] + lengths[3])
    assert max(lengths[2] + lengths[3]) <= min(lengths[4] + lengths[5])


def test_labels_arrive_one_after_the_other(source: Sources) -> None:
    found = source("order: {by: label, phases: 3, batches: 2}")
    came = [set(labels_of(found.corpus, batch.label_ids)) for batch in found.batches(0)]
    assert came[0] == {"art"} and came[5] == {"sky"} and "sea" in came[2]


# ---------------------------------------------------------------------------- the other corpora


def test_another_corpus_comes_under_the_labels_of_ours(source: Sources) -> None:
    found = source("phases: [{name: a, batches: 1}, {name: b, batches: 2, corpus: other}]")
    found.check()
    assert found.corpus_of(found.stream.phases[1]).name == "other"
    for documents in (found.batches(0)[1], found.hold_outs()[1]):
        words = {"art": "paint", "sky": "cloud"}
        for text, number in zip(documents.texts, documents.label_ids, strict=True):
            label = found.corpus.labels[number]
            other = words["sky" if label == "art" else "art"]
            assert label in words and other not in text.split()
    assert not set(found.batches(0)[0].ids) & set(found.batches(0)[1].ids)


def test_labels_of_another_corpus_that_come_must_be_ours(source: Sources) -> None:
    strange = "phases: [{name: a, batches: 1, corpus: strange%s}]"
    with pytest.raises(UnknownName, match="no label of corpus 'made' is called 'zoo'.*phase 'a'"):
        source(strange % "").check()
    found = source(strange % ", labels: {art: 1}")
    found.check()
    assert labels_of(found.corpus, found.batches(0)[0].label_ids) == {"art": 6}
    with pytest.raises(UnknownName, match="no label of corpus 'strange' is called 'sea'"):
        source(strange % ", labels: {sea: 1}").check()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("phases: [{name: a, batches: 1, labels: {sae: 1}}]", "did you mean 'sea'"),
        ("phases: [{name: a, batches: 1, corpus: mad}]", "no corpus is called 'mad'.*'made'"),
    ],
)
def test_names_that_there_are_not(source: Sources, content: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        source(content).check()


# ------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (
            "phases: [{name: long, batches: 12}]",
            {},
            r"stream phase 'long' needs 6 documents for batch \d+ of seed 0, and the split 'valid' "
            r"of corpus 'made' has \d that are right and not taken; lower stream.batch, or let it "
            "have fewer batches$",
        ),
        (
            "phases: [{name: a, batches: 4, labels: {art: 1}}]",
            {},
            "needs 6 documents of label 'art' for batch 4 of seed 0, .* has 2 that",
        ),
        (
            "phases: [{name: a, batches: 1, between: {tokens: [0, 0.2]}}]",
            {},
            "needs 15 documents for its hold-out, and the split 'test' of corpus 'made' has 12 "
            "that are right and not taken; lower stream.hold_out, or widen its between",
        ),
        (
            "phases: [{name: a, batches: 6}]",
            {"corpus": "{name: made, share: 0.5}"},
            "or raise corpus.share",
        ),
    ],
)
def test_what_the_corpus_cannot_give_is_said_with_the_numbers_before_any_work(
    source: Sources, content: str, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(Infeasible, match=message):
        source(content, **changes).check()


def test_every_seed_is_checked(source: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source("phases: [{name: a, batches: 2}]", seeds=(3, 1, 4))
    asked: list[int] = []
    whole = StreamSource.batches
    monkeypatch.setattr(
        StreamSource, "batches", lambda self, seed: (asked.append(seed), whole(self, seed))[1]
    )
    found.check()
    assert asked == [3, 1, 4]


# ---------------------------------------------------------------------------------- their tokens


@pytest.fixture
def encoder(store: Store, corpus: Corpus) -> Encoder:
    return Encoder(Library(store, corpus, 1.0), min_count=2, most_types=1000, most_tokens=12)


def test_tokens_are_those_of_the_noisy_texts_in_the_order_of_the_batch(
    source: Sources, encoder: Encoder
) -> None:
    found = source(NOISY)
    for place, level in ((1, 0.0), (2, 0.3)):
        key = found.encoded_batch(encoder, 1, place)
        kept = artefacts_of(encoder.library.store).load("tokens", key)
        batch = found.batches(1)[place]
        kind = "keyboard" if level else "none"
        noisy = corrupt_tokens(
            batch.texts, batch.ids, kind, level, 0, encoder.vocabulary, most_tokens=12
        )
        assert np.array_equal(kept.tensors["ids"], noisy.tokens.ids)
        assert np.array_equal(kept.tensors["offsets"], noisy.tokens.offsets)
        assert kept.tensors["labels"].tolist() == batch.label_ids.tolist()
        assert kept.config["doc_ids"] == list(batch.ids)
        assert (kept.config["realised_rate"] > 0.2) is bool(level)


def test_the_same_documents_under_the_same_noise_are_kept_once(
    source: Sources, encoder: Encoder
) -> None:
    found = source(NOISY)
    clean, typos = (found.encoded_hold_out(encoder, place) for place in (0, 1))
    assert clean != typos
    again = source(NOISY.replace("batches: 2", "batches: 1"))
    assert again.encoded_hold_out(encoder, 1) == typos
    assert source(NOISY.replace("0.3", "0.2")).encoded_hold_out(encoder, 1) != typos
    seeded = source(f"noise_seed: 1\n  {NOISY}")
    assert seeded.encoded_hold_out(encoder, 0) == clean
    assert seeded.encoded_hold_out(encoder, 1) != typos
    assert found.encoded_batch(encoder, 0, 0) != found.encoded_batch(encoder, 0, 1)
    assert found.encoded_batch(encoder, 0, 0) != found.encoded_batch(encoder, 1, 0)


# --------------------------------------------------------------------------------------- columns


@given(
    values=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    cuts=st.lists(st.floats(0, 1), max_size=4),
)
def test_quantiles_that_follow_one_another_part_the_documents(
    values: list[int], cuts: list[float]
) -> None:
    ids = [f"d{n}" for n in range(len(values))]
    column = np.array(values)
    ends = [0.0, *sorted(cuts), 1.0]
    parts = [between(column, ids, a, b) for a, b in zip(ends, ends[1:], strict=False)]
    assert (np.sum(parts, axis=0) == 1).all()
    filled = [column[part] for part in parts if part.any()]
    assert all(a.max() <= b.min() for a, b in zip(filled, filled[1:], strict=False))


def test_documents_of_one_value_are_parted_by_their_ids_alone() -> None:
    ids = [f"d{n}" for n in range(20)]
    half = between(np.zeros(20), ids, 0, 0.5)
    assert half.sum() == 10 and half.tolist() != [True] * 10 + [False] * 10
    back = between(np.zeros(20), ids[::-1], 0, 0.5)
    assert back.tolist() == half.tolist()[::-1]


def test_rarity_is_the_mean_surprise_of_a_document_by_how_many_have_its_tokens() -> None:
    known = Frequencies.of(["the sea the sea", "The sky", "the reef"])
    assert known.documents == 3 and known.having["the"] == 3 and known.having["sea"] == 1
    common, half, rare = known.rarity(["the", "THE sea", "comet"])
    assert common == pytest.approx(0)
    assert half == pytest.approx((0 + np.log(4 / 2)) / 2)
    assert rare == pytest.approx(np.log(4))


def test_a_stream_may_go_from_frequent_to_rare_words(source: Sources, store: Store) -> None:
    found = source(
        "drift: {phases: 2, batches: 2, first: {between: {rarity: [0, 0.4]}}, "
        "last: {between: {rarity: [0.6, 1]}}}"
    )
    library = Library(store, found.corpus, 1.0)
    known = Frequencies.of(library.texts("train"))
    batches = found.batches(0)
    rarity = [known.rarity(batch.texts) for batch in batches]
    assert max(rarity[0].max(), rarity[1].max()) <= min(rarity[2].min(), rarity[3].min())
    frequent, rare = (known.rarity(one.texts) for one in found.hold_outs())
    assert frequent.max() <= rare.min()
