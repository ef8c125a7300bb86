"""Vectors that come with documents: in and out again, and everything that can be wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import documents, find_corpus
from calibkit.corpora.validation import Limits, Row
from calibkit.corpora.vectors import VectorColumn, vectors_of
from calibkit.errors import BadInput
from calibkit.store.connection import Store

HEADER = ("text", "label", "emb")
LENGTH = 3


def vector_of(text):
    """A vector that tells its text: float32 numbers, some of them hard to write down."""
    rng = np.random.default_rng(list(text.encode()))
    return (rng.standard_normal(LENGTH) * 10.0 ** rng.integers(-30, 30, LENGTH)).astype(np.float32)


def with_vectors(rows, kind):
    """Rows with one more field: the text of a list in csv and tsv, a list in the others."""
    found = []
    for text, label in rows:
        vector = [float(number) for number in vector_of(text)]
        found.append((text, label, json.dumps(vector) if kind in ("csv", "tsv") else vector))
    return found


def read(store, split, name="made"):
    with store.reading() as con:
        corpus = find_corpus(con, name)
        found = documents(con, corpus, split)
        return found.texts, vectors_of(con, corpus, found.ids)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.parquet.gz"])
def test_vectors_come_back_with_their_documents(name, write, labelled, fresh_store):
    """Also those that valid and test were made of."""
    rows = with_vectors(labelled, name.split(".")[1])
    report = ingest(fresh_store, "made", train=write(name, rows, HEADER), vectors="emb")
    assert report.vector_length == LENGTH
    for split in ("train", "valid", "test"):
        texts, vectors = read(fresh_store, split)
        assert vectors.dtype == np.float32
        assert np.array_equal(vectors, [vector_of(text) for text in texts])


def test_all_formats_give_the_same_corpus(write, labelled, tmp_path):
    found = set()
    for number, kind in enumerate(("csv", "jsonl", "parquet")):
        store = Store(tmp_path / f"{number}.duckdb")
        file = write(f"a.{kind}", with_vectors(labelled, kind), HEADER)
        found.add(ingest(store, "made", train=file, vectors="emb").corpus_id)
    assert len(found) == 1


def test_files_of_their_own_splits_keep_their_vectors(write, labelled, fresh_store):
    """Line 2 of every file has another document, and another vector."""
    parts = {"train": labelled[0::3], "valid": labelled[1::3], "test": labelled[2::3]}
    kinds = {"train": "csv", "valid": "jsonl", "test": "parquet"}
    files = {
        split: write(f"{split}.{kinds[split]}", with_vectors(rows, kinds[split]), HEADER)
        for split, rows in parts.items()
    }
    ingest(fresh_store, "made", **files, vectors="emb")
    for split, rows in parts.items():
        texts, vectors = read(fresh_store, split)
        assert sorted(texts) == sorted(text for text, _ in rows)
        assert np.array_equal(vectors, [vector_of(text) for text in texts])


def test_other_vectors_make_another_version_and_the_same_do_not(write, labelled, fresh_store):
    rows = with_vectors(labelled, "jsonl")
    plain = ingest(fresh_store, "made", train=write("a.jsonl", rows, HEADER))
    first = ingest(fresh_store, "made", train=write("a.jsonl", rows, HEADER), vectors="emb")
    shuffled = write("b.jsonl", rows[::-1], HEADER)
    again = ingest(fresh_store, "made", train=shuffled, vectors="emb")
    rows[40][2][1] = 0.5
    changed = ingest(fresh_store, "made", train=write("c.jsonl", rows, HEADER), vectors="emb")
    assert [r.version for r in (plain, first, again, changed)] == [1, 2, 2, 3]
    assert [r.already_there for r in (plain, first, again, changed)] == [False, False, True, False]
    assert len({plain.corpus_id, first.corpus_id, changed.corpus_id}) == 3
    with fresh_store.reading() as con:
        (stored,) = con.execute("SELECT count(*) FROM document_vectors").fetchone()
    assert stored == 2 * len(labelled)


def test_without_the_option_nothing_changes(write, labelled, fresh_store, tmp_path):
    """The column may be there, and anything may stand in it."""
    rows = [(*row, "no vector") for row in labelled]
    one = ingest(fresh_store, "made", train=write("a.csv", rows, HEADER))
    other = ingest(Store(tmp_path / "other.duckdb"), "made", train=write("b.csv", labelled))
    assert one.corpus_id == other.corpus_id
    assert one.vector_length == 0
    with pytest.raises(
        BadInput, match=r"version 1, has vectors for 0 of these \d+ documents.*--vectors COLUMN"
    ):
        read(fresh_store, "train")


BAD = {
    "none": (None, "no vector in 'emb'"),
    "empty": ([], "an empty vector in 'emb'"),
    "short": ([1.0, 2.0], r"a vector of 2 numbers in 'emb', where the first one \(.*:\d\) has 3"),
    "nan": ([1.0, float("nan"), 2.0], "'emb' holds nan, and every number must be finite"),
    "infinite": ([1.0, 2.0, float("-inf")], "'emb' holds -inf, and every number must be finite"),
    "too large": (
        [1.0, 2.0, 1e39],
        r"'emb' holds 1e\+39, and every number must be finite in float",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_bad_vector_is_told_with_its_line(what, kind, write, labelled, fresh_store):
    value, told = BAD[what]
    rows = with_vectors(labelled, kind)
    text = "" if value is None else json.dumps(value)
    rows[5] = (*labelled[5], text if kind == "csv" else value)
    file = write(f"a.{kind}", rows, HEADER)
    line = {"csv": 7, "jsonl": 6, "parquet": 6}[kind]
    with pytest.raises(BadInput, match=rf"a\.{kind}:{line}: {told}"):
        ingest(fresh_store, "made", train=file, vectors="emb")
    assert not fresh_store.path.exists()
    report = ingest(fresh_store, "made", train=file, vectors="emb", on_error="skip")
    assert report.skipped == 1
    texts = [text for split in ("train", "valid", "test") for text in read(fresh_store, split)[0]]
    assert len(texts) == len(labelled) - 1


@pytest.mark.parametrize(
    "text",
    ["0.1, 2", "[0.1 0.2]", "{}", "[1, true]", '[1, "2"]', "[[1, 2]]", "[1, null]", "7", "["],
)
def test_text_that_is_no_list_of_numbers_is_told(text, write, labelled, fresh_store):
    rows = [*with_vectors(labelled, "csv"), ("one more", "apple", text)]
    with pytest.raises(BadInput, match="csv:92: 'emb' is no list of numbers such as .0.1, 0.2.: "):
        ingest(fresh_store, "made", train=write("a.csv", rows, HEADER), vectors="emb")


def test_a_missing_number_in_parquet_is_not_finite(write, labelled, fresh_store):
    rows = with_vectors(labelled, "parquet")
    rows[3] = (*labelled[3], [1.0, None, 2.0])
    with pytest.raises(BadInput, match="parquet:4: 'emb' holds nan"):
        ingest(fresh_store, "made", train=write("a.parquet", rows, HEADER), vectors="emb")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(kind, write, labelled, fresh_store):
    file = write(f"a.{kind}", with_vectors(labelled, kind), HEADER)
    with pytest.raises(BadInput, match="'embedding'.*text, label, emb; choose one with --vectors"):
        ingest(fresh_store, "made", train=file, vectors="embedding")


def test_what_cannot_be_vectors_is_refused(write, labelled, fresh_store):
    texts = write("a.parquet", labelled)
    with pytest.raises(BadInput, match="column 'label' is taken for the text or the label"):
        ingest(fresh_store, "made", train=texts, vectors="label")
    rows = [(*row, "x") for row in labelled]
    with pytest.raises(BadInput, match="'emb' holds string, not lists of numbers"):
        ingest(fresh_store, "made", train=write("b.parquet", rows, HEADER), vectors="emb")
    with pytest.raises(BadInput, match="'docstrings' has no vectors"):
        ingest(fresh_store, "made", source="docstrings", vectors="emb")


def test_only_one_split_without_the_column_is_an_error(write, labelled, fresh_store):
    train = write("a.csv", with_vectors(labelled, "csv"), HEADER)
    test = write("b.csv", labelled[:9])
    with pytest.raises(BadInput, match=r"b\.csv:1: no column is called 'emb'"):
        ingest(fresh_store, "made", train=train, test=test, vectors="emb")


def test_the_first_vector_of_all_says_the_length(write, labelled, fresh_store):
    train = write("a.jsonl", with_vectors(labelled, "jsonl"), HEADER)
    test = write("b.jsonl", [(*row, [0.0]) for row in labelled[:2]], HEADER)
    with pytest.raises(BadInput) as error:
        ingest(fresh_store, "made", train=train, test=test, vectors="emb")
    assert "b.jsonl:1: a vector of 1 numbers in 'emb', where the first one (" in str(error.value)
    assert "b.jsonl:2" in str(error.value)
    assert "a.jsonl:1) has 3" in str(error.value)


def test_fixed_size_lists_and_whole_numbers_are_vectors_too(tmp_path, labelled, fresh_store):
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = np.arange(2 * len(labelled))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers), 2)
    texts, labels = zip(*labelled, strict=True)
    table = pa.table({"text": list(texts), "label": list(labels), "emb": lists})
    pq.write_table(table, tmp_path / "a.parquet")
    ingest(fresh_store, "made", train=tmp_path / "a.parquet", vectors="emb")
    found, vectors = read(fresh_store, "train")
    expected = {text: numbers[2 * i : 2 * i + 2].tolist() for i, text in enumerate(texts)}
    assert vectors.tolist() == [expected[text] for text in found]


def test_vectors_of_a_dataset_are_read_as_well(tmp_path, labelled, fresh_store):
    datasets = pytest.importorskip("datasets")
    texts, labels = zip(*labelled, strict=True)
    columns = {"text": texts, "label": labels, "emb": [vector_of(text) for text in texts]}
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "set"))
    ingest(fresh_store, "made", source=f"hub:{tmp_path / 'set'}", vectors="emb")
    found, vectors = read(fresh_store, "train")
    assert np.array_equal(vectors, [vector_of(text) for text in found])


def test_a_vector_has_a_largest_length():
    column = VectorColumn("emb", replace(Limits(), vector_numbers=4))
    (row,) = column.checked("a", [Row(1, "text", "label", "", [0.0] * 5)])
    assert row.problem == "a vector of 5 numbers in 'emb'; at most 4 may be"
    (row,) = column.checked("a", [Row(1, "text", "label", "", [10**400, 0])])
    assert row.problem == "'emb' holds inf, and every number must be finite in float32"
    (row,) = column.checked("a", [Row(1, None, None, "ragged", None)])
    assert row.problem == "ragged"
    assert column.length == 0


def test_documents_without_vectors_are_counted(write, labelled, fresh_store):
    ingest(
        fresh_store, "made", train=write("a.csv", with_vectors(labelled, "csv"), HEADER),
        vectors="emb",
    )  # fmt: skip
    with fresh_store.reading() as con:
        corpus = find_corpus(con, "made")
        ids = documents(con, corpus, "train").ids
        with pytest.raises(BadInput, match=f"has vectors for 0 of these {len(ids) + 1} documents"):
            vectors_of(con, corpus, ["d0-nobody", *ids])
        con.execute("FROM documents").fetchone()  # and not read to its end
        assert len(vectors_of(con, corpus, ids[:7])) == 7
