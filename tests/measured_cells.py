"""A small study with measured cells of both models, for what exports cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tiny_models import TINY

from calibkit.corpora.ingest import ingest
from calibkit.recipe import load_recipe
from calibkit.store.connection import Store
from calibkit.sweep.run import run

RECIPE: dict[str, Any] = {
    "calibkit": 1,
    "name": "cells",
    "corpus": {"name": "made"},
    "models": {"generative": dict(TINY), "discriminative": dict(TINY)},
    "policies": {"random": {"use": "random"}},
    "grid": {
        "model": ["generative", "discriminative"],
        "policy": ["random"],
        "size": [16],
        "seed": [0],
        "bits": [8, 4, 3],
        "preset": ["robust"],
    },
    "measure": {"noise": {"keyboard": [0.1]}},
}


@dataclass(frozen=True)
class MeasuredCells:
    """A store, and the ids of its cells by (kind of model, bits)."""

    store: Store
    ids: dict[tuple[str, int], str]


def measure_cells(
    folder: Path, make_corpus_files: Callable[..., dict[str, Path]], **quantize: Any
) -> MeasuredCells:
    """Ingest a made corpus into ``folder`` and measure the recipe, with these settings."""
    from watchers import Watched

    store = Store(folder / "cells.duckdb")
    ingest(store, "made", **make_corpus_files(folder, {"train": 210, "valid": 45, "test": 60}))
    path = folder / "cells.yaml"
    path.write_text(yaml.safe_dump(RECIPE | ({"quantize": quantize} if quantize else {})))
    report = run(store, load_recipe(path), watcher=Watched(), executor="serial", workers=1)
    assert (report.failed, report.missing) == (0, 0)
    with store.reading() as con:
        rows = con.execute("SELECT model_kind, bits, cell_id FROM results WHERE noise = 0")
        return MeasuredCells(store, {(kind, bits): cell for kind, bits, cell in rows.fetchall()})
