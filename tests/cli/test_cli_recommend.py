"""What should be shipped, as the command says it: sentences, formats, refusals and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from made_results import WHEN, make_results

from calibkit.recipe import GridPoint, parse_recipe
from calibkit.store import Store, insert

Run = Callable[..., Result]
ASK = ("recommend", "--corpus", "toy", "--model", "generative", "--bits", 4)
RECIPE = """\
calibkit: 1
name: study
corpus: {name: toy}
models: {generative: {}}
policies:
  random: {use: random}
  balanced: {use: stratified, mix: equal}
  spread: {use: k-center, candidates: 40}
grid:
  model: [generative]
  policy: [random, balanced, spread]
  size: [8]
  seed: [0, 1, 2, 3, 4, 5, 6, 7]
  bits: [8, 4]
  preset: [paper, robust]
"""
GAINS = {"random": 0.0, "balanced": -0.001, "spread": 0.03}


def noisy(point: GridPoint) -> float:
    """A value of its own for every place, which spreads by .1 points."""
    key = [point.seed, point.size, *point.policy.encode(), *point.preset.encode()]
    return float(np.random.default_rng(key).normal(0, 0.001))


def measured(point: GridPoint) -> float | None:
    """`spread` is better, and the preset matters more."""
    return 0.7 + 0.1 * (point.preset == "robust") + GAINS[point.policy] + noisy(point)


def made(store: Store, accuracy: Callable[[GridPoint], float | None], text: str = RECIPE) -> Store:
    make_results(store, parse_recipe(text), accuracy)
    return store


def ask(run: Run, store: Store, *more: Any) -> Result:
    return run("--store", store.path, *ASK, *more)


def record(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert isinstance(row, dict)
    return row


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (4, "")
    return " ".join(str(result.stderr).split())


def test_the_scheme_comes_first_and_then_the_documents(run: Run, toy_store: Store) -> None:
    row = record(ask(run, made(toy_store, measured), "--format", "json"))
    assert (row["policy"], row["size"], row["preset"]) == ("spread", 8, "robust")
    assert (row["grounds"], row["candidates"], row["draws"]) == ("established", 2, 8)
    assert row["gain"] == pytest.approx(0.03, abs=0.002)
    assert row["ci_low"] < row["gain"] < row["ci_high"]
    assert row["p_holm"] == pytest.approx(2 * 2 / 2**8)
    assert (row["runner_up"], row["over_runner_up_verdict"]) == ("random", "better")
    (other,) = row["schemes"]
    assert (other["preset"], other["verdict"]) == ("paper", "better")
    assert other["behind"] == pytest.approx(0.1, abs=0.002)
    assert row["needs"] == "vectors or words of the documents, no model"
    assert (row["value"], row["float_value"]) == (pytest.approx(0.83, abs=0.002), 0.9)
    assert (row["recipe"], row["split"], row["subset_id"]) == ("study", "test", "s1-spread-8-0")


def test_people_get_sentences_and_sections_to_copy(run: Run, toy_store: Store) -> None:
    result = ask(run, made(toy_store, measured))
    said = " ".join(result.stdout.split())
    assert "recommended spread, 8 documents, robust (gpfq), 4 bits" in said
    assert "better than random beyond doubt" in said
    assert re.search(
        r"gain over random \+(2.9|3.0)\d points \(95 %: \+2.\d\d to \+3.\d\d; 8 d", said
    )
    assert "over paper (nearest), beyond doubt" in said
    sections = result.stdout.split("in a recipe:\n\n")[1]
    whole = RECIPE.split("policies:")[0] + sections
    whole = whole.replace("grid:\n", "grid:\n  model: [generative]\n  seed: [0]\n")
    (point,) = parse_recipe(whole).cells()
    assert (point.policy, point.size, point.preset, point.bits) == ("spread", 8, "robust", 4)
    assert "chosen on the split test, which flatters" in result.stderr


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "markdown"])
def test_every_format_has_the_same_row(run: Run, toy_store: Store, form: str) -> None:
    result = ask(run, made(toy_store, measured), "--format", form)
    assert result.exit_code == 0
    assert "spread" in result.stdout
    assert "scheme_id" in result.stdout


def test_all_shows_every_candidate(run: Run, toy_store: Store) -> None:
    result = ask(run, made(toy_store, measured), "--all", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["policy"], row["established"]) for row in rows] == [
        ("spread", True),
        ("balanced", False),
    ]
    shown = ask(run, toy_store, "--all").stdout
    assert re.search(r"balanced +79\.\d\d +(0\.00|-0\.[01]\d)", shown)


def test_where_nothing_is_better_random_is_recommended(run: Run, toy_store: Store) -> None:
    store = made(toy_store, lambda point: 0.8 + noisy(point))
    row = record(ask(run, store, "--format", "json"))
    assert (row["policy"], row["grounds"], row["gain"]) == ("random", "equivalent", None)
    assert row["best_by_mean"] in ("balanced", "spread")
    assert (row["runner_up"], row["over_runner_up_verdict"]) == (row["best_by_mean"], "same")


def test_few_draws_are_refused_with_the_command_that_helps(run: Run, toy_store: Store) -> None:
    store = made(toy_store, lambda point: measured(point) if point.seed < 3 else None)
    said = refused(ask(run, store))
    assert "only 3 draws of it; at least 6 are needed" in said
    assert "30 cells of study for generative at 4 bits are planned and not measured" in said
    assert "calibkit recommend --corpus toy --model generative --bits 4 --spend 60" in said
    assert record(ask(run, store, "--draws", 3, "--tolerance", 9, "--format", "json"))


def test_wide_intervals_are_refused_with_the_draws_that_would_do(
    run: Run, toy_store: Store
) -> None:
    store = made(toy_store, lambda point: 0.5 + 100 * noisy(point))
    said = refused(ask(run, store))
    assert "no candidate is better than 'random' beyond doubt" in said
    assert re.search(r"give study \d+ draws or more", said)


def test_a_study_without_random_is_refused(run: Run, toy_store: Store) -> None:
    text = RECIPE.replace("  random: {use: random}\n", "").replace("[random, ", "[")
    said = refused(ask(run, made(toy_store, measured, text)))
    assert "no policy of that kind" in said
    assert "--against" in said
    row = record(ask(run, toy_store, "--against", "balanced", "--format", "json"))
    assert (row["policy"], row["against"]) == ("spread", "balanced")


def test_random_alone_is_refused(run: Run, toy_store: Store) -> None:
    store = made(toy_store, lambda p: measured(p) if p.policy == "random" else None)
    assert "nothing to compare it with" in refused(ask(run, store))


def test_what_is_not_there_is_said(run: Run, toy_store: Store) -> None:
    made(toy_store, measured)
    other = run("--store", toy_store.path, *ASK[:-1], 3)
    assert "measured are: generative at 8 bits with 8 documents" in refused(other)
    wrong = run("--store", toy_store.path, "recommend", "--corpus", "toi", *ASK[3:])
    assert wrong.exit_code == 2
    assert "did you mean 'toy'" in wrong.stderr
    recipe = ask(run, toy_store, "--recipe", "studi")
    assert recipe.exit_code == 2
    assert "did you mean 'study'" in recipe.stderr
    where = ask(run, toy_store, "--where", "presett = 'robust'")
    assert where.exit_code == 2
    assert "--where" in where.stderr


def test_where_takes_a_scheme_out(run: Run, toy_store: Store) -> None:
    row = record(
        ask(run, made(toy_store, measured), "--where", "preset = 'paper'", "--format", "json")
    )
    assert (row["preset"], row["policy"], row["schemes"]) == ("paper", "spread", [])


def test_validation_documents_go_before_test_documents(run: Run, toy_store: Store) -> None:
    made(toy_store, measured)
    row = record(ask(run, toy_store, "--format", "json"))
    assert row["split"] == "test"
    with toy_store.writing() as con:
        insert(
            con, "test_sets",
            [dict(test_id="t1-made", corpus_id="c1-0", split="valid", share=1.0, documents=4)],
        )  # fmt: skip
    result = ask(run, toy_store)
    assert "split valid" in " ".join(result.stdout.split())
    assert "measure it on test before you quote its value" in result.stderr


def test_noise_and_the_worst_label_are_objectives(run: Run, toy_store: Store) -> None:
    text = RECIPE + "measure: {noise: {keyboard: [0.1]}}\n"
    made(toy_store, lambda point: 0.8 + noisy(point), text)
    recipe = parse_recipe(text)
    worse = {"random": 0.1, "balanced": 0.1, "spread": 0.02}
    rows = [
        dict(
            cell_id=f"x1-{number:08x}", noise_kind="keyboard", noise=0.1, noise_seed=0,
            documents=200, accuracy=0.8 + noisy(point) - worse[point.policy], nll=0.5,
        )
        for number, point in enumerate(recipe.cells())
    ]  # fmt: skip
    with toy_store.writing() as con:
        insert(con, "evaluations", rows)
        insert(
            con, "recipe_noises",
            [dict(recipe_id=recipe.id(), noise_kind="keyboard", noise=0.1, noise_seed=0)],
        )  # fmt: skip
    clean = record(ask(run, toy_store, "--format", "json"))
    assert clean["policy"] == "random"
    noise = record(ask(run, toy_store, "--objective", "noise-auc", "--format", "json"))
    assert noise["policy"] == "spread"
    assert noise["gain"] == pytest.approx(0.04, abs=0.002)
    said = refused(ask(run, toy_store, "--objective", "worst-label"))
    assert "their accuracy by label is not measured" in said


def test_predictions_say_what_choosing_really_gains(run: Run, toy_store: Store) -> None:
    """All of `spread`'s gain is on one half of the documents or the other: both are seen."""
    made(toy_store, measured)
    documents = 200
    ids = [f"d1-{n:04d}" for n in range(documents)]
    rows = []
    for number, point in enumerate(parse_recipe(RECIPE).cells()):
        value = measured(point)
        assert value is not None
        right = np.random.default_rng([number]).permutation(documents) < round(value * documents)
        predicted = np.where(right, 0, 1).tolist()
        rows.append(dict(cell_id=f"x1-{number:08x}", noise_kind="none", noise=0.0, noise_seed=0,
                         predicted=predicted))  # fmt: skip
    with toy_store.writing() as con:
        insert(con, "predictions", rows)
        insert(
            con, "test_sets",
            [dict(test_id="t1-made", corpus_id="c1-0", split="test", share=1.0,
                  documents=documents, doc_ids=ids, label_ids=[0] * documents)],
        )  # fmt: skip
    row = record(ask(run, toy_store, "--format", "json"))
    assert row["honest_splits"] == 16
    assert row["honest_gain"] == pytest.approx(0.03, abs=0.015)
    assert row["honest_picks"][0]["policy"] == "spread"


