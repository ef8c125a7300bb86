"""Does a cell still give its numbers? It is measured once more and compared bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from calibkit.identity import sha256_hex
from calibkit.store.comparison import compared_columns
from calibkit.store.connection import Store
from calibkit.store.rows import TableShape, quoted, table_shapes, unpack_predictions
from calibkit.sweep import provenance
from calibkit.sweep.jobs import Engine
from calibkit.sweep.origin import CellOrigin, cell_origin
from calibkit.sweep.rebuild import Tell, measure_again

MEASURED = ("evaluations", "label_evaluations", "predictions", "distributions")
"""The tables that have a cell's numbers."""

MOST_TOLD = 20
"""So many numbers of a group that differ are told one by one."""

ABSENT = "absent"
"""Stands for a number whose row only one side has."""

CLEAN = ", clean"

Value = float | int | str | None
Numbers = dict[str, dict[str, Value]]
"""Group (a noise level, or a quantity of the distributions) -> name of a number -> its value."""


@dataclass(frozen=True)
class Comparison:
    """One number, or ``numbers`` of them at once, of which both sides are then a hash."""

    what: str
    numbers: int
    stored: Value
    measured: Value
    same: bool


@dataclass(frozen=True)
class Verification:
    """What came of measuring a cell again.

    numbers, different: how many were compared, and came back different. comparisons: the lines that
    are told, of numbers that differ the first of each group. changed: package -> (version that
    measured it, version now), where they are known and differ.
    """

    origin: CellOrigin
    comparisons: tuple[Comparison, ...]
    numbers: int
    different: int
    changed: Mapping[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether every number came back as it is stored."""
        return self.different == 0


def verify(store: Store, name: str, *, engine: Engine = "auto", tell: Tell) -> Verification:
    """Measure a cell again and compare every number with the store, which stays as it is.

    name: the start of the cell's id. Times, memory and flags are no numbers of a cell; what was
    not measured then (NULL) is not compared. Raises what `cell_origin` and `measure_again` raise.
    """
    with store.reading() as con:
        origin = cell_origin(con, name)
        shapes = table_shapes(con)
        stored = {t: _numbers(shapes[t], _rows(con, t, origin.cell_id)) for t in MEASURED}
    fresh = measure_again(store, origin, engine=engine, tell=tell)
    comparisons: list[Comparison] = []
    numbers = different = 0
    for table, before in stored.items():
        after = _numbers(shapes[table], fresh.get(table, []))
        groups = dict.fromkeys([*before, *after])
        for group in sorted(groups, key=lambda name: not name.endswith(CLEAN)):
            pairs = _pairs(before.get(group, {}), after.get(group, {}))
            wrong = [one for one in pairs if not one.same]
            numbers += len(pairs)
            different += len(wrong)
            if table != "evaluations":
                pairs = [_as_one(pairs), *wrong[:MOST_TOLD]]
            comparisons += [replace(one, what=f"{group}{one.what}") for one in pairs]
    now, then = provenance.versions(), origin.versions or {}
    changed = {p: (then[p], now[p]) for p in now if p in then and then[p] != now[p]}
    return Verification(origin, tuple(comparisons), numbers, different, changed)


def _rows(con: duckdb.DuckDBPyConnection, table: str, cell_id: str) -> list[dict[str, Any]]:
    found = con.execute(f"FROM {quoted(table)} WHERE cell_id = ? ORDER BY ALL", [cell_id])
    columns = [str(column[0]) for column in found.description or []]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _numbers(shape: TableShape, rows: Sequence[Mapping[str, Any]]) -> Numbers:
    """Return the measured columns of rows of one table, by what is told in one line."""
    found: Numbers = {}
    for row in rows:
        group = found.setdefault(f"{shape.name}, {_group(row)}", {})
        if shape.name == "predictions":
            labels: Any = row["predicted"]
            labels = unpack_predictions(labels) if isinstance(labels, str) else labels
            group |= {f": document {place}": label for place, label in enumerate(labels)}
            continue
        inner = f" label {row['label_id']}" if "label_id" in shape.key else ""
        inner += f" {row['site']}" if "site" in shape.key else ""
        for column in compared_columns(shape):
            value = row.get(column)
            if value is not None and shape.types[column] == "DOUBLE":
                value = float(value)
            group[f":{inner} {column}"] = value
    return found


def _group(row: Mapping[str, Any]) -> str:
    if "quantity" in row:
        return f"{row['quantity']} {row['pair']}"
    if row["noise_kind"] == "none":
        return CLEAN.removeprefix(", ")
    seed = f" seed {row['noise_seed']}" if row["noise_seed"] else ""
    return f"{row['noise_kind']} {float(row['noise'])}{seed}"


def _pairs(stored: Mapping[str, Value], measured: Mapping[str, Value]) -> list[Comparison]:
    """Hold numbers of a group against each other, without those that were not measured then."""
    found = []
    for name in dict.fromkeys([*stored, *measured]):
        before, after = stored.get(name, ABSENT), measured.get(name, ABSENT)
        if before is not None:
            found.append(Comparison(name, 1, before, after, _bits(before) == _bits(after)))
    return found


def _as_one(pairs: Sequence[Comparison]) -> Comparison:
    """Return many numbers as one line, with a hash of each side."""
    both = [(one.what, one.stored, one.measured) for one in pairs]
    stored = _hash(f"{name}={_bits(value)}" for name, value, _ in both)
    measured = _hash(f"{name}={_bits(value)}" for name, _, value in both)
    return Comparison("", len(pairs), stored, measured, all(one.same for one in pairs))


def _hash(lines: Iterable[str]) -> str:
    return sha256_hex("\n".join(lines).encode())[:16]


def _bits(value: Value) -> str:
    """Return text that is equal only for the very same number."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    return repr(value)
