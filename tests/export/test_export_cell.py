"""A cell as a folder: gated, with its card, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_cells import MeasuredCells, measure_cells

from calibkit.errors import BadInput, Infeasible, MissingExtra, StoreDamaged, UnknownName
from calibkit.export.cell import read_cell
from calibkit.export.classifier import export_cell
from calibkit.store import query
from calibkit.store.connection import Store

compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler here"
)
CELLS = [(kind, bits) for kind in ("discriminative", "generative") for bits in (8, 4, 3)]


def silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, make_corpus_files: Any) -> MeasuredCells:
    """Never to be changed."""
    return measure_cells(tmp_path_factory.mktemp("cells"), make_corpus_files)


def copied(cells: MeasuredCells, folder: Path) -> Store:
    path = folder / cells.store.path.name
    shutil.copyfile(cells.store.path, path)
    shutil.copytree(f"{cells.store.path}.d", f"{path}.d")
    return Store(path)


@pytest.mark.parametrize("kind, bits", CELLS)
def test_a_cell_is_the_one_that_was_measured(cells, kind, bits):
    said: list[str] = []
    found = read_cell(cells.store, cells.ids[kind, bits][:14], tell=said.append)
    assert (found.frozen.kind, found.frozen.scheme.bits) == (kind, bits)
    assert len(found.tested.texts) == len(found.tested.tokens) == found.stored["documents"] == 60
    assert abs(found.tested.accuracy - found.stored["accuracy"]) <= 0.05
    assert "evaluating 60 test documents in whole numbers" in said


@compiler
@pytest.mark.parametrize("kind, bits", CELLS)
def test_the_export_to_c_answers_as_the_cell(cells, kind, bits, tmp_path):
    cell_id = cells.ids[kind, bits]
    made = export_cell(cells.store, cell_id, "c", tmp_path / "out", tell=silent)
    assert made.files == (
        "CARD.md", "CMakeLists.txt", "card.json", "classifier.c", "classifier.h", "example.c"
    )  # fmt: skip
    assert "to the last digit, for all of 60 test documents, read from their text" in made.parity
    program = tmp_path / "program"
    sources = [tmp_path / "out" / name for name in ("example.c", "classifier.c")]
    subprocess.run(["cc", "-std=c99", "-O1", *sources, "-o", program], check=True)
    cell = read_cell(cells.store, cell_id, tell=silent)
    for row in range(0, 60, 7):
        line = [program, cell.tested.texts[row]]
        said = subprocess.run(line, capture_output=True, check=True, text=True).stdout.splitlines()
        assert said[0] == cell.frozen.labels[cell.tested.predicted[row]]
        scores = np.array([float(one.split()[0]) for one in said[1:]])
        ours = cell.tested.scores[row]
        assert np.allclose(scores - scores.max(), ours - ours.max(), atol=2e-6)


@pytest.mark.parametrize("kind, bits", CELLS)
def test_the_export_to_onnx_answers_as_the_cell(cells, kind, bits, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    cell_id = cells.ids[kind, bits]
    made = export_cell(cells.store, cell_id, "onnx", tmp_path / "out", opset=19, tell=silent)
    assert made.files == ("CARD.md", "card.json", "classifier.onnx")
    assert "gave calibkit's label for 100.00% of 60 test documents" in made.parity
    session = runtime.InferenceSession(str(tmp_path / "out" / "classifier.onnx"))
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["calibkit.facts"])["cell_id"] == cell_id
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["opset"] == 19 and card["artefact"]["agreement"] == 1.0


@compiler
def test_a_card_says_where_it_is_from_and_what_it_scores(cells, tmp_path):
    cell_id = cells.ids["discriminative", 4]
    export_cell(cells.store, cell_id, "c", tmp_path / "out", tell=silent)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["subset"]["size"] == 16 and card["subset"]["policy"] == "random"
    assert card["subset"]["profile"]["tokens"] > 16
    assert card["scheme"]["bits"] == 4
    assert "calibkit: 1" in card["recipe"] and card["no_recipe"] is None
    levels = [(row["noise_kind"], row["noise"]) for row in card["noise_curve"]]
    assert levels == [("none", 0.0), ("keyboard", 0.1)]
    rows = query(
        cells.store,
        f"SELECT noise, accuracy, float_accuracy, nll FROM results WHERE cell_id = '{cell_id}'",
    ).rows
    keys = ("noise", "accuracy", "float_accuracy", "nll")
    assert [tuple(row[key] for key in keys) for row in card["noise_curve"]] == rows
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert all(sizes[name] == size for name, size in card["artefact"]["bytes"].items())
    text = (tmp_path / "out" / "CARD.md").read_text()
    for part in (cell_id, "| keyboard | 0.1 |", "```yaml", card["subset"]["ordered_hash"]):
        assert part in text
    assert str(tmp_path) not in text + json.dumps(card)


@compiler
def test_the_same_export_stays_and_another_is_refused(cells, tmp_path):
    cell_id, out = cells.ids["discriminative", 8], tmp_path / "out"
    assert not export_cell(cells.store, cell_id, "c", out, tell=silent).existed
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = export_cell(cells.store, cell_id, "c", out, tell=silent)
    assert again.existed and "to the last digit" in again.parity
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(BadInput, match=f"another export .c of {cell_id}.; choose a new name"):
        export_cell(cells.store, cell_id, "c", out, text=False, tell=silent)
    (out / "classifier.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(BadInput, match=r"classifier\.c is not as it was written"):
        export_cell(cells.store, cell_id, "c", out, tell=silent)


@compiler
def test_what_does_not_pass_the_gate_is_not_written(cells, tmp_path, monkeypatch):
    from calibkit.export.c import source

    real = source.lstm_constants

    def corrupted(network, lstm, codes):
        wrong = dataclasses.replace(lstm, squash=-lstm.squash)
        return real(network, wrong, codes)

    monkeypatch.setattr(source, "lstm_constants", corrupted)
    with pytest.raises(Infeasible, match=r"differs first at lstm\.tanh_hidden, step 0, unit 0"):
        export_cell(cells.store, cells.ids["generative", 4], "c", tmp_path / "out", tell=silent)
    assert not any(tmp_path.iterdir())


def test_bad_requests_name_what_is_wrong(cells, tmp_path, monkeypatch):
    store, cell_id, out = cells.store, cells.ids["discriminative", 4], tmp_path / "out"
    with pytest.raises(UnknownName, match="no kind of export is called 'parquet'"):
        export_cell(store, cell_id, "parquet", out, tell=silent)
    with pytest.raises(BadInput, match="no cell has an id that starts with 'x1-zz'"):
        export_cell(store, "x1-zz", "onnx", out, tell=silent)
    with pytest.raises(BadInput, match="opset 7: graphs are written in opset"):
        export_cell(store, cell_id, "onnx", out, opset=7, tell=silent)
    with pytest.raises(BadInput, match="--opset 21: C has no operator sets"):
        export_cell(store, cell_id, "c", out, opset=21, tell=silent)
    with pytest.raises(BadInput, match="--no-text: an ONNX file reads token ids"):
        export_cell(store, cell_id, "onnx", out, text=False, tell=silent)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BadInput, match="the C compiler 'no-such-compiler' is not there"):
        export_cell(store, cell_id, "c", out, tell=silent)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'calibkit\[onnx\]'"):
        export_cell(store, cell_id, "onnx", out, tell=silent)
    assert not out.exists()


def test_a_network_that_is_not_the_measured_one_is_no_export(cells, tmp_path):
    store, cell_id = copied(cells, tmp_path), cells.ids["discriminative", 8]
    with store.writing() as con:
        con.execute(
            "UPDATE predictions SET predicted = [(x + 1) % 4 FOR x IN predicted]"
            f" WHERE cell_id = '{cell_id}'"
        )
    with pytest.raises(StoreDamaged, match="labels 60 of 60 test documents otherwise"):
        read_cell(store, cell_id, tell=silent)


def test_a_dynamic_cell_has_nothing_to_export(tmp_path, make_corpus_files):
    found = measure_cells(tmp_path, make_corpus_files, dynamic=True)
    with pytest.raises(BadInput, match="quantizes activations dynamically"):
        read_cell(found.store, found.ids["discriminative", 8], tell=silent)
