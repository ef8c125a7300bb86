"""What cells and float models took on this host: seconds per document, and memory. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from calibkit.quantize.schemes import Scheme, rounding_name, scheme_from_dict


@dataclass(frozen=True)
class CellPace:
    """What one sort of cells takes: seconds by what they grow with, and the most memory.

    per_calibrated: per calibration document (ranges and rounding). per_tested: per test document
    and noise level. per_shifted: per test document, where distributions are measured. fixed: per
    cell. peak_mb: of a worker process. timings: cells that it rests on; 0 for a probe.
    """

    per_calibrated: float
    per_tested: float
    per_shifted: float
    fixed: float
    peak_mb: float
    timings: int = 0

    def seconds(self, *, size: int, documents: int, levels: int, shifted: bool) -> float:
        """Return the seconds of a cell on one core."""
        found = self.fixed + self.per_calibrated * size + self.per_tested * documents * levels
        return found + (self.per_shifted * documents if shifted else 0.0)


@dataclass(frozen=True)
class ModelPace:
    """What float models of a kind take: seconds per epoch, and of the baseline per document."""

    per_epoch: float | None
    per_tested: float | None
    timings: int = 0


@dataclass(frozen=True, order=True)
class Sort:
    """What decides most of a cell's time beside its sizes."""

    kind: str
    rounding: str
    observer: str
    arithmetic: str

    @classmethod
    def of(cls, kind: str, scheme: Scheme) -> Sort:
        """Return the sort of a cell under a scheme."""
        observer = scheme.observer if scheme.reads_documents else "none"
        arithmetic = scheme.quantizer if scheme.by_peer else scheme.arithmetic
        return cls(kind, rounding_name(scheme), observer, arithmetic)

    @property
    def distilled(self) -> bool:
        """Whether a network is trained: as many steps for few documents as for many."""
        return self.rounding == "distill"


_CELLS = """
SELECT m.kind, c.scheme_id, any_value(c.scheme), count(*), sum(s.size),
       sum(coalesce(CAST(c.stages ->> 'calibrate' AS DOUBLE), 0)
           + coalesce(CAST(c.stages ->> 'rounding' AS DOUBLE), 0)),
       sum(CAST(c.stages ->> 'distributions' AS DOUBLE)),
       sum(t.documents) FILTER (c.stages ->> 'distributions' IS NOT NULL),
       sum(c.seconds), max(c.peak_mb), sum(e.seconds), sum(e.documents)
FROM cells AS c JOIN (SELECT DISTINCT model_id, kind FROM models) AS m USING (model_id)
JOIN subsets AS s USING (subset_id) JOIN test_sets AS t USING (test_id)
JOIN (SELECT cell_id, sum(seconds) AS seconds, sum(documents) AS documents
      FROM evaluations GROUP BY cell_id) AS e USING (cell_id)
WHERE c.host = ? AND c.seconds IS NOT NULL AND c.stages IS NOT NULL
GROUP BY ALL
"""

_MODELS = """
SELECT kind, avg(seconds / epochs), count(*) FROM models
WHERE corpus_id = ? AND share = ? AND model_key NOT IN (
    SELECT model_key FROM baseline_evaluations JOIN runs USING (run_id)
    WHERE model_key IS NOT NULL AND host <> ?)
GROUP BY kind
"""
"""Models that another host has measured were most probably trained there."""

_BASELINES = """
SELECT m.kind, sum(b.seconds) / sum(b.documents) FILTER (b.stage = 'port')
FROM baseline_evaluations AS b JOIN runs USING (run_id)
JOIN (SELECT DISTINCT model_id, kind FROM models) AS m USING (model_id)
WHERE runs.host = ? GROUP BY m.kind
"""
"""Both stages, by documents at one level."""


@dataclass(frozen=True)
class Paces:
    """What this host has timed: by sort of cell, over all sorts of a kind, and of models.

    Distilled cells are no measure for others of their kind, nor these for them.
    """

    by_sort: Mapping[Sort, CellPace]
    by_kind: Mapping[str, CellPace]
    models: Mapping[str, ModelPace]

    def of(self, sort: Sort) -> CellPace | None:
        """Return the pace of such cells, or of others of their kind, or None."""
        others = None if sort.distilled else self.by_kind.get(sort.kind)
        return self.by_sort.get(sort) or others


@dataclass
class _Sums:
    cells: int = 0
    calibrated: float = 0.0
    calibrating: float = 0.0
    shifting: float = 0.0
    shifted: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0
    testing: float = 0.0
    tested: float = 0.0

    def add(self, numbers: Iterable[float | None]) -> None:
        cells, size, calibrating, shifting, shifted, seconds, peak, testing, tested = (
            float(number or 0.0) for number in numbers
        )
        self.cells += int(cells)
        self.calibrated += size
        self.calibrating += calibrating
        self.shifting += shifting
        self.shifted += shifted
        self.seconds += seconds
        self.peak_mb = max(self.peak_mb, peak)
        self.testing += testing
        self.tested += tested

    def pace(self, *, distilled: bool = False) -> CellPace:
        growing = 0.0 if distilled else self.calibrating
        rest = self.seconds - growing - self.shifting - self.testing
        return CellPace(
            growing / self.calibrated,
            self.testing / self.tested,
            self.shifting / self.shifted if self.shifted else 0.0,
            max(0.0, rest) / self.cells,  # below 0 where levels were measured later
            self.peak_mb,
            self.cells,
        )


def paces(con: duckdb.DuckDBPyConnection, host: str, corpus_id: str, share: float) -> Paces:
    """Return what cells took on a host, and what float models of a corpus and share took."""
    by_sort: dict[Sort, _Sums] = {}
    by_kind: dict[str, _Sums] = {}
    for kind, _, scheme, *numbers in con.execute(_CELLS, [host]).fetchall():
        sort = Sort.of(kind, scheme_from_dict(json.loads(scheme)))
        by_sort.setdefault(sort, _Sums()).add(numbers)
        if not sort.distilled:
            by_kind.setdefault(kind, _Sums()).add(numbers)
    trained = {
        kind: (float(per_epoch), int(count))
        for kind, per_epoch, count in con.execute(_MODELS, [corpus_id, share, host]).fetchall()
        if per_epoch is not None
    }
    scored = dict(con.execute(_BASELINES, [host]).fetchall())
    models = {}
    for kind in trained.keys() | scored.keys():
        per_epoch, count = trained.get(kind, (None, 0))
        models[kind] = ModelPace(per_epoch, scored.get(kind), count)
    return Paces(
        {sort: sums.pace(distilled=sort.distilled) for sort, sums in by_sort.items()},
        {kind: sums.pace() for kind, sums in by_kind.items()},
        models,
    )
