"""``calibkit sensitivity`` on hand-made models."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from calibkit.cli.sensitivity_rows import bars
from calibkit.recipe import parse_recipe

Run = Callable[..., Result]

RECIPE = """\
calibkit: 1
name: suggested
corpus: {name: made}
models: {discriminative: {}}
policies: {random: {use: random}}
grid: {model: [discriminative], policy: [random], size: [8], seed: [0], bits: [3]}
"""
FEW = ("--documents", 20, "--only", "lstm.cell", "--only", "embedding", "--evaluations", 4)


@pytest.fixture(scope="module")
def line(modelled_store: Any) -> tuple[Any, ...]:
    model = modelled_store.models["discriminative"]
    named = ("--model", model[:9], "--subset", modelled_store.subset)
    return ("--store", modelled_store.path, "sensitivity", *named)


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_json_has_a_line_per_row(run: Run, line: Any) -> None:
    result = run(*line, *FEW, "--json")
    rows = objects(result)
    assert [row["kind"] for row in rows] == [
        "reference", "reference", "reference", "low-alone", "low-alone", "high-alone",
        "high-alone", "reference", "suggestion",
    ]  # fmt: skip
    assert len({tuple(row) for row in rows}) == 1
    exact, high, low = rows[:3]
    assert (exact["quantizer"], exact["bits"], exact["scheme_id"]) == ("float model", None, None)
    assert (high["bits"], high["weight_bits"], low["activation_bits"]) == (8, 8.0, 3.0)
    assert {row["quantizer"] for row in rows[3:5]} == {"lstm.cell", "embedding"}
    for row in rows:
        assert row["documents"] == 20 and 0 <= row["accuracy"] <= 1
        assert sum(row["predicted"].values()) == pytest.approx(1)
        assert list(row["predicted"]) == ["art", "sea", "sky"]
        assert max(row["predicted"].values()) == pytest.approx(row["majority_share"])
        assert row["accuracy_drop"] == pytest.approx(exact["accuracy"] - row["accuracy"])
        assert row["nll_rise"] == pytest.approx(row["nll"] - exact["nll"])
        assert isinstance(row["flags"], str) and row["mean_abs_h"] > 0
        if row["against"] is not None:
            other = next(one for one in rows if one["quantizer"] == row["against"])
            assert row["difference"] == pytest.approx(row["accuracy"] - other["accuracy"])
            assert row["ci_low"] < row["difference"] < row["ci_high"]
    assert "measuring on 20 documents of the valid split" in result.stderr
    assert "quantizers: 6 of 6" in result.stderr


def test_the_last_row_is_a_scheme_that_recipes_take(run: Run, line: Any) -> None:
    told = objects(run(*line, *FEW, "--json"))[-1]
    assert told["assignment"].keys() >= {"embedding", "lstm.cell", "classifier.input"}
    (point,) = parse_recipe(RECIPE + told["quantize"]).cells()
    assert point.scheme.id == told["scheme_id"]
    assert {site: point.scheme.bits_of(site) for site in told["assignment"]} == told["assignment"]
    assert told["weight_bits"] <= 4 and told["evaluations"] <= 4


def test_people_get_a_table_and_the_section(run: Run, line: Any) -> None:
    result = run(*line, *FEW)
    table, _, section = result.stdout.partition("\n# ")
    assert result.exit_code == 0
    for said in ("quantizer", "float model", "all high", "low-alone", "high-alone", "uniform"):
        assert said in table
    assert "in the order art, sea, sky" in table and "█" in table
    comment, _, yaml = section.partition("\n")
    assert "bits per weight" in comment
    assert next(parse_recipe(RECIPE + yaml).cells()).scheme.bits_of("lstm.tanh_cell") == 8


def test_every_format_has_the_same_rows(run: Run, line: Any, tmp_path: Path) -> None:
    few = (*FEW[:-1], 0)  # without a suggestion
    expected = objects(run(*line, *few, "--json"))
    assert {row["kind"] for row in expected} == {"reference", "low-alone", "high-alone"}
    as_csv = list(csv.DictReader(io.StringIO(run(*line, *few, "--format", "csv").stdout)))
    assert [float(row["nll"]) for row in as_csv] == [row["nll"] for row in expected]
    assert json.loads(as_csv[1]["predicted"]) == expected[1]["predicted"]
    import pyarrow.parquet as pq

    run(*line, *few, "-o", tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet")["nll"].to_pylist() == [
        row["nll"] for row in expected
    ]


def test_nothing_is_stored(run: Run, line: Any, modelled_store: Any) -> None:
    def content() -> dict[str, bytes]:
        files = [modelled_store.path, *Path(f"{modelled_store.path}.d").rglob("*")]
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    before = content()
    assert run(*line, *FEW).exit_code == 0
    assert content() == before


def test_settings_of_the_scheme(run: Run, line: Any) -> None:
    settings = (
        "--preset",
        "robust-mixed",
        "--set",
        "weights=per-channel",
        "--set",
        "bits={input: 5}",
    )
    rows = objects(run(*line, *settings, *FEW[:3], "classifier*", "--evaluations", 3, "--json"))
    assert {row["quantizer"] for row in rows if row["kind"] == "low-alone"} == {
        "classifier", "classifier.input",
    }  # fmt: skip
    (point,) = parse_recipe(RECIPE + rows[-1]["quantize"]).cells()
    assert point.scheme.weights == "per-channel"
    assert (point.scheme.bits_of("input"), point.scheme.bits_of("lstm.cell")) == (5, 8)


def test_a_search_that_is_cut_is_told(run: Run, line: Any) -> None:
    result = run(*line, *FEW[:-1], 1, "--budget", 7, "--documents", 5)
    assert "its evaluations were spent" in result.stderr


REFUSED = [
    (("--split", "test"), "--split test: bits are chosen by what is measured here"),
    (("--low", 1), "--low 1: allowed are 2 to 8 bits"),
    (("--high", 9), "--high 9: allowed are 2 to 8 bits"),
    (("--low", 6, "--high", 4), "--low 6 is above --high 4"),
    (("--budget", 2.5), "--budget 2.5: the schemes to choose from have 3 to 8 bits per weight"),
    (("--budget", 9), "--budget 9: the schemes"),
    (("--activation-budget", 1), "--activation-budget 1: the schemes"),
    (("--only", "lstm.zell"), "--only 'lstm.zell' matches no quantizer; there are: embedding, "),
    (("--preset", "robus"), "quantize.preset: 'robus' is not allowed; did you mean 'robust'?"),
    (("--set", "wieghts=per-channel"), "quantize.wieghts: unknown key; did you mean 'weights'?"),
    (("--set", "bits={lstm.zell: 4}"), "quantize.bits.'lstm.zell': matches no quantizer"),
    (("--set", "separate_hv=true"), "quantize.separate_hv: only the generative decoder"),
    (("--set", "bits={lstm.cell: 12}"), "quantize.bits.'lstm.cell': 12 is not allowed"),
    (("--set", "bits={'*': 4}"), "nothing is left to compare"),
    (("--set", "weights"), "--set 'weights': write KEY=VALUE, for example --set 'weights=per-"),
    (("--set", "preset=paper"), "--set preset=paper: write --preset paper"),
    (("--set", "observer=brevitas"), "quantize.observer: observer brevitas"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=lambda x: " ".join(map(str, x))[:40])
def test_what_cannot_be_is_refused(run: Run, line: Any, options: Any, said: str) -> None:
    result = run(*line, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and "Traceback" not in result.stderr


def test_an_unknown_model_and_store(run: Run, modelled_store: Any, tmp_path: Path) -> None:
    named = ("sensitivity", "--model", "m1-nobody", "--subset", "s1-nobody")
    result = run("--store", modelled_store.path, *named)
    assert result.exit_code == 2 and "`calibkit list models` shows them" in result.stderr
    result = run("--store", tmp_path / "none.duckdb", *named)
    assert result.exit_code == 2 and "there is no store" in result.stderr


def test_bars_are_a_histogram() -> None:
    assert bars([0, 4, 8]) == "▁▅█"
    assert bars([60, 0, 0, 0]) == "█▁▁▁" and bars([0, 0]) == "▁▁"
