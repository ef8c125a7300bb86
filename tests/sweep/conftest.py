"""Whole studies that take seconds: a made corpus, tiny models, and recipes over them."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import TINY
from watchers import Watched

from calibkit.corpora.ingest import ingest
from calibkit.policies import Draw, Policy, Pool
from calibkit.recipe import load_recipe
from calibkit.recipe.recipe import Recipe
from calibkit.store.connection import Store
from calibkit.sweep.run import RunReport, run

BASE: dict[str, Any] = {
    "calibkit": 1,
    "name": "tiny",
    "corpus": {"name": "made"},
    "models": {"generative": dict(TINY), "discriminative": dict(TINY)},
    "policies": {"random": {"use": "random"}, "stratified": {"use": "stratified"}},
    "grid": {
        "model": ["generative", "discriminative"],
        "policy": ["random", "stratified"],
        "size": [16],
        "seed": [0],
        "bits": [8, 3],
    },
    "measure": {"noise": {"keyboard": [0.1]}},
}


class LongestOfTests(Policy, name="longest-of-tests"):
    """The longest documents, whatever the seed."""

    uses_seed = False

    def pick(self, pool: Pool, size: int, draw: Draw) -> Any:
        return pool.lengths.argsort(kind="stable")[::-1][:size]


class BrokenOfTests(Policy, name="broken-of-tests"):
    """A policy of somebody else with a defect."""

    def pick(self, pool: Pool, size: int, draw: Draw) -> Any:
        raise ZeroDivisionError("a defect of the policy")


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``, mappings merged and None taken out."""
    found = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = changed(found[key], value)
        else:
            found[key] = value
    return found


@dataclass(frozen=True)
class Study:
    """A store in a folder of its own, and a way to run changes of the base recipe over it."""

    folder: Path
    store: Store

    def recipe_file(self, *changes: dict[str, Any]) -> Path:
        content = BASE
        for change in changes:
            content = changed(content, change)
        path = self.folder / "recipe.yaml"
        half = path.with_suffix(".half")  # another run may be reading the one that is there
        half.write_text(yaml.safe_dump(content, sort_keys=False))
        return half.replace(path)

    def recipe(self, *changes: dict[str, Any]) -> Recipe:
        return load_recipe(self.recipe_file(*changes))

    def run(
        self, *changes: dict[str, Any], watcher: Watched | None = None, **how: Any
    ) -> RunReport:
        how = {"executor": "serial", "workers": 1, **how}
        return run(self.store, self.recipe(*changes), watcher=watcher or Watched(), **how)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as con:
            return con.execute(query).fetchall()

    def one(self, query: str) -> Any:
        (row,) = self.rows(query)
        return row[0] if len(row) == 1 else row

    def copy(self, folder: Path) -> Study:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Study(folder, Store(folder / self.store.path.name))


NEVER_EQUAL = {"seconds", "stages", "peak_mb", "host", "run_id", "recipe_id"}
TABLES = ["cells", "evaluations", "baseline_evaluations", "label_evaluations", "predictions"]
TABLES += ["distributions", "models", "noise_sets", "test_sets", "subset_documents"]
TABLES += ["subset_profiles", "subset_requests", "plan_cells"]
VIEWS = ["results", "baselines", "label_results", "summary", "weight_shift", "activation_shift"]


def measured(study: Study, names: list[str] | None = None) -> dict[str, list[str]]:
    """Return everything that was measured, as sorted texts; no times, hosts or runs."""
    found = {}
    for name in names or [*TABLES, *VIEWS]:
        with study.store.reading() as con:
            table = con.execute(f"FROM {name}")
            columns = [c[0] for c in table.description]
            kept = [
                place
                for place, column in enumerate(columns)
                if column not in NEVER_EQUAL and not column.endswith("_at")
            ]
            rows = [[columns[i] + "=" + repr(row[i]) for i in kept] for row in table.fetchall()]
        found[name] = sorted(" ".join(row) for row in rows)
    return found


@pytest.fixture(scope="session")
def everything_measured() -> Callable[..., dict[str, list[str]]]:
    return measured


@pytest.fixture(scope="session")
def ingested(
    tmp_path_factory: pytest.TempPathFactory, make_corpus_files: Callable[..., dict[str, Path]]
) -> Study:
    """A store with the corpus ``made`` and nothing else; never to be changed."""
    folder = tmp_path_factory.mktemp("ingested")
    store = Store(folder / "study.duckdb")
    files = make_corpus_files(folder / "files", {"train": 210, "valid": 45, "test": 60})
    ingest(store, "made", **files)
    return Study(folder, store)


@pytest.fixture(scope="session")
def finished(ingested: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The base recipe, measured; never to be changed."""
    study = ingested.copy(tmp_path_factory.mktemp("finished"))
    report = study.run()
    assert (report.measured, report.failed, report.missing) == (8, 0, 0)
    return study


@pytest.fixture
def fresh(ingested: Study, tmp_path: Path) -> Study:
    """A store of this test's own with the corpus and nothing else."""
    return ingested.copy(tmp_path / "fresh")


@pytest.fixture
def study(finished: Study, tmp_path: Path) -> Study:
    """A finished store of this test's own."""
    return finished.copy(tmp_path / "study")


@pytest.fixture
def watched() -> Watched:
    return Watched()


# ------------------------------------------------------------------------- processes to be killed


@dataclass
class Nursery:
    """A process that has everything imported and forks a run of a sweep whenever it is asked to."""

    process: subprocess.Popen[str]

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(
        self,
        study: Study,
        log: Path,
        *changes: dict[str, Any],
        pause: str = "",
        forked: bool = False,
        **how: Any,
    ) -> int:
        """Start a run; ``pause``: "module:function:n", the n-th call of which never returns.

        forked: its workers are forked, which is quicker than starting them.
        """
        log.unlink(missing_ok=True)
        pid: int = self.ask(
            store=str(study.store.path),
            recipe=str(study.recipe_file(*changes)),
            log=str(log),
            pause=pause,
            forked=forked,
            how={"executor": "serial", "workers": 1, **how},
        )
        return pid

    def wait(self, pid: int) -> int:
        """Return how a run ended: its exit code, or minus the signal that killed it."""
        return int(self.ask(wait=pid))


def wait_for(log: Path, text: str, *, seconds: float = 120.0) -> None:
    """Return once a line of the log contains the text."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if log.exists() and text in log.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"no {text!r} after {seconds:g} s in: {log.read_text()}")


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    script = Path(__file__).with_name("forks_of_a_sweep.py")
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **one},
    )
    with process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def wait_for_line() -> Callable[..., None]:
    return wait_for
