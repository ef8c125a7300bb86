"""A store of made-up results: small numbers, real schema, real merge."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from acts_on_disk import Material

from calibkit.store import Store, insert, merge, pack_predictions, write_fragment


@dataclass(frozen=True)
class Cell:
    """One planned and measured cell: its place in the grid and its accuracy per noise level."""

    policy: str
    seed: int
    subset: str
    clean: float
    noisy: float | None = None
    model: str = "generative"
    model_seed: int = 0
    bits: int = 4
    size: int = 256
    recipe: str = "agnews-policies"
    version: str = "y1-a"

    @property
    def grid(self) -> str:
        return f"{self.model}.{self.model_seed}.{self.size}.{self.bits}"

    @property
    def cell_id(self) -> str:
        return f"x1-{self.grid}.{self.subset}"

    @property
    def plan_key(self) -> str:
        return f"p1-{self.grid}.{self.policy}.{self.seed}"

    @property
    def model_id(self) -> str:
        return f"m1-{self.model}.{self.model_seed}"


CLEAN = {"noise_kind": "none", "noise": 0.0, "noise_seed": 0}
NOISY = {"noise_kind": "keyboard", "noise": 0.1, "noise_seed": 0}


def evaluation(accuracy: float) -> dict[str, Any]:
    return {
        "documents": 8,
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.01,
        "worst_label_accuracy": accuracy / 2,
        "majority_share": 0.5,
        "nll": 2.0 - accuracy,
        "mean_abs_h": 0.1,
        "flags": "",
        "seconds": 1.5,
    }


def cell_payload(cell: Cell, **changes: Any) -> dict[str, Any]:
    """The fragment of one cell, its evaluations changed by ``changes``."""
    levels = [(CLEAN, cell.clean)] + ([(NOISY, cell.noisy)] if cell.noisy is not None else [])
    me = {"cell_id": cell.cell_id}
    return {
        "fragment": 1,
        "kind": "cell",
        "rows": {
            "cells": [
                {
                    **me,
                    "corpus_id": "c1-news",
                    "model_id": cell.model_id,
                    "subset_id": cell.subset,
                    "scheme_id": f"q1-{cell.bits}",
                    "scheme": {"bits": cell.bits},
                    "test_id": "t1-test",
                    "seconds": 3.0,
                    "stages": {"evaluate": 1.5},
                    "host": "here",
                    "run_id": "n1-run",
                    "measured_at": "2025-01-01 00:00:00",
                }
            ],
            "plan_cells": [{"plan_key": cell.plan_key, "cell_id": cell.cell_id}],
            "evaluations": [{**me, **lv, **evaluation(acc), **changes} for lv, acc in levels],
            "predictions": [
                {**me, **lv, "predicted": pack_predictions([0, 1, 1, 0, 1, 0, 0, 2])}
                for lv, _ in levels
            ],
            "label_evaluations": [
                {**me, **lv, "label_id": k, "documents": 4, "predicted": 5, "correct": 3, "f1": 0.6}
                for lv, _ in levels
                for k in (0, 1)
            ],
            "distributions": [
                {
                    **me,
                    "quantity": q,
                    "site": "lstm",
                    "pair": "float-quantized",
                    "ks": 0.1,
                    "n_a": 9,
                }
                for q in ("weights", "activations", "token-nll")
            ],
        },
    }


def baseline_payload(model: str, model_seed: int, clean: float, noisy: float) -> dict[str, Any]:
    model_id = f"m1-{model}.{model_seed}"
    rows, labels = [], []
    for stage in ("float", "port"):
        for level, accuracy in ((CLEAN, clean), (NOISY, noisy)):
            me = {"model_id": model_id, "test_id": "t1-test", "stage": stage, **level}
            rows.append({**me, **evaluation(accuracy), "agreement": 1.0})
            labels += [
                {
                    "cell_id": f"{model_id}/{stage}/t1-test",
                    **level,
                    "label_id": k,
                    "documents": 4,
                    "predicted": 4,
                    "correct": 4,
                    "f1": 1.0,
                }
                for k in (0, 1)
            ]
    return {
        "fragment": 1,
        "kind": "baseline",
        "rows": {"baseline_evaluations": rows, "label_evaluations": labels},
    }


def plan_rows(cells: list[Cell], started: str = "2025-01-01 00:00:00") -> dict[str, list[Any]]:
    """What a run writes before its cells: the run, the grid, the noise levels."""
    runs = {(c.recipe, c.version): c for c in cells}
    return {
        "runs": [
            {
                "run_id": f"n1-{version}",
                "recipe": recipe,
                "recipe_id": version,
                "started_at": started,
                "git_commit": "abc",
                "git_dirty": False,
            }
            for recipe, version in runs
        ],
        "recipe_cells": [
            {
                "recipe_id": c.version,
                "plan_key": c.plan_key,
                "recipe": c.recipe,
                "ordinal": i,
                "corpus": "news",
                "model": c.model,
                "model_kind": c.model,
                "model_seed": c.model_seed,
                "policy": c.policy,
                "policy_kind": c.policy,
                "size": c.size,
                "seed": c.seed,
                "bits": c.bits,
                "rounding": "nearest",
                "preset": "brevitas-default",
                "scheme_id": f"q1-{c.bits}",
            }
            for i, c in enumerate(cells)
        ],
        "recipe_noises": [
            {"recipe_id": version, **level} for _, version in runs for level in (CLEAN, NOISY)
        ],
    }


def plan(store: Store, cells: list[Cell], started: str = "2025-01-01 00:00:00") -> None:
    with store.writing() as con:
        for table, rows in plan_rows(cells, started).items():
            insert(con, table, rows)
        insert(con, "corpora", [{"corpus_id": "c1-news", "name": "news"}])
        insert(
            con,
            "labels",
            [
                {"corpus_id": "c1-news", "label_id": i, "label": name}
                for i, name in enumerate(["Sports", "World"])
            ],
        )


def fill(store: Store, cells: list[Cell]) -> None:
    plan(store, cells)
    for cell in cells:
        write_fragment(store.fragments, cell.cell_id, cell_payload(cell))
    for model, seed in {(c.model, c.model_seed) for c in cells}:
        payload = baseline_payload(model, seed, 0.9, 0.8)
        write_fragment(store.fragments, f"b-{model}.{seed}", payload)
    report = merge(store)
    assert not report.conflicts
    assert not report.quarantined


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """No file yet; a short patience."""
    return Store(tmp_path / "calibkit.duckdb", patience=1.0)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: making one takes longer than most tests."""
    store = Store(tmp_path_factory.mktemp("template") / "empty.duckdb")
    with store.writing():
        pass
    return store.path


@pytest.fixture
def fresh_store(tmp_path: Path, template: Path) -> Store:
    """A store with nothing in it."""
    store = Store(tmp_path / "calibkit.duckdb", patience=1.0)
    store.folder.mkdir()
    shutil.copy(template, store.path)
    return store


@dataclass(frozen=True)
class Made:
    """The makers above, for tests (this folder is no package)."""

    cell: type[Cell] = Cell
    payload: Callable[..., dict[str, Any]] = staticmethod(cell_payload)
    baseline: Callable[..., dict[str, Any]] = staticmethod(baseline_payload)
    plan: Callable[..., None] = staticmethod(plan)
    fill: Callable[..., None] = staticmethod(fill)


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture(scope="module")
def module_made() -> Made:
    return Made()


@pytest.fixture
def material(template: Path, made: Made) -> Material:
    """What the cases of ``acts_on_disk`` are made of."""
    cells = [Cell("random", seed, f"s1-{seed}", 0.8 + seed / 100, 0.7) for seed in range(4)]
    return Material(template, cell_payload, cells[0], cells[1], cells[2:])


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Start another Python with a script and arguments; killed at the end if it still runs."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
