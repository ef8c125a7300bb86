from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.corpora import documents, find_corpus, ingest
from calibkit.corpora.ingest import prepared
from calibkit.corpora.text import clean
from calibkit.errors import BadInput, StoreError
from calibkit.store import Store

pytestmark = pytest.mark.smoke


def table(store, sql):
    with store.reading() as con:
        return con.execute(sql).fetchall()


def everything(store):
    return table(
        store,
        "SELECT split, label, text, tokens, is_duplicate, in_test, doc_id"
        " FROM documents JOIN labels USING (corpus_id, label_id) ORDER BY ALL",
    )


FORMATS = ["csv", "tsv", "jsonl", "parquet", "csv.gz", "tsv.gz", "jsonl.gz", "parquet.gz"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_documents(name, fresh_store, write, labelled, tmp_path):
    tricky = [('say "hi",\tplease', "apple"), ("é\u0301 naïve — text", "bread")]
    rows = [*labelled, *tricky]
    if name.startswith("csv"):
        rows.append(("two\nlines", "apple"))
    else:
        rows.append(("two lines", "apple"))
    report = ingest(
        fresh_store,
        "mine",
        train=write(f"train.{name}", rows),
        valid=write(f"valid.{name}", labelled[:6] + labelled[40:50]),
        test=write(f"test.{name}", [("something else", "cheese")]),
    )
    assert report.documents == {"train": 93, "valid": 16, "test": 1}
    assert report.labels == ("apple", "bread", "cheese")
    assert (report.version, report.already_there, report.notes) == (1, False, ())
    direct = Store(tmp_path / "other.duckdb")
    other = ingest(
        direct,
        "mine",
        train=write("plain.jsonl", [(clean(text), label) for text, label in rows]),
        valid=write("plain2.jsonl", labelled[:6] + labelled[40:50]),
        test=write("plain3.jsonl", [("something else", "cheese")]),
    )
    assert other.corpus_id == report.corpus_id
    assert everything(direct) == everything(fresh_store)


def test_documents_have_the_promised_columns(fresh_store, write):
    train = [("A  b, c", "y"), ("A b, c", "x"), ("once", "x"), ("in both", "y"), ("once", "x")]
    report = ingest(
        fresh_store,
        "tiny",
        train=write("train.csv", train),
        valid=write("valid.csv", [("v", "x")]),
        test=write("test.csv", [("in both", "x"), ("t", "y"), ("t", "y")]),
    )

    def doc_id(split, label, text, occurrence):
        raw = "\x1f".join(["tiny", split, label, text, str(occurrence)])
        return "d1-" + hashlib.md5(raw.encode()).hexdigest()[:20]

    assert everything(fresh_store) == sorted(
        (split, label, text, tokens, duplicate, in_test, doc_id(split, label, text, occurrence))
        for split, label, text, tokens, duplicate, in_test, occurrence in [
            ("train", "x", "A b, c", 4, False, False, 0),
            ("train", "y", "A b, c", 4, True, False, 0),
            ("train", "x", "once", 1, False, False, 0),
            ("train", "x", "once", 1, True, False, 1),
            ("train", "y", "in both", 2, False, True, 0),
            ("valid", "x", "v", 1, False, False, 0),
            ("test", "x", "in both", 2, False, False, 0),
            ("test", "y", "t", 1, False, False, 0),
            ("test", "y", "t", 1, True, False, 1),
        ]
    )
    assert (report.duplicates, report.in_test) == (3, 1)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a", "b b", "c,c", "é"]), st.sampled_from(["x", "y"])),
        min_size=4,
        max_size=25,
    ),
    random=st.randoms(),
)
def test_ids_and_splits_do_not_depend_on_row_order(tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("order")
    seeds = [(f"{label}{number}", label) for label in ("x", "y") for number in range(10)]
    found = []
    for attempt in range(2):
        mixed = [*rows, *seeds]
        random.shuffle(mixed)
        path = folder / f"{attempt}.jsonl"
        path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in mixed))
        with prepared("mine", files={"train": path}) as corpus:
            listed = corpus.staging.con.execute(
                "SELECT doc_id, split, label, text, is_duplicate, in_test FROM finished"
            ).fetchall()
            found.append((corpus.staged.corpus_id, sorted(listed)))
    assert found[0] == found[1]
    ids = [row[0] for row in found[0][1]]
    assert len(set(ids)) == len(ids) == len(rows) + len(seeds)


def test_the_same_content_again_is_reported_and_other_content_is_the_next_version(
    fresh_store, write, labelled
):
    first = ingest(fresh_store, "mine", train=write("train.csv", labelled))
    before = everything(fresh_store)
    again = ingest(fresh_store, "mine", train=write("other.jsonl", labelled[::-1]))
    assert (again.already_there, again.version) == (True, 1)
    assert again.corpus_id == first.corpus_id
    assert everything(fresh_store) == before

    second = ingest(fresh_store, "mine", train=write("train.csv", labelled[1:]))
    assert (second.already_there, second.version) == (False, 2)
    with fresh_store.reading() as con:
        assert find_corpus(con, "mine").corpus_id == second.corpus_id
    back = ingest(fresh_store, "mine", train=write("train.csv", labelled))
    assert (back.already_there, back.version) == (True, 1)
    assert "keeps meaning version 2" in back.notes[-1]
    other = ingest(fresh_store, "yours", train=write("train.csv", labelled))
    assert (other.version, other.already_there) == (1, False)
    assert other.corpus_id != first.corpus_id


