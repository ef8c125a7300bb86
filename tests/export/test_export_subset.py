"""Exported subsets, read back the way their readers would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibkit._version import __version__
from calibkit.corpora.reading import find_corpus
from calibkit.corpora.text import clean, tokenize
from calibkit.corpora.vocabulary import SPECIALS
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.subsets import find_model
from calibkit.export.kinds import KINDS, kinds_of
from calibkit.export.subset import ExportedSubset, export_subset
from calibkit.identity import content_id, ordered_hash, sha256_hex
from calibkit.policies import make_policy
from calibkit.store import Store, insert

TOKENS = [name for name, kind in KINDS.items() if kind.has_tokens]


def rows_of(store: Store, subset: str) -> list[dict[str, Any]]:
    """What the store says of a subset, asked in another way than the export does."""
    query = """
        SELECT c.position, c.doc_id, l.label, d.text, d.label_id
        FROM subset_documents c JOIN subsets s USING (subset_id)
        JOIN documents d ON d.corpus_id = s.corpus_id AND d.doc_id = c.doc_id
        JOIN labels l ON l.corpus_id = d.corpus_id AND l.label_id = d.label_id
        WHERE c.subset_id = ? ORDER BY c.position"""
    with store.reading() as con:
        found = con.execute(query, [subset]).fetchall()
    names = ("position", "doc_id", "label", "text", "label_id")
    return [dict(zip(names, row, strict=True)) for row in found]


def told(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "subset.json").read_text())


def without_label_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "label_id"} for row in rows]


# ------------------------------------------------------------------------------------ every kind


@pytest.mark.parametrize("kind", kinds_of("subset"))
def test_every_kind_says_what_it_is(store: Store, modelled: Any, kind: str, tmp_path: Path) -> None:
    subset = modelled[1].subset
    done = export_subset(store, subset, kind, tmp_path / "out")
    rows, found = rows_of(store, subset), told(tmp_path / "out")
    with store.reading() as con:
        corpus = find_corpus(con, "made")
    ids = [row["doc_id"] for row in rows]
    assert found["ordered_hash"] == ordered_hash(ids)
    assert subset == content_id("subset", [found["corpus"]["id"], found["ordered_hash"]])
    expected = {
        "export": kind, "calibkit": __version__, "subset_id": subset, "size": 24,
        "corpus": {"id": corpus.corpus_id, "name": "made", "version": 1},
        "labels": ["art", "sea", "sky"], "policy": "random", "seed": 0, "pool": "train", "share": 1,
        "model_id": None,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["params"] == make_policy("random").params()
    assert found["profile"]["documents"] == 24
    assert sum(found["profile"]["label_mix"].values()) == pytest.approx(1)
    there = {path.name for path in (tmp_path / "out").iterdir()} - {"subset.json"}
    assert set(found["files"]) == there == set(done.files)
    assert KINDS[kind].writes in there
    for name, digest in found["files"].items():
        assert sha256_hex((tmp_path / "out" / name).read_bytes()) == digest
    assert done == ExportedSubset(subset, kind, tmp_path / "out", done.files, 24, existed=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no draft is left


@pytest.mark.parametrize("kind", kinds_of("subset"))
def test_the_same_export_again_changes_nothing(
    store: Store, modelled: Any, kind: str, tmp_path: Path
) -> None:
    first = export_subset(store, modelled[1].subset, kind, tmp_path / "out")
    (tmp_path / "out" / "__pycache__").mkdir()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    again = export_subset(store, modelled[1].subset, kind, tmp_path / "out")
    assert (first.existed, again.existed, again.files) == (False, True, first.files)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before


# ----------------------------------------------------------------------------------------- texts


def test_parquet_round_trip(store: Store, subset: str, tmp_path: Path) -> None:
    from pyarrow import parquet

    export_subset(store, subset, "parquet", tmp_path / "out")
    found = parquet.read_table(tmp_path / "out" / "subset.parquet")
    assert [str(field.type) for field in found.schema] == ["int32", "string", "string", "string"]
    assert found.to_pylist() == without_label_id(rows_of(store, subset))


def test_jsonl_round_trip(store: Store, subset: str, tmp_path: Path) -> None:
    export_subset(store, subset, "jsonl", tmp_path / "out")
    lines = (tmp_path / "out" / "subset.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == without_label_id(rows_of(store, subset))


def test_dataset_round_trip(
    store: Store, subset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    import datasets

    export_subset(store, subset, "hf-dataset", tmp_path / "out")
    assert capfd.readouterr() == ("", "")  # no progress bars
    assert not datasets.are_progress_bars_disabled()
    rows = rows_of(store, subset)
    wanted = [
        {name: row[name] for name in ("position", "doc_id")}
        | {"label": row["label_id"], "text": row["text"]}
        for row in rows
    ]
    found = datasets.load_from_disk(str(tmp_path / "out"))
    assert found.features["label"].names == ["art", "sea", "sky"]
    assert found.to_list() == wanted
    # on the hub, the card's header says which files are the data
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    shutil.copytree(tmp_path / "out", tmp_path / "hub", ignore=shutil.ignore_patterns("state.json"))
    datasets.disable_progress_bars()
    try:
        there = datasets.load_dataset(
            str(tmp_path / "hub"), split="train", cache_dir=str(tmp_path / "cache")
        )
    finally:
        datasets.enable_progress_bars()
    assert there.features == found.features
    assert there.to_list() == wanted


def test_the_card_says_how_the_subset_was_chosen(
    store: Store, modelled: Any, tmp_path: Path
) -> None:
    import yaml

    export_subset(store, modelled[2], "hf-dataset", tmp_path / "out")
    _, header, page = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    found = told(tmp_path / "out")
    assert yaml.safe_load(header)["license"] == "unknown"
    assert yaml.safe_load(header)["size_categories"] == ["n<1K"]
    for name, value in [
        ("corpus", "made, version 1"), ("corpus id", found["corpus"]["id"]),
        ("policy", "noise-mix"), ("size", 12), ("seed", 3), ("pool", "train"),
        ("share of the corpus", 1), ("hash of the ordered ids", found["ordered_hash"]),
        ("written by calibkit", __version__),
    ]:  # fmt: skip
        assert f"| {name} | `{value}` |" in page
    assert '"level": 0.5' in page and '"art": ' in page
    assert "hf upload YOUR-NAME/DATASET . . --repo-type dataset --private" in page
    assert "licence of the corpus" in page


def test_hostile_parameters_stay_in_their_cell_of_the_card() -> None:
    from calibkit.export.subset_card import code

    assert code("a | b\n`` c`") == "``` a \\| b `` c` ```"
    assert code({"a": [1, "x|y"]}) == '`{"a": [1, "x\\|y"]}`'


# ------------------------------------------------------------------------------------- token ids


@pytest.mark.parametrize("kind", TOKENS)
def test_token_ids_say_the_texts(store: Store, subset: str, kind: str, tmp_path: Path) -> None:
    export_subset(store, subset, kind, tmp_path / "out")
    rows = rows_of(store, subset)
    words = json.loads((tmp_path / "out" / "vocabulary.json").read_text())
    facts = told(tmp_path / "out")["tokens"]
    with np.load(tmp_path / "out" / "tokens.npz") as stored:
        assert sorted(stored) == ["flat", "ids", "labels", "lengths", "offsets"]
        found = dict(stored)
    assert found["ids"].shape == (len(rows), 82) and found["ids"].dtype == np.int32
    assert found["labels"].tolist() == [row["label_id"] for row in rows]
    types, place = words["types"], words["specials"]
    assert types[:4] == list(SPECIALS)
    for number, row in enumerate(rows):
        flat = found["flat"][found["offsets"][number] : found["offsets"][number + 1]].tolist()
        assert found["ids"][number].tolist() == flat + [0] * (82 - len(flat))
        assert len(flat) == found["lengths"][number]
        known = [word if word in types else "<unk>" for word in tokenize(row["text"])[:80]]
        assert [types[i] for i in flat] == ["<bos>", *known, "<eos>"]
        assert (flat[0], flat[-1]) == (place["bos"], place["eos"])
    assert words["vocabulary_id"] == facts["vocabulary_id"]
    assert facts["types"] == len(types) and facts["model_id"] is None
    assert (facts["most_tokens"], facts["width"], facts["share"]) == (80, 82, 1)


def test_the_vocabulary_file_is_enough_to_encode_other_texts(
    store: Store, modelled: Any, tmp_path: Path
) -> None:
    import re
    import unicodedata

    export_subset(store, modelled[1].subset, "numpy", tmp_path / "out")
    words = json.loads((tmp_path / "out" / "vocabulary.json").read_text())
    text = "  The O\u0308LD  harbour_1, near   the\tReef! "
    normal = " ".join(unicodedata.normalize(words["tokenizer"]["unicode"], text).split())
    assert normal == clean(text)
    assert re.findall(words["tokenizer"]["pattern"], normal.lower()) == tokenize(clean(text))


def test_a_model_s_vocabulary_is_the_one_it_reads_with(
    store: Store, modelled: Any, tmp_path: Path
) -> None:
    subset, model = modelled[1].subset, modelled[1].models["generative"]
    export_subset(store, subset, "numpy", tmp_path / "own")
    export_subset(store, subset, "numpy", tmp_path / "model", model=model[:8])
    with store.reading() as con:
        corpus, artefact = find_corpus(con, "made"), find_model(con, model)
    encoder = Encoder.of(Library(store, corpus, 1.0), artefact.settings)
    facts = told(tmp_path / "model")["tokens"]
    assert (facts["vocabulary_id"], facts["model_id"]) == (encoder.vocabulary.id, model)
    assert facts["vocabulary_id"] != told(tmp_path / "own")["tokens"]["vocabulary_id"]
    wanted = encoder.encode([row["text"] for row in rows_of(store, subset)])
    with np.load(tmp_path / "model" / "tokens.npz") as stored:
        assert stored["flat"].tolist() == wanted.ids.tolist()
        assert stored["offsets"].tolist() == wanted.offsets.tolist()


def test_long_documents_are_cut_where_the_model_cuts_them(
    store: Store, modelled: Any, tmp_path: Path
) -> None:
    with store.reading() as con:
        corpus = find_corpus(con, "made")
    row = {"model_key": "k1-short", "model_id": "m1-short", "kind": "generative", "share": 0.5}
    settings = {"kind": "generative", "epochs": 1, "min_count": 1, "most_tokens": 3}
    with store.writing() as con:
        insert(con, "models", [row | {"corpus_id": corpus.corpus_id, "settings": settings}])
    export_subset(store, modelled[1].subset, "numpy", tmp_path / "out", model="m1-short")
    with np.load(tmp_path / "out" / "tokens.npz") as stored:
        assert stored["ids"].shape == (24, 5) and stored["lengths"].tolist() == [5] * 24
        assert (stored["ids"][:, -1] == 3).all()
    assert told(tmp_path / "out")["tokens"]["share"] == 0.5
