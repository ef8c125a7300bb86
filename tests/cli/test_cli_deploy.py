"""``calibkit bench deploy``: what is measured, what is kept, what is refused."""

from __future__ import annotations

import json
import shutil

import pytest
from measured_cells import measure_cells

from calibkit.errors import ExitCode
from calibkit.store import query

pytest.importorskip("onnxruntime")
compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler here"
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory, make_corpus_files):
    return measure_cells(tmp_path_factory.mktemp("deployed"), make_corpus_files)


@compiler
def test_sizes_times_and_accuracies_are_kept(run, cells):
    wanted = [cells.ids["discriminative", 4], cells.ids["generative", 8]]
    line = ("--store", cells.store.path, "bench", "deploy", "--quick", "--cells", ",".join(wanted))
    done = run(*line, "--json")
    assert done.exit_code == ExitCode.DONE, done.stderr
    rows = [json.loads(text) for text in done.stdout.splitlines()]
    artefacts = ["onnx-float", "onnx-dynamic", "torch-dynamic", "onnx", "c"]
    assert [(row["cell_id"], row["artefact"]) for row in rows] == [
        (cell, artefact) for cell in wanted for artefact in artefacts
    ]
    for row in rows:
        assert row["documents"] == 60 and row["timed_documents"] == 16
        assert row["seconds_64"] > 0 and 0 < row["latency_ratio_1_low"] <= row["latency_ratio_1"]
        assert row["peak_mb"] is None or row["peak_mb"] > 0.5
    shown = query(
        cells.store,
        "SELECT cell_id, artefact, accuracy, size_bytes, size_ratio, latency_ratio_1, bits,"
        " model_kind FROM deployments",
    ).rows
    assert len(shown) == 10
    by_key = {row[:2]: row[2:] for row in shown}
    for row in rows:
        accuracy, size, ratio, latency, bits, kind = by_key[row["cell_id"], row["artefact"]]
        assert (accuracy, size, latency) == (
            row["accuracy"], row["size_bytes"], row["latency_ratio_1"]
        )  # fmt: skip
        assert ratio == pytest.approx(row["size_ratio"]) and kind == row["kind"]
        assert bits == (row["bits"] if row["artefact"] in ("onnx", "c") else None)
    for cell, bits in ((wanted[0], 4), (wanted[1], 8)):
        own = {row["artefact"]: row for row in rows if row["cell_id"] == cell}
        assert own["c"]["bits"] == bits and own["c"]["accuracy"] == own["onnx"]["accuracy"]
        assert own["c"]["nll"] == pytest.approx(own["onnx"]["nll"], rel=1e-5)
        assert own["onnx-float"]["agreement"] == own["onnx-float"]["size_ratio"] == 1.0


def test_a_table_for_people_has_a_line_an_artefact(run, cells, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    line = ("bench", "deploy", "--quick", "--cells", cells.ids["discriminative", 3])
    done = run("--store", cells.store.path, *line)
    assert done.exit_code == ExitCode.DONE, done.stderr
    assert "c is left out: the C compiler 'no-such-compiler' is not there" in done.stderr
    assert "onnx-dynamic" in done.stdout and "quick sizes: no target applies" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy",), "name some with --cells"),
        (("deploy", "--cells", " , "), "the list is empty"),
        (("deploy", "--cells", "x1-zz"), "no cell has an id that starts with 'x1-zz'"),
        (("deploy", "--documents", "1e6"), "are for `calibkit bench select`"),
        (("ks", "--cells", "x1-1"), "--cells is for `calibkit bench deploy`"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_usage(run, cells, words, said):
    done = run("--store", cells.store.path, "bench", *words)
    assert (done.exit_code, done.stdout) == (ExitCode.USAGE, "")
    assert said in done.stderr
