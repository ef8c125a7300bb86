"""``calibkit influence`` on hand-made models."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calibkit.cli.influence_rows import TYPES, first_words, points, signed
from calibkit.cli.main import cli

Run = Callable[..., Result]

FEW = ("--documents", 20, "--controls", 2, "--validate", 8, "--permutations", 8)


@pytest.fixture(scope="module")
def line(modelled_store: Any) -> tuple[Any, ...]:
    model = modelled_store.models["discriminative"]
    named = (modelled_store.subset, "--model", model[:9])
    return ("--store", modelled_store.path, "influence", *named)


def content(modelled_store: Any) -> dict[str, bytes]:
    files = [modelled_store.path, *Path(f"{modelled_store.path}.d").rglob("*")]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture(scope="module")
def both(line: Any, modelled_store: Any) -> Result:
    """Everything, as JSON lines; and nothing of it is stored."""
    before = content(modelled_store)
    arguments = [str(one) for one in (*line, *FEW, "--json")]
    result = CliRunner().invoke(cli, arguments, env={"CALIBKIT_STORE": None})
    assert content(modelled_store) == before
    return result


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_json_is_one_relation(both: Result) -> None:
    rows = objects(both)
    assert Counter(row["kind"] for row in rows) == {
        "reference": 2, "label": 3, "document": 24, "validation": 8, "agreement": 4,
    }  # fmt: skip
    assert all(list(row) == list(TYPES) for row in rows)
    kinds = [row["kind"] for row in rows]
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)
    exact, full = rows[:2]
    assert (exact["name"], full["name"]) == ("float model", "whole subset")
    labels = [row for row in rows if row["kind"] == "label"]
    assert [row["name"] for row in labels] == ["art", "sea", "sky"]
    assert sum(row["documents"] for row in labels) == 24
    for row in (row for row in rows if row["kind"] in ("label", "validation")):
        assert row["accuracy_change"] == pytest.approx(row["accuracy"] - full["accuracy"])
        assert row["nll_change"] == pytest.approx(row["nll"] - full["nll"])
        assert row["accuracy_low"] <= row["accuracy_change"] <= row["accuracy_high"]
        assert row["nll_low"] <= row["nll_change"] <= row["nll_high"]
    for row in labels:
        assert row["nll_control_low"] <= row["nll_control_mean"] <= row["nll_control_high"]
        assert 0 <= row["nll_p"] <= 1 and isinstance(row["nll_beyond"], bool)


def test_documents_and_groups_of_json(both: Result) -> None:
    rows = objects(both)
    documents = [row for row in rows if row["kind"] == "document"]
    assert [row["rank"] for row in documents] == list(range(1, 25))
    assert sorted(row["position"] for row in documents) == list(range(24))
    assert all(
        row["value"] <= before["value"]
        for before, row in zip(documents, documents[1:], strict=False)
    )
    assert all(row["text"] and row["tokens"] > 2 for row in documents)
    groups = [row for row in rows if row["kind"] == "validation"]
    assert [row["name"] for row in groups] == [
        *(f"ranked {n}" for n in range(1, 5)), *(f"random {n}" for n in range(1, 5)),
    ]  # fmt: skip
    assert {row["documents"] for row in groups} == {6}
    assert sum(row["predicted_by_values"] for row in groups[:4]) == pytest.approx(
        sum(row["value"] for row in documents)
    )
    agreements = [row for row in rows if row["kind"] == "agreement"]
    assert {(row["name"], row["measure"]) for row in agreements} == {
        (by, measure) for by in ("values", "proxy") for measure in ("nll", "accuracy")
    }
    for row in agreements:
        assert row["r"] is None or (row["r_low"] <= row["r"] <= row["r_high"] and row["n"] == 8)


def test_what_it_says_beside_the_data(both: Result) -> None:
    said = both.stderr
    assert "looking at 24 calibration documents, measuring on 20 documents of the valid" in said
    for phase in ("labels", "proxy: 15 of 15", "validation: 8 of 8"):
        assert phase in said
    predicts = next(r for r in objects(both) if r["kind"] == "agreement")["r_low"]
    expected = "the values predict" if (predicts or 0) > 0 else "the proxy does not predict"
    assert expected in said and "measured changes of nll:" in said
    assert "what the proxy sees the subset lose:" in said


def test_people_get_tables(run: Run, line: Any) -> None:
    few = (*FEW[:2], "--what", "documents", "--validate", 0, "--permutations", 8, "--top", 3)
    result = run(*line, *few)
    assert result.exit_code == 0
    first, documents = result.stdout.split("\n\n")[0], result.stdout.split("\n\n")[2]
    assert "(float model)" in first and "(none)" in first
    rows = documents.splitlines()
    assert rows[0].split()[:5] == ["rank", "document", "label", "tokens", "value"]
    assert [row.split()[0] for row in rows[2:]] == ["1", "2", "3", "22", "23", "24"]
    assert "Shapley value by the proxy" in result.stdout
    assert "the values are not validated (--validate 0)" in result.stderr


def test_labels_alone_in_every_format(run: Run, line: Any, tmp_path: Path) -> None:
    few = (*FEW[:4], "--what", "labels")
    result = run(*line, *few, "-o", tmp_path / "rows.csv")
    assert result.exit_code == 0 and result.stdout == ""
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert [row["kind"] for row in rows] == ["reference"] * 2 + ["label"] * 3
    assert "proxy" not in result.stderr
    shown = run(*line, *few)
    for row in rows[2:]:
        assert f"\n{row['name']} " in shown.stdout
    assert "beyond" in shown.stdout and "Holm" in shown.stdout


REFUSED = [
    (("--split", "test"), "--split test: who sees which documents do harm"),
    (("--bits", 9), "--bits 9: allowed are 2 to 8 bits"),
    (("--controls", 1), "--controls 1: a spread needs at least 2"),
    (("--validate", 5), "--validate 5: a rank correlation needs at least 8; give more, or 0"),
    (("--permutations", 3), "--permutations 3: a standard error needs at least 4"),
    (("--set", "dynamic=true", "--preset", "brevitas-default"), "dynamic: true reads no calib"),
    (("--preset", "robus"), "did you mean 'robust'?"),
    (("--set", "separate_hv=true"), "quantize.separate_hv: only the generative decoder"),
    (("--set", "preset=paper"), "--set preset=paper: write --preset paper"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=lambda x: " ".join(map(str, x))[:40])
def test_what_cannot_be_is_refused(run: Run, line: Any, options: Any, said: str) -> None:
    result = run(*line, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and "Traceback" not in result.stderr


def test_unknown_things(run: Run, modelled_store: Any, tmp_path: Path) -> None:
    model = modelled_store.models["generative"]
    line = ("--store", modelled_store.path, "influence")
    result = run(*line, "s1-nobody", "--model", model)
    assert result.exit_code == 2 and "`calibkit list subsets` shows them" in result.stderr
    result = run(*line, modelled_store.subset, "--model", "m1-nobody")
    assert result.exit_code == 2 and "`calibkit list models` shows them" in result.stderr
    result = run("--store", tmp_path / "none.duckdb", "influence", "s1-a", "--model", model)
    assert result.exit_code == 2 and "there is no store" in result.stderr


def test_numbers_and_texts_for_people() -> None:
    assert (points(0.2816), points(-0.0001), points(0.0001)) == ("+28.2", "0.0", "0.0")
    assert (signed(0.0), signed(-1.2345e-5), signed(0.5)) == ("0", "-1.23e-05", "+0.5")
    assert first_words("a\x1b[31m red\nline\x07  of words") == "a red line of words"
    long = first_words("word " * 40)
    assert len(long) <= 60 and long.endswith("…")