def test_the_documents_are_written_in_calibration_order(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    made(toy_store, measured)
    with toy_store.reading() as con:
        found = con.execute(
            "SELECT doc_id, text, corpus_id FROM documents WHERE split = 'train' ORDER BY doc_id"
            " DESC LIMIT 3"
        ).fetchall()
    with toy_store.writing() as con:
        subset = "s1-spread-8-0"
        insert(
            con, "subsets",
            [dict(subset_id=subset, corpus_id=found[0][2], size=3, created_at=WHEN)],
        )  # fmt: skip
        insert(
            con, "subset_documents",
            [dict(subset_id=subset, position=n, doc_id=f[0]) for n, f in enumerate(found)],
        )  # fmt: skip
    ids, rows = tmp_path / "ids.txt", tmp_path / "chosen.jsonl"
    assert ask(run, toy_store, "--subset-out", ids).exit_code == 0
    assert ids.read_text().split() == [row[0] for row in found]
    assert ask(run, toy_store, "--subset-out", rows).exit_code == 0
    written = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in written] == [row[:2] for row in found]
    assert {row["label"] for row in written} <= {"World", "Sports"}
    bad = ask(run, toy_store, "--subset-out", tmp_path / "chosen.docx")
    assert bad.exit_code == 2
    assert ".jsonl" in bad.stderr


