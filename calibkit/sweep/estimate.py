"""How long a plan will take, and how much memory: from what this host timed before. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from calibkit.store.connection import Store
from calibkit.sweep import provenance
from calibkit.sweep.pace import CellPace, ModelPace, Paces, Sort, paces
from calibkit.sweep.plan import Plan, PlannedCell, noise_levels, test_limit

Basis = Literal["timed", "probed", "unknown"]
"""Own timings on this host; a probe, scaled; nothing."""


@dataclass(frozen=True)
class CellEstimate:
    """Seconds of one cell on one core and megabytes of its worker, None where unknown."""

    seconds: float | None
    peak_mb: float | None
    basis: Basis


UNKNOWN = CellEstimate(None, None, "unknown")


@dataclass(frozen=True)
class Estimate:
    """What a plan still has to do will take.

    by_cell: by the cell's place in the plan. training, baselines: seconds of each float model that
    is to be trained, and of each that is to be measured itself; None where unknown. cells, models:
    numbers of timings that it rests on.
    """

    by_cell: Mapping[int, CellEstimate] = field(default_factory=dict)
    training: tuple[float | None, ...] = ()
    baselines: tuple[float | None, ...] = ()
    cells: int = 0
    models: int = 0

    @property
    def cell_seconds(self) -> float | None:
        """Seconds of all cells on one core, None where one is unknown."""
        return _sum(one.seconds for one in self.by_cell.values())

    @property
    def training_seconds(self) -> float | None:
        """Seconds of all trainings on one core, None where one is unknown."""
        return _sum(self.training)

    @property
    def peak_mb(self) -> float | None:
        """The most memory of a worker, None where it is unknown for some cell."""
        peaks = [one.peak_mb for one in self.by_cell.values()]
        known = [peak for peak in peaks if peak is not None]
        return max(known, default=None) if len(known) == len(peaks) else None

    @property
    def basis(self) -> Basis:
        """The weakest basis of a cell."""
        found = {one.basis for one in self.by_cell.values()}
        return "unknown" if "unknown" in found else "probed" if "probed" in found else "timed"

    def seconds(self, workers: int) -> float | None:
        """Return wall seconds with so many workers, each on a core of its own, or None.

        Models, baselines and cells come one after the other, and none is shared by two workers.
        """
        total = 0.0
        for tasks in (self.training, self.baselines, [c.seconds for c in self.by_cell.values()]):
            known = [task for task in tasks if task is not None]
            if len(known) < len(tasks):
                return None
            total += max(sum(known) / workers, max(known, default=0.0))
        return total


def estimate(store: Store, plan: Plan, probed: Mapping[str, Probed] | None = None) -> Estimate:
    """Return what the cells to do, and the models they need, will take.

    A cell costs what cells like it cost on this host per calibration document, per test document
    and noise level, and beside; a model what models of its kind took to train on this corpus.
    probed: by kind of model, what stands in for timings that this host does not have.
    """
    to_do = plan.to_do()
    if not store.exists() or plan.corpus is None:
        models = {name for cell in to_do for name in cell.models()}
        unknown = {cell.ordinal: UNKNOWN for cell in to_do}
        return Estimate(unknown, (None,) * len(models), (None,) * len(models))
    with store.reading() as con:
        host, share = provenance.host(), plan.recipe.corpus.share
        known = paces(con, host, plan.corpus.corpus_id, share)
        trained = {str(row[0]) for row in con.execute("SELECT model_key FROM models").fetchall()}
        measured = {
            str(row[0])
            for row in con.execute(
                "SELECT DISTINCT model_key FROM baseline_evaluations WHERE stage = 'port'"
            ).fetchall()
        }
    return _Estimator(plan, known, probed or {}).estimate(to_do, trained, measured)


@dataclass(frozen=True)
class Probed:
    """What a probe of a kind of model found, for all training documents of the corpus.

    distilled: of distilled cells, where the plan has some to measure.
    """

    cell: CellPace
    model: ModelPace
    distilled: CellPace | None = None

    def of(self, sort: Sort) -> CellPace | None:
        """Return the pace of such cells, None where none was probed."""
        return self.distilled if sort.distilled else self.cell


@dataclass
class _Estimator:
    plan: Plan
    known: Paces
    probed: Mapping[str, Probed]

    def estimate(
        self, to_do: Iterable[PlannedCell], trained: set[str], measured: set[str]
    ) -> Estimate:
        cells = list(to_do)
        by_cell = {cell.ordinal: self._cell(cell) for cell in cells}
        models = {
            str(key): alias for cell in cells for (alias, _), key in cell.models().items() if key
        }
        under_test = {str(cell.model_key): cell.point.model for cell in cells}
        sorts = {Sort.of(cell.model_kind, cell.point.scheme) for cell in cells}
        kinds = {self._kind(alias) for key, alias in models.items() if key not in trained}
        timed: Counter[str] = Counter()
        for sort in sorts:
            pace = self.known.of(sort)
            if pace is not None:
                timed[f"{sort}" if sort in self.known.by_sort else sort.kind] = pace.timings
        return Estimate(
            by_cell,
            tuple(self._training(alias) for key, alias in models.items() if key not in trained),
            tuple(
                self._baseline(alias) for key, alias in under_test.items() if key not in measured
            ),
            sum(timed.values()),
            sum(self.known.models[kind].timings for kind in kinds & self.known.models.keys()),
        )

    def _cell(self, cell: PlannedCell) -> CellEstimate:
        sort = Sort.of(cell.model_kind, cell.point.scheme)
        pace = self.known.of(sort)
        basis: Basis = "timed"
        if pace is None:
            probed = self.probed.get(cell.model_kind)
            pace, basis = probed.of(sort) if probed else None, "probed"
        if pace is None:
            return UNKNOWN
        seconds = pace.seconds(
            size=cell.point.size,
            documents=tested_documents(self.plan),
            levels=self._levels,
            shifted=bool(self.plan.recipe.measure.distributions),
        )
        return CellEstimate(seconds, pace.peak_mb, basis)

    def _training(self, alias: str) -> float | None:
        kind = self._kind(alias)
        per_epoch = self._model(kind).per_epoch
        if per_epoch is None and kind in self.probed:
            per_epoch = self.probed[kind].model.per_epoch
        epochs = self.plan.recipe.models[alias].settings.epochs
        return None if per_epoch is None else per_epoch * epochs

    def _baseline(self, alias: str) -> float | None:
        kind = self._kind(alias)
        per_tested = self._model(kind).per_tested
        if per_tested is None and kind in self.known.by_kind:
            per_tested = 2 * self.known.by_kind[kind].per_tested  # the model, and its port
        if per_tested is None and kind in self.probed:
            per_tested = self.probed[kind].model.per_tested
        return (
            None if per_tested is None else per_tested * tested_documents(self.plan) * self._levels
        )

    def _model(self, kind: str) -> ModelPace:
        return self.known.models.get(kind, ModelPace(None, None))

    def _kind(self, alias: str) -> str:
        return self.plan.recipe.models[alias].kind

    @property
    def _levels(self) -> int:
        return len(noise_levels(self.plan.recipe))


def _sum(seconds: Iterable[float | None]) -> float | None:
    found = list(seconds)
    known = [one for one in found if one is not None]
    return sum(known) if len(known) == len(found) else None


def tested_documents(plan: Plan) -> int:
    """Return how many test documents a cell is measured on; the corpus is in the store."""
    assert plan.corpus is not None
    whole = round(plan.corpus.documents[plan.recipe.corpus.test] * plan.recipe.corpus.share)
    limit = test_limit(plan.recipe, plan.limit_documents)
    return whole if limit is None else min(whole, limit)
