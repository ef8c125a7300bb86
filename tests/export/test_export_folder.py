"""Where an export may go, what it refuses, and what is left of one that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calibkit.errors import BadInput, MissingExtra, UnknownName
from calibkit.export.subset import ExportedSubset, export_subset
from calibkit.store import Store, insert


def refused(call: Callable[[], Any], said: str, error: type[Exception] = BadInput) -> None:
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value)


def test_a_folder_with_anything_else_is_left_alone(
    store: Store, modelled: Any, tmp_path: Path
) -> None:
    subset, out = modelled[1].subset, tmp_path / "out"

    def again(kind: str = "jsonl", which: str = subset) -> ExportedSubset:
        return export_subset(store, which, kind, out)

    out.mkdir()
    assert not again().existed  # an empty one may be filled
    refused(lambda: again("numpy"), f"it holds another export (jsonl of {subset})")
    refused(lambda: again(which=modelled[2]), f"another export (jsonl of {subset})")
    (out / "subset.jsonl").write_text("changed")
    refused(again, "but subset.jsonl is not as it was written")
    (out / "subset.json").write_text("[]")
    refused(again, "the folder is not empty, and an export overwrites nothing: choose a new name")
    assert (out / "subset.jsonl").read_text() == "changed"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_places_that_cannot_be_used_are_refused(
    store: Store, modelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = modelled[1].subset
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    for place, said in [
        (tmp_path / "file", "this is a file"),
        (tmp_path / "no" / "out", "there is no folder"),
        (store.folder / "out", "belongs to the store"),
        (Path(), "name one inside of it"),
        (tmp_path / ("x" * 230), "too long for a folder"),
    ]:
        refused(lambda place=place: export_subset(store, subset, "jsonl", place), said)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_an_export_that_fails(
    store: Store, modelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("calibkit.export.subset.write_module", fail)
    with pytest.raises(KeyboardInterrupt):
        export_subset(store, modelled[1].subset, "litert", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert list((store.folder / "drafts").glob("[!.]*.json")) == []


def test_what_a_killed_export_leaves_is_found_by_gc(store: Store, tmp_path: Path) -> None:
    from calibkit.store.drafts import abandoned, drafted
    from calibkit.store.opening import folder_of

    with drafted(store, tmp_path / "out") as draft:
        folder_of(draft).mkdir()  # where an export is made, as a killed one leaves it
    assert folder_of(draft) in abandoned(store)
    folder_of(draft).rmdir()


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("hf-dataset", "datasets")])
def test_a_missing_package_is_named(
    store: Store, modelled: Any, kind: str, package: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    refused(
        lambda: export_subset(store, modelled[1].subset, kind, tmp_path / "out"),
        f"--to {kind} needs the package {package}",
        MissingExtra,
    )
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_says_why(store: Store, modelled: Any, tmp_path: Path) -> None:
    subset, out = modelled[1].subset, tmp_path / "out"
    rows = [
        {"model_key": "k1-other", "model_id": "m1-other", "kind": "generative", "share": 1.0}
        | {"corpus_id": "c1-other", "settings": {"kind": "generative", "epochs": 1}},
        {"model_key": "k1-older", "model_id": "m1-older", "kind": "generative", "share": 1.0}
        | {"settings": {"kind": "generative", "epochs": 1}, "vocabulary_id": "v1-older"}
        | {"corpus_id": subset_corpus(store, subset)},
    ]
    with store.writing() as con:
        insert(con, "models", rows)
    for kind, model, said in [
        ("jsonl", "m1-other", "jsonl has texts; leave --model out"),
        ("numpy", "m1-none", "no model with an id that starts with 'm1-none'"),
        ("numpy", "m1-other", "was trained on corpus 'c1-other', and the subset is of 'made'"),
        ("torch", "m1-older", "has another vocabulary than corpus 'made', version 1"),
    ]:
        refused(lambda k=kind, m=model: export_subset(store, subset, k, out, model=m), said)
    refused(lambda: export_subset(store, subset, "pickle", out), "'pickle'", UnknownName)
    refused(lambda: export_subset(store, "s1-none", "jsonl", out), "no documents of the subset")
    assert list(tmp_path.iterdir()) == []


def subset_corpus(store: Store, subset: str) -> str:
    with store.reading() as con:
        row = con.execute("SELECT corpus_id FROM subsets WHERE subset_id = ?", [subset]).fetchone()
    assert row is not None
    return str(row[0])