def test_choosing_takes_the_time_between_subsets_with_nothing_in_between(
    run: Run, toy_store: Store
) -> None:
    """Seconds 0, 2, 5, then a cell is measured, then 60, 64: two gaps of `spread` count."""
    made(toy_store, measured)
    assert record(ask(run, toy_store, "--format", "json"))["selection_seconds"] is None
    kinds = {0: "random", 2: "k-center", 5: "random", 60: "k-center", 64: "k-center"}
    requests = [
        dict(
            request_key=f"r1-{second}", subset_id=f"s1-spread-8-{number}", corpus_id="c1-0",
            policy_kind=kind, created_at=WHEN + timedelta(seconds=100 + second),
        )
        for number, (second, kind) in enumerate(kinds.items())
    ]  # fmt: skip
    cell = dict(cell_id="x1-late", measured_at=WHEN + timedelta(seconds=130))
    with toy_store.writing() as con:
        insert(con, "subset_requests", requests)
        insert(con, "cells", [cell])
    row = record(ask(run, toy_store, "--format", "json"))
    assert row["selection_seconds"] == pytest.approx((2 + 4) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policies", "a,b"), "--policies goes with --spend"),
        (("--sizes", "8"), "--sizes goes with --spend"),
        (("--spend", 1, "--where", "bits = 4"), "--where chooses among measured cells"),
        (("--spend", 1, "--sizes", "8,16", "--size", 8), "--size is --sizes with one size"),
        (("--spend", 1, "--sizes", "8,x"), "whole numbers"),
        (("--spend", 1, "--policies", "a,,b"), "commas between"),
        (("--spend", 0), "0"),
        (("--draws", 1), "1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    run: Run, toy_store: Store, options: tuple[Any, ...], message: str
) -> None:
    result = ask(run, toy_store, *options)
    assert result.exit_code == 2
    assert message in " ".join(str(result.stderr).split())


def test_there_must_be_a_store(run: Run, tmp_path: Path) -> None:
    result = run("--store", tmp_path / "none.duckdb", *ASK)
    assert result.exit_code in (2, 3)
    assert "none.duckdb" in result.stderr
