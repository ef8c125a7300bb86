"""What the store knows of how a cell was asked for: plans, subset requests, the corpus's source."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import duckdb

from calibkit.corpora.reading import SPLITS, Corpus
from calibkit.sweep.origin import CellOrigin


@dataclass(frozen=True)
class Asked:
    """One request that came to a subset. model_id: what its policy looked through, or None."""

    policy: str
    params: Mapping[str, Any]
    version: int
    size: int
    seed: int
    pool: str
    share: float
    model_id: str | None


@dataclass(frozen=True)
class PlannedAs:
    """A place in a recipe's grid, by the recipe's own aliases."""

    model: str
    policy: str
    policy_kind: str
    size: int
    seed: int
    model_seed: int
    preset: str

    @property
    def place(self) -> tuple[str, int, int, int]:
        """What tells it from others that came to the same cell."""
        return self.policy_kind, self.size, self.seed, self.model_seed


@dataclass(frozen=True)
class CorpusSource:
    """Where a corpus was ingested from.

    recipe_source: what a recipe's ``corpus.from`` says; None where a recipe cannot ingest it.
    command: the command that ingests it, files by their bare names.
    """

    recipe_source: str | None
    command: str


def asked_for(con: duckdb.DuckDBPyConnection, origin: CellOrigin) -> tuple[Asked, ...]:
    """Return every request that came to the cell's documents, the first one first."""
    rows = con.execute(
        "SELECT policy, params, policy_version, size, seed, pool, share, model_id"
        " FROM subset_requests WHERE subset_id = ? AND corpus_id = ?"
        " ORDER BY created_at, request_key",
        [origin.subset_id, origin.corpus.corpus_id],
    ).fetchall()
    return tuple(Asked(row[0], json.loads(row[1] or "{}"), *row[2:]) for row in rows)


def planned_as(con: duckdb.DuckDBPyConnection, cell_id: str) -> tuple[PlannedAs, ...]:
    """Return every place in a recipe's grid that came to the cell."""
    rows = con.execute(
        "SELECT model, policy, policy_kind, size, seed, model_seed, preset"
        " FROM recipe_cells JOIN plan_cells USING (plan_key) WHERE cell_id = ?"
        " ORDER BY recipe, recipe_id, ordinal",
        [cell_id],
    ).fetchall()
    return tuple(PlannedAs(*row) for row in rows)


def source_of(con: duckdb.DuckDBPyConnection, corpus: Corpus) -> CorpusSource:
    """Return where a corpus comes from."""
    row = con.execute(
        "SELECT source FROM corpora WHERE corpus_id = ?", [corpus.corpus_id]
    ).fetchone()
    source = json.loads(row[0]) if row and row[0] else {}
    columns = {"--text-column": source.get("text_column", "text")}
    columns["--label-column"] = source.get("label_column", "label")
    usual = columns == {"--text-column": "text", "--label-column": "label"}
    options = [] if usual else [part for pair in columns.items() for part in pair]
    if isinstance(source.get("vectors"), dict):
        options += ["--vectors", source["vectors"]["column"]]
    if source.get("rows_left_out"):
        options += ["--on-error", "skip", "--max-rejects", source["rows_left_out"]]
    kind = source.get("kind")
    if kind in ("docstrings", "hub"):
        named = "docstrings" if kind == "docstrings" else f"hub:{source['address']}"
        command = ["calibkit", "ingest", corpus.name, "--from", named, *options]
        return CorpusSource(None if options else named, _line(command))
    splits = source.get("splits", {})
    files = [
        part
        for split in SPLITS
        if split in splits
        for part in (f"--{split}", PurePath(splits[split]["file"]).name)
    ]
    return CorpusSource(None, _line(["calibkit", "ingest", corpus.name, *files, *options]))


def _line(words: list[str]) -> str:
    """Return a command on one line; names of files may have any character in them."""
    return "".join(c for c in shlex.join(map(str, words)) if c.isprintable())