def test_missing_splits_are_taken_from_train_label_by_label(fresh_store, write, labelled):
    report = ingest(fresh_store, "mine", train=write("train.csv", labelled * 2))
    assert report.documents == {"train": 126, "valid": 18, "test": 36}
    assert "10% for valid and 20% for test" in report.notes[0]
    per_label = table(
        fresh_store, "SELECT split, label_id, count(*) FROM documents GROUP BY ALL ORDER BY ALL"
    )
    counts = {"test": 12, "train": 42, "valid": 6}
    assert per_label == [(split, label, n) for split, n in counts.items() for label in range(3)]
    assert report.in_test == 0  # equal texts stay together
    ((source,),) = table(fresh_store, "SELECT source FROM corpora")
    assert json.loads(source)["split_by_calibkit"] == {"valid": 0.1, "test": 0.2}


def test_only_the_missing_split_is_taken(fresh_store, write, labelled):
    report = ingest(
        fresh_store,
        "mine",
        train=write("train.csv", labelled),
        test=write("test.csv", [("t", "apple")]),
    )
    assert report.documents == {"train": 81, "valid": 9, "test": 1}


def test_the_source_files_are_recorded_by_hash(fresh_store, write, labelled):
    path = write("train.csv.gz", labelled)
    ingest(fresh_store, "mine", train=path)
    ((source, documents_, labels, provenance),) = table(
        fresh_store, "SELECT source, documents, labels, provenance FROM corpora"
    )
    recorded = json.loads(source)["splits"]["train"]
    assert recorded["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recorded["bytes"] == path.stat().st_size
    assert (documents_, labels, provenance) == (90, 3, "files train.csv.gz")


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet", "train.csv"])
def test_class_numbers_become_their_text(name, fresh_store, write):
    rows = [(f"text {number}", number % 3) for number in range(30)]
    assert ingest(fresh_store, "mine", train=write(name, rows)).labels == ("0", "1", "2")


def test_columns_may_have_other_names_and_neighbours(fresh_store, write, tmp_path):
    path = tmp_path / "wide.csv"
    lines = [f"{number},topic {number % 2},ignored,body {number}" for number in range(20)]
    path.write_text("\ufeffid,topic,more,body\r\n" + "\r\n".join(lines) + "\r\n\r\n")
    report = ingest(fresh_store, "mine", train=path, text_column="body", label_column="topic")
    assert report.labels == ("topic 0", "topic 1")
    assert sum(report.documents.values()) == 20


def test_bad_rows_can_be_left_out_on_purpose_and_are_counted(fresh_store, write, labelled):
    bad = [*labelled, ("", "apple"), ("no label", ""), ("fine", "apple")]
    path = write("train.csv", bad)
    report = ingest(fresh_store, "mine", train=path, on_error="skip", max_rejects=2)
    assert (report.skipped, sum(report.documents.values())) == (2, 91)
    assert report.problems == (f"{path}:92: empty text", f"{path}:93: empty label")
    with pytest.raises(BadInput, match="more than 1 bad rows .--max-rejects.: nothing"):
        ingest(fresh_store, "other", train=path, on_error="skip", max_rejects=1)


def test_strict_refuses_repeats(fresh_store, write, labelled):
    train = write("train.csv", [*labelled, labelled[0]])
    test = write("test.csv", labelled[:2])
    with pytest.raises(BadInput) as caught:
        ingest(fresh_store, "mine", train=train, test=test, strict=True)
    assert "1 documents repeat a text of the same split" in str(caught.value)
    assert "have a text that stands in the test split" in str(caught.value)
    assert not fresh_store.exists()


def test_a_full_disk_is_noticed_before_anything_is_written(
    fresh_store, write, labelled, monkeypatch
):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(StoreError, match="nothing was written"):
        ingest(fresh_store, "mine", train=write("train.csv", labelled))
    assert not fresh_store.exists()


def test_a_failure_while_writing_leaves_nothing_behind(fresh_store, write, labelled, monkeypatch):
    ingest(fresh_store, "mine", train=write("train.csv", labelled))
    before = everything(fresh_store)

    def fail(self, con, staged):
        con.execute("INSERT INTO labels VALUES (?, 0, 'half')", [staged.corpus_id])
        raise RuntimeError("power cut")

    monkeypatch.setattr("calibkit.corpora.staging.Staging.copy_into", fail)
    with pytest.raises(RuntimeError):
        ingest(fresh_store, "mine", train=write("train.csv", labelled[5:]))
    assert everything(fresh_store) == before
    assert table(fresh_store, "SELECT count(*) FROM corpora") == [(1,)]
    assert table(fresh_store, "SELECT count(*) FROM labels") == [(3,)]


AG_NEWS = Path(__file__).parents[3] / "shared" / "data" / "ag_news"


@pytest.mark.skipif(not AG_NEWS.is_dir(), reason=f"no AG News at {AG_NEWS}")
def test_ag_news_is_ingested_whole(fresh_store):
    files = {split: AG_NEWS / f"{split}.csv" for split in ("train", "valid", "test")}
    report = ingest(fresh_store, "ag_news", **files)
    assert report.documents == {"train": 14_960, "valid": 4_993, "test": 7_600}
    assert report.labels == ("Business", "Sci/Tech", "Sports", "World")
    with fresh_store.reading() as con:
        corpus = find_corpus(con, "ag_news")
        assert corpus.documents == report.documents
        assert len(documents(con, corpus, "test")) == 7_600
