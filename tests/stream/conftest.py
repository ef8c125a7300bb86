"""Whole streams that take seconds: a made corpus, tiny models, and recipes of streams over them."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import TINY
from watchers import Watched

from calibkit.corpora.ingest import ingest
from calibkit.recipe.load_stream import load_stream_recipe
from calibkit.store.connection import Store
from calibkit.stream.run import StreamReport, run_stream

STREAM: dict[str, Any] = {
    "calibkit": 1,
    "name": "tiny-stream",
    "corpus": {"name": "made"},
    "models": {"generative": dict(TINY), "discriminative": dict(TINY)},
    "policies": {"start": {"use": "random"}},
    "quantize": {"preset": "robust"},
    "stream": {
        "batch": 6,
        "hold_out": 20,
        "phases": [
            {"name": "as-trained", "batches": 1},
            {"name": "typos", "batches": 2, "noise": {"keyboard": 0.2}},
        ],
    },
    "methods": {
        "frozen": {"subset": "frozen", "model": "frozen"},
        "gpfq": {
            "subset": "reservoir",
            "model": "gpfq",
            "layers": ["gates", "linear"],
            "ranges": True,
        },
    },
    "grid": {
        "model": ["generative", "discriminative"],
        "method": ["frozen", "gpfq"],
        "policy": ["start"],
        "size": [8],
        "seed": [0],
        "bits": [4],
    },
}


def with_changes(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = with_changes(found[key], value)
        else:
            found[key] = value
    return found


@dataclass(frozen=True)
class Following:
    """A store in a folder of its own, and a way to follow changes of the base stream over it."""

    folder: Path
    store: Store

    def recipe(self, *changes: dict[str, Any]) -> Any:
        content = STREAM
        for change in changes:
            content = with_changes(content, change)
        path = self.folder / "stream.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return load_stream_recipe(path)

    def run(
        self, *changes: dict[str, Any], watcher: Watched | None = None, **how: Any
    ) -> StreamReport:
        how = {"executor": "serial", "workers": 1, **how}
        return run_stream(self.store, self.recipe(*changes), watcher=watcher or Watched(), **how)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as con:
            return con.execute(query).fetchall()

    def copy(self, folder: Path) -> Following:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Following(folder, Store(folder / self.store.path.name))


NEVER_EQUAL = {"seconds", "seconds_subset", "seconds_model", "peak_mb", "host", "run_id"}
TABLES = ("stream_steps", "stream_evaluations", "stream_documents", "stream_trajectories")


def measured(study: Following) -> dict[str, list[str]]:
    """Return everything that was measured, as sorted texts; no times, hosts or runs."""
    found = {}
    for name in TABLES:
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
def everything_followed() -> Callable[[Following], dict[str, list[str]]]:
    return measured


@pytest.fixture(scope="session")
def streamed(tmp_path_factory: Any, make_corpus_files: Callable[..., dict[str, Path]]) -> Following:
    """A store with the corpus ``made`` and the base stream followed; never to be changed."""
    folder = tmp_path_factory.mktemp("streamed")
    store = Store(folder / "study.duckdb")
    files = make_corpus_files(folder / "files", {"train": 210, "valid": 60, "test": 60})
    ingest(store, "made", **files)
    study = Following(folder, store)
    report = study.run()
    assert (report.followed, report.failed, report.missing) == (4, 0, 0)
    return study


@pytest.fixture
def stream(streamed: Following, tmp_path: Path) -> Following:
    """A finished store of this test's own."""
    return streamed.copy(tmp_path / "stream")


@pytest.fixture
def heard() -> Watched:
    return Watched()
