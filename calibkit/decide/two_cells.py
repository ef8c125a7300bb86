"""Two cells as the fixed networks that they are: document by document, under each noise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from calibkit.decide.evidence import noise_floor
from calibkit.decide.evidence_rows import Row, literal
from calibkit.errors import BadInput
from calibkit.measure.mcnemar import McNemar, mcnemar
from calibkit.measure.multiple import benjamini_hochberg
from calibkit.store import Store, query


@dataclass(frozen=True)
class CellComparison:
    """McNemar's test of two cells on the same documents under one noise.

    p_adjusted: p corrected over the noise levels that are compared (Benjamini and Hochberg, 1995).
    floor: by how much accuracy differs between two random draws under the settings of the first
    cell, on average; None where fewer than two are measured.
    """

    noise_kind: str
    noise: float
    noise_seed: int
    accuracy_a: float
    accuracy_b: float
    test: McNemar
    p_adjusted: float
    floor: float | None


def compare_cells(store: Store, cell_a: str, cell_b: str) -> list[CellComparison]:
    """Return the comparison under every noise that both cells were measured under, clean first.

    Read from the stored predictions. Raises BadInput for a cell that is not there or compared with
    itself, for cells measured on different documents, or without noise levels in common.
    """
    if cell_a == cell_b:
        raise BadInput(f"{cell_a} is compared with itself; name two cells")
    found = query(
        store,
        "SELECT cells.cell_id, cells.test_id, test_sets.label_ids"
        " FROM cells JOIN test_sets ON test_sets.test_id = cells.test_id"
        f" WHERE cells.cell_id IN ({literal(cell_a)}, {literal(cell_b)})",
    ).rows
    tests = {str(row[0]): (str(row[1]), row[2]) for row in found}
    for cell in (cell_a, cell_b):
        if cell not in tests:
            raise BadInput(f"no cell {cell} is measured; the view results has the ids of cells")
    if tests[cell_a][0] != tests[cell_b][0]:
        raise BadInput(
            f"{cell_a} was measured on the test documents {tests[cell_a][0]}, {cell_b} on"
            f" {tests[cell_b][0]}; only predictions for the same documents can be paired"
        )
    labels = np.asarray(tests[cell_a][1])
    rows = query(
        store,
        "SELECT a.noise_kind, a.noise, a.noise_seed, a.predicted, b.predicted"
        " FROM predictions AS a JOIN predictions AS b USING (noise_kind, noise, noise_seed)"
        f" WHERE a.cell_id = {literal(cell_a)} AND b.cell_id = {literal(cell_b)}"
        " ORDER BY a.noise_kind <> 'none', a.noise_kind, a.noise, a.noise_seed",
    ).rows
    if not rows:
        raise BadInput(
            f"{cell_a} and {cell_b} have no noise level in common, not even the clean one"
        )
    right = [[np.asarray(row[side]) == labels for side in (3, 4)] for row in rows]
    tested = [mcnemar(first, second) for first, second in right]
    adjusted = benjamini_hochberg([test.p for test in tested])
    floors = _floors(store, cell_a)
    found_rows = []
    for row, (of_a, of_b), test, p in zip(rows, right, tested, adjusted, strict=True):
        kind, noise = str(row[0]), float(row[1])
        scores = float(of_a.mean()), float(of_b.mean())
        found_rows.append(
            CellComparison(kind, noise, int(row[2]), *scores, test, p, floors.get((kind, noise)))
        )
    return found_rows


def _floors(store: Store, cell: str) -> dict[tuple[str, float], float | None]:
    """Return the noise floor by noise kind and level: random draws beside the cell."""
    found = query(
        store,
        "SELECT noise_kind, noise, model_seed, seed, subset_id, accuracy FROM results SEMI JOIN"
        " (SELECT recipe, model, model_seed, size, scheme_id FROM results"
        f" WHERE cell_id = {literal(cell)}) USING (recipe, model, model_seed, size, scheme_id)"
        " WHERE policy_kind = 'random' ORDER BY ALL",
    ).rows
    draws: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for kind, noise, *of_draw in found:
        draws[str(kind), float(noise)].append(Row({}, "", "random", *of_draw))
    return {level: noise_floor(rows) for level, rows in draws.items()}
