"""Stores in the states that commands meet."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mini_recipe import MINI

from calibkit.cli.main import cli
from calibkit.store import Store, insert

WORDS = {
    "World": ["war", "peace", "state", "treaty", "minister", "border"],
    "Sports": ["goal", "match", "team", "win", "cup", "player"],
}


def write_corpus(path: Path, rows: int, seed: int) -> Path:
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["text", "label"])
        for row in range(rows):
            label = rng.choice(list(WORDS))
            words = rng.choices([*WORDS[label], "the", "a", "of"], k=8)
            out.writerow([" ".join([*words, "number", str(seed * 10_000 + row)]), label])
    return path


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("CALIBKIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # the default store is store/calibkit.duckdb of an empty folder


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run one command line."""

    def call(*args: Any, **options: Any) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], **options)

    return call


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("toy")
    return {
        "train": write_corpus(folder / "train.csv", 120, 1),
        "test": write_corpus(folder / "test.csv", 30, 2),
    }


@pytest.fixture(scope="session")
def _toy_bytes(tmp_path_factory: pytest.TempPathFactory, toy_files: dict[str, Path]) -> bytes:
    """The content of a store with the corpus toy; made once, copied for each test."""
    from calibkit.corpora.ingest import ingest

    path = tmp_path_factory.mktemp("store") / "toy.duckdb"
    ingest(Store(path), "toy", train=toy_files["train"], test=toy_files["test"])
    return path.read_bytes()


@pytest.fixture
def toy_store(tmp_path: Path, _toy_bytes: bytes) -> Store:
    """A store with one corpus, toy."""
    path = tmp_path / "toy.duckdb"
    path.write_bytes(_toy_bytes)
    return Store(path)


GRID = [
    (policy, seed, bits)
    for policy in ("random", "stratified")
    for seed in (0, 1)
    for bits in (8, 4)
]


def fill_with_results(store: Store, *, failed: bool = False) -> None:
    """Write a small finished study, recipe 'mini', by the tables' own columns."""
    when = datetime(2026, 1, 2, 3, 4, 5)
    recipe_id = "y1-00000000000000aa"
    cells, plans, planned, evaluations, shifts = [], [], [], [], []
    for number, (policy, seed, bits) in enumerate(GRID):
        cell_id, plan_key = f"x1-{number:016x}", f"p1-{number:016x}"
        planned.append(
            dict(
                recipe_id=recipe_id, plan_key=plan_key, recipe="mini", ordinal=number,
                corpus="toy", model="generative", model_kind="generative", model_seed=0,
                policy=policy, policy_kind=policy, size=16, seed=seed, bits=bits,
                rounding="nearest", preset="brevitas-default", scheme_id=f"q1-{bits:016x}",
            )
        )  # fmt: skip
        if failed and number == len(GRID) - 1:
            continue
        plans.append(dict(plan_key=plan_key, cell_id=cell_id))
        cells.append(
            dict(
                cell_id=cell_id, corpus_id="c1-0", model_id="m1-00000000000000ff",
                subset_id=f"s1-{policy}-{seed}", scheme_id=f"q1-{bits:016x}", scheme='{"bits": 1}',
                test_id="t1-0", seconds=1.5, run_id="n1-00000000000000bb", measured_at=when,
            )
        )  # fmt: skip
        shifts += [
            dict(cell_id=cell_id, quantity=quantity, site="made", pair="float-quantized", ks=ks)
            for quantity, ks in (("weights", 0.0123), ("activations", 0.2), ("token-nll", 0.0456))
        ]
        for kind, noise in (("none", 0.0), ("keyboard", 0.05), ("keyboard", 0.1)):
            accuracy = 0.9 - (0.1 if bits == 4 else 0) - noise - 0.02 * seed
            evaluations.append(
                dict(cell_id=cell_id, noise_kind=kind, noise=noise, noise_seed=0, documents=30,
                     accuracy=accuracy, macro_f1=accuracy, nll=0.5)
            )  # fmt: skip
    floats = [
        dict(model_id="m1-00000000000000ff", test_id="t1-0", stage="float", noise_kind=kind,
             noise=noise, noise_seed=0, model_key="k1-00000000000000ee", documents=30,
             accuracy=0.92 - noise, agreement=1.0)
        for kind, noise in (("none", 0.0), ("keyboard", 0.05), ("keyboard", 0.1))
    ]  # fmt: skip
    with store.writing() as con:
        insert(con, "runs", [
            dict(run_id="n1-00000000000000bb", recipe="mini", recipe_id=recipe_id,
                 recipe_text="calibkit: 1\nname: mini\n", command="calibkit evaluate mini.yaml",
                 workers=1, started_at=when, host="here", git_dirty=False,
                 versions='{"numpy": "2"}')
        ])  # fmt: skip
        insert(con, "recipe_noises", [
            dict(recipe_id=recipe_id, noise_kind="keyboard", noise=p, noise_seed=0)
            for p in (0.05, 0.1)
        ])  # fmt: skip
        insert(con, "models", [
            dict(model_key="k1-00000000000000ee", model_id="m1-00000000000000ff",
                 kind="generative", corpus_id="c1-0", share=1.0, seed=0, settings="{}",
                 valid_accuracy=0.912345678, best_epoch=2, epochs=3, trained_at=when)
        ])  # fmt: skip
        insert(con, "recipe_cells", planned)
        insert(con, "plan_cells", plans)
        insert(con, "cells", cells)
        insert(con, "evaluations", evaluations)
        insert(con, "distributions", shifts)
        insert(con, "baseline_evaluations", floats)
        if failed:
            insert(con, "failures", [
                dict(failure_id="f1-1", run_id="n1-00000000000000bb", recipe_id=recipe_id,
                     plan_key=planned[-1]["plan_key"], stage="cell", error_type="ValueError",
                     message="no luck\nat all", traceback="", host="here", failed_at=when)
            ])  # fmt: skip


@pytest.fixture
def study_store(toy_store: Store) -> Store:
    """A store with the corpus toy and the finished recipe mini."""
    fill_with_results(toy_store)
    return toy_store


@pytest.fixture
def fill() -> Callable[..., None]:
    """Put the study into a store; with failed=True its last cell has failed."""
    return fill_with_results


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe over the toy corpus: one model, two policies, two seeds, two bit widths."""
    path = tmp_path / "mini.yaml"
    path.write_text(MINI)
    return path
