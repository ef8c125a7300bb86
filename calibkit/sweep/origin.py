"""Where a cell's numbers come from, read back from the store: everything it was measured with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from calibkit.corpora.reading import Corpus, corpus_by_id
from calibkit.errors import BadInput, Infeasible
from calibkit.identity import HARNESS
from calibkit.models.settings import ModelSettings, settings_from_dict
from calibkit.quantize.schemes import Scheme, scheme_from_dict
from calibkit.sweep.content import (
    arithmetic_of,
    cell_content,
    subset_content,
    tested_content,
)

MOST_SHOWN = 8


@dataclass(frozen=True)
class Training:
    """One way to come to the cell's float model; ``key`` names its artefact."""

    key: str
    settings: ModelSettings
    seed: int
    share: float
    vocabulary_id: str


@dataclass(frozen=True)
class TestDocuments:
    """What the cell was measured on."""

    id: str
    split: str
    doc_ids: tuple[str, ...]
    label_ids: tuple[int, ...]


@dataclass(frozen=True)
class CellOrigin:
    """A cell and what decided its numbers.

    subset: document ids in calibration order. trainings: several where different settings came to
    the same weights, the first trained first. levels: (kind, level, seed) of every measurement, the
    clean one first. distributions: the quantities that are kept. host, versions: of the run that
    measured it, None where the store does not have them.
    """

    cell_id: str
    corpus: Corpus
    model_id: str
    trainings: tuple[Training, ...]
    subset_id: str
    subset: tuple[str, ...]
    scheme: Scheme
    test: TestDocuments
    levels: tuple[tuple[str, float, int], ...]
    distributions: tuple[str, ...]
    host: str | None
    versions: dict[str, str] | None

    @property
    def kind(self) -> str:
        """The kind of its float model."""
        return self.trainings[0].settings.kind


def find_cell(con: duckdb.DuckDBPyConnection, name: str) -> str:
    """Return the id of the one cell whose id starts with ``name``; raise BadInput otherwise."""
    found = con.execute(
        "SELECT cell_id FROM cells WHERE starts_with(cell_id, ?) ORDER BY cell_id", [name]
    ).fetchall()
    if len(found) == 1:
        return str(found[0][0])
    if not found:
        raise BadInput(
            f"no cell has an id that starts with {name!r}; the view results has them, for example"
            ' `calibkit sql "SELECT cell_id, policy, bits FROM results WHERE noise = 0"`'
        )
    shown = ", ".join(cell for (cell,) in found[:MOST_SHOWN])
    more = "" if len(found) <= MOST_SHOWN else f" and {len(found) - MOST_SHOWN:,} more"
    raise BadInput(f"{name!r} may be the cell {shown}{more}; say more of the id")


def cell_origin(con: duckdb.DuckDBPyConnection, name: str) -> CellOrigin:
    """Return what a cell was measured with, by the start of its id.

    Raises BadInput for an id that no cell has, and where the store has a cell's numbers and not
    what they come from; Infeasible for a cell of another harness or device, or of another tool in
    another version than the installed one; MissingExtra where that tool is not installed.
    """
    cell_id = find_cell(con, name)
    cell = _one(con, "SELECT * FROM cells WHERE cell_id = ?", cell_id) or {}
    if cell["harness"] != HARNESS or cell["device"] != "cpu":
        raise Infeasible(
            f"the cell {cell_id} was measured by harness {cell['harness']} on the device"
            f" {cell['device']}, and this calibkit has harness {HARNESS} on cpu: it would give"
            " another cell, not this one's numbers. The view provenance has the versions that did"
        )
    documents = con.execute(
        "SELECT doc_id FROM subset_documents WHERE subset_id = ? ORDER BY position",
        [cell["subset_id"]],
    ).fetchall()
    test = _one(con, "SELECT * FROM test_sets WHERE test_id = ?", cell["test_id"])
    corpus = _one(con, "SELECT * FROM corpora WHERE corpus_id = ?", cell["corpus_id"])
    trainings = trainings_of(con, cell["model_id"])
    parts = {"corpus": corpus, "float model": trainings, "test set": test, "subset": documents}
    lacking = [what for what, part in parts.items() if not part]
    if lacking or test is None:
        raise BadInput(
            f"the store has the numbers of the cell {cell_id}, and not its {' and '.join(lacking)}:"
            " it was measured in another store. Evaluate its recipe here (`calibkit evaluate"
            " RECIPE`), which does not measure it again, or ask the store that it comes from"
        )
    scheme = scheme_from_dict(json.loads(cell["scheme"]))
    _check_tool(cell_id, scheme, cell["arithmetic"])
    run = _one(con, "SELECT host, versions FROM runs WHERE run_id = ?", cell["run_id"])
    origin = CellOrigin(
        cell_id=cell_id,
        corpus=corpus_by_id(con, cell["corpus_id"]),
        model_id=cell["model_id"],
        trainings=trainings,
        subset_id=cell["subset_id"],
        subset=tuple(str(row[0]) for row in documents),
        scheme=scheme,
        test=TestDocuments(
            test["test_id"], test["split"], tuple(test["doc_ids"]), tuple(test["label_ids"])
        ),
        levels=_levels(con, cell_id),
        distributions=_quantities(con, cell_id),
        host=cell["host"],
        versions=None if run is None or run["versions"] is None else json.loads(run["versions"]),
    )
    _check(origin)
    return origin


