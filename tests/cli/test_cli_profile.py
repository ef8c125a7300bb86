"""profile: the card of a subset for people and machines, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from mini_recipe import MINI

from calibkit.policies import make_policy
from calibkit.store import Store

Run = Callable[..., Result]


@pytest.fixture
def subset(toy_store: Store) -> str:
    """The id of a random subset of 24 documents."""
    from calibkit.curate.subsets import build_subset

    policy = make_policy("random", {})
    return build_subset(toy_store, "toy", policy, size=24, seed=0).subset_id


@pytest.fixture
def one_label(toy_store: Store) -> str:
    """The id of a subset of one label."""
    from calibkit.curate.subsets import build_subset

    policy = make_policy("skewed", {"weights": {"World": 1}})
    return build_subset(toy_store, "toy", policy, size=24, seed=0).subset_id


def test_a_card_for_people(run: Run, toy_store: Store, subset: str) -> None:
    result = run("--store", toy_store.path, "profile", subset[:8])
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["metric", "value", "random", "5-95"]
    rows = {line[:40].strip(): line for line in lines}
    assert "inside" in rows["documents whose text stands in test (sha"]
    assert any(line.startswith("metrics outside of their range") for line in lines)
    assert " of 13 metrics outside the 5-95 % range of 200 random draws" in result.stdout
    assert f"{subset}: 24 documents; random = 200 draws of as many from train of toy" in lines[-2]
    assert "measuring 200 random draws of 24 documents" in result.stderr


def test_the_second_time_it_is_there(run: Run, toy_store: Store, subset: str) -> None:
    first = run("--store", toy_store.path, "profile", subset)
    again = run("--store", toy_store.path, "profile", subset)
    assert again.stdout == first.stdout
    assert again.stderr == ""


def test_a_card_for_machines(run: Run, toy_store: Store, one_label: str) -> None:
    result = run("--store", toy_store.path, "profile", one_label, "--draws", "50", "--json")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 14
    found = {row["metric"]: row for row in rows}
    label = found["label_distance"]
    assert (label["verdict"], label["is_bad"], label["draws"]) == ("high", True, 50)
    assert label["low"] <= label["median"] <= label["high"] < label["value"]
    assert (label["subset_id"], label["pool"], label["share"]) == (one_label, "train", 1.0)
    assert label["model_id"] is None
    assert "a label mix off the pool's (0.481; random" in result.stderr
    view = run("--store", toy_store.path, "sql", "--json",
               "SELECT label_distance, bad FROM coverage_cards")  # fmt: skip
    (row,) = [json.loads(line) for line in view.stdout.splitlines()]
    assert row["label_distance"] == label["value"]
    assert "label_distance" in row["bad"]


def test_bad_lines_say_so(run: Run, toy_store: Store, one_label: str) -> None:
    result = run("--store", toy_store.path, "profile", one_label, "--against", "random")
    (line,) = [x for x in result.stdout.splitlines() if x.startswith("label mix, total variation")]
    assert line.endswith("high, bad")


def test_what_is_not_there_ends_with_code_2(run: Run, toy_store: Store, subset: str) -> None:
    for arguments, said in [
        (["s1-none"], "no subset with an id that starts with 's1-none'"),
        ([subset, "--model", "m1-none"], "no model with an id that starts with 'm1-none'"),
        ([subset, "--pool", "train", "--draws", "3"], "3 is not in the range 20<=x<=100000"),
        ([subset, "--against", "best"], "'best' is not 'random'"),
    ]:
        result = run("--store", toy_store.path, "profile", *arguments)
        assert result.exit_code == 2
        assert said in result.stderr


def test_without_a_store_it_says_how_to_make_one(run: Run) -> None:
    result = run("profile", "s1-0")
    assert result.exit_code == 2
    assert "there is no store at" in result.stderr


@pytest.mark.parametrize("card", ["none", "text"])
def test_a_dry_run_tells_of_cards(run: Run, toy_store: Store, tmp_path: Path, card: str) -> None:
    recipe = tmp_path / "mini.yaml"
    recipe.write_text(MINI.replace("measure: {", f"measure: {{card: {card}, "))
    result = run("--store", toy_store.path, "evaluate", recipe, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert ("coverage cards" in result.stderr) == (card == "text")
