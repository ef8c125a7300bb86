"""Made documents on the command line: built, shown, listed, asked for in SQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from calibkit.store import Store, insert

Run = Callable[..., Result]


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def build(run: Run, store: Path, corpus: str, policy: str, *more: str, size: int = 6) -> Result:
    line = ("build-subset", corpus, "--policy", policy, "--size", size, "--seed", 0, *more)
    return run("--store", store, *line)


def test_noise_mix_is_built_and_its_documents_are_told(run: Run, toy_store: Store) -> None:
    of = "of={use: skewed, weights: {World: 1}}"
    done = build(run, toy_store.path, "toy", "noise-mix", "--param", of, "--param", "level=0.5")
    assert done.exit_code == 0, done.output
    (subset,) = done.stdout.split()
    assert "World 100.0%" in done.stderr
    (shown,) = objects(run("--store", toy_store.path, "show", subset, "--json"))
    assert shown["policies"] == "noise-mix"
    (asked,) = shown["asked_for"]
    assert asked["params"]["of"] == {"use": "skewed", "weights": {"World": 1}}
    assert len(shown["first_documents"]) == 5
    assert all(row["text"] and row["tokens"] for row in shown["first_documents"])
    query = "SELECT generator, label, made_from, text FROM synthetic ORDER BY position"
    rows = objects(run("--store", toy_store.path, "sql", query, "--json"))
    assert [row["generator"] for row in rows] == ["noise-mix"] * 3
    assert all(row["made_from"].startswith("d1-") and row["label"] == "World" for row in rows)
    again = build(run, toy_store.path, "toy", "noise-mix", "--param", of, "--param", "level=0.5")
    assert again.stdout == done.stdout and "found in the store" in again.stderr


def test_made_documents_are_counted_apart(run: Run, toy_store: Store) -> None:
    assert build(run, toy_store.path, "toy", "random-tokens", size=7).exit_code == 0
    (corpus,) = objects(run("--store", toy_store.path, "list", "corpora", "--json"))
    assert (corpus["train"], corpus["documents"], corpus["synthetic"]) == (108, 150, 7)
    (shown,) = objects(run("--store", toy_store.path, "show", "toy", "--json"))
    assert shown["documents"] == 150
    assert [row["synthetic"] for row in shown["label_counts"]] == [4, 3]
    assert sum(row["train"] + row["valid"] + row["test"] for row in shown["label_counts"]) == 150


def test_list_and_show_say_which_policies_make_documents(run: Run, toy_store: Store) -> None:
    rows = objects(run("--store", toy_store.path, "list", "policies", "--json"))
    making = {row["policy"] for row in rows if row["documents"] == "makes"}
    assert {"noise-mix", "random-tokens", "self-calibration"} <= making
    assert not making & {"random", "k-center", "shuffle"}
    (mix,) = objects(run("--store", toy_store.path, "show", "noise-mix", "--json"))
    defaults = {row["parameter"]: row["default"] for row in mix["parameters"]}
    assert mix["documents"] == "makes them"
    assert json.loads(defaults["of"]) == {"use": "random"}
    (random,) = objects(run("--store", toy_store.path, "show", "random", "--json"))
    assert random["documents"] == "chooses them"


@pytest.fixture
def written(modelled_store: Any, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A store with models of both kinds that know their vocabulary."""
    from calibkit.corpora.reading import find_corpus
    from calibkit.curate.encoding import Encoder, Library, artefacts_of
    from calibkit.curate.subsets import find_model

    path = tmp_path / "models.duckdb"
    shutil.copyfile(modelled_store.path, path)
    shutil.copytree(f"{modelled_store.path}.d", f"{path}.d")
    store = Store(path)
    with store.reading() as con:
        corpus = find_corpus(con, "made")
        found = {kind: find_model(con, name) for kind, name in modelled_store.models.items()}
    rows = []
    for number, (kind, model) in enumerate(found.items()):
        artefact = artefacts_of(store).load("model", model.key)
        vocabulary = Encoder.of(Library(store, corpus, 1.0), model.settings).vocabulary
        key = f"k1-{number + 8:016x}"
        config = {**artefact.config, "vocabulary_id": vocabulary.id}
        artefacts_of(store).save("model", key, artefact.tensors, config)
        rows.append(
            {"model_key": key, "model_id": f"m1-{kind}", "kind": kind, "share": 1.0, "seed": 0}
            | {"corpus_id": corpus.corpus_id, "settings": model.settings.as_dict()}
        )
    with store.writing() as con:
        insert(con, "models", rows)
    return path, {kind: f"m1-{kind}" for kind in found}


def test_a_model_writes_a_subset(run: Run, written: tuple[Path, dict[str, str]]) -> None:
    path, models = written
    told = ("--param", "top_p=0.8", "--param", "temperature=0.7")
    done = build(run, path, "made", "self-calibration", "--model", models["generative"], *told)
    assert done.exit_code == 0, done.output
    query = "SELECT model_id, params, text FROM synthetic"
    rows = objects(run("--store", path, "sql", query, "--json"))
    assert {row["model_id"] for row in rows} == {models["generative"]}
    assert all(row["text"] for row in rows)


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ((), 2, "lets a generative float model write the documents; name one with --model ID"),
        (("--model", "m1-discriminative"), 4, "cannot write; name a generative one with --model"),
        (("--param", "top_p=2"), 2, "top_p is 2; it must be less than or equal to 1"),
        (("--param", "mix=even"), 2, "mix is 'even'; it must be 'equal' or 'prior'"),
    ],
)
def test_what_cannot_be_written_says_why(
    run: Run, written: tuple[Path, dict[str, str]], more: tuple[str, ...], code: int, said: str
) -> None:
    path, _ = written
    done = build(run, path, "made", "self-calibration", *more)
    assert done.exit_code == code
    assert said in done.stderr