def _check_tool(cell_id: str, scheme: Scheme, measured_by: str) -> None:
    """Refuse a cell of another tool in another version than the one that is installed."""
    if scheme.by_peer and arithmetic_of(scheme) != measured_by:
        raise Infeasible(
            f"the cell {cell_id} was quantized by {measured_by}, and here is"
            f" {arithmetic_of(scheme)}: it would give another cell, not this one's numbers. `pip"
            f" install {measured_by.replace(' ', '==')}` brings that version"
        )


def _check(origin: CellOrigin) -> None:
    """Hold what was read against the ids, which are hashes of it."""
    corpus_id, test = origin.corpus.corpus_id, origin.test
    if tested_content(corpus_id, test.doc_ids, test.label_ids) != test.id:
        raise Infeasible(
            f"the test set {test.id} of the cell {origin.cell_id} is not what this calibkit makes"
            " of its documents: kinds of noise have changed since. The view provenance has the"
            " versions that measured the cell"
        )
    subset_id = subset_content(corpus_id, origin.subset)
    cell_id = cell_content(origin.model_id, subset_id, origin.scheme, test.id)
    if cell_id != origin.cell_id:
        raise BadInput(
            f"the row of the cell {origin.cell_id} is not what its id was made from (that gives"
            f" {cell_id}): rows of the store were changed. The table cells, or a backup, has more"
        )


def trainings_of(con: duckdb.DuckDBPyConnection, model_id: str) -> tuple[Training, ...]:
    """Return every training that came to a float model's weights, the first one first."""
    rows = con.execute(
        "SELECT model_key, settings, seed, share, vocabulary_id FROM models WHERE model_id = ?"
        " ORDER BY trained_at, model_key",
        [model_id],
    ).fetchall()
    return tuple(
        Training(key, settings_from_dict(json.loads(settings)), seed, share, vocabulary)
        for key, settings, seed, share, vocabulary in rows
    )


def _levels(con: duckdb.DuckDBPyConnection, cell_id: str) -> tuple[tuple[str, float, int], ...]:
    rows = con.execute(
        "SELECT noise_kind, noise, noise_seed FROM evaluations WHERE cell_id = ?"
        " ORDER BY noise_kind <> 'none', noise_kind, noise, noise_seed",
        [cell_id],
    ).fetchall()
    return tuple((str(kind), float(level), int(seed)) for kind, level, seed in rows)


def _quantities(con: duckdb.DuckDBPyConnection, cell_id: str) -> tuple[str, ...]:
    rows = con.execute(
        "SELECT DISTINCT quantity FROM distributions WHERE cell_id = ? ORDER BY quantity",
        [cell_id],
    ).fetchall()
    return tuple(str(quantity) for (quantity,) in rows)


def _one(con: duckdb.DuckDBPyConnection, query: str, value: str) -> dict[str, Any] | None:
    """Return the one row that there is at most, by column."""
    found = con.execute(query, [value])
    columns = [str(column[0]) for column in found.description or []]
    row = found.fetchone()
    return None if row is None else dict(zip(columns, row, strict=True))
