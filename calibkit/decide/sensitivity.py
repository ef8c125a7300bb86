"""Which quantizers cost accuracy: one at a time at few bits, one at a time at many.

Every quantizer, and every group of them, is measured at LOW bits with all others at HIGH ("low
alone": what it breaks by itself) and at HIGH with all others at LOW ("high alone": what it alone
would mend). From there a greedy search suggests bits per quantizer under a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from threadpoolctl import threadpool_limits

from calibkit.decide.assignment import Greedy, uniform
from calibkit.decide.budget import Budget, mean_bits, sizes_of
from calibkit.decide.judging import Measured
from calibkit.decide.measuring import Assignment, Meter
from calibkit.decide.request import Request
from calibkit.decide.subject import Subject
from calibkit.decide.targets import PARTS, Part, Target, targets
from calibkit.measure.paired import PairedDifference, paired_difference
from calibkit.models.training import one_thread
from calibkit.quantize.schemes import Scheme, SchemeSettings, resolve
from calibkit.sweep.watcher import Watcher

Kind = Literal["reference", "low-alone", "high-alone", "suggestion"]

FLOAT, ALL_LOW, ALL_HIGH, UNIFORM = "float model", "all low", "all high", "uniform"


@dataclass(frozen=True)
class Row:
    """One measured network.

    name: the quantizer or group that is alone, or what reference it is; sites: its quantizers;
    bits: the width of these, None where there is no one width; mean_bits: by part, over weights and
    over activation values, None for the float model. against: the name of the row that difference
    is measured from.
    """

    kind: Kind
    name: str
    part: Part | None
    sites: tuple[str, ...]
    bits: int | None
    mean_bits: Mapping[Part, float] | None
    measured: Measured
    against: str | None
    difference: PairedDifference | None


@dataclass(frozen=True)
class Suggestion:
    """Bits per quantizer under a budget.

    bits: of the quantizers whose width was free; quantize: the settings that say so in a recipe;
    scheme: what these are in a recipe whose grid has LOW bits (the bits play no part in it).
    evaluations: schemes measured to find it; is_cut: whether the search ended at its cap.
    """

    bits: Mapping[str, int]
    quantize: SchemeSettings
    scheme: Scheme
    evaluations: int
    is_cut: bool


@dataclass(frozen=True)
class Report:
    """All rows, worst and best first as `sensitivity` says, and the suggestion if there is one."""

    rows: tuple[Row, ...]
    suggestion: Suggestion | None


def sensitivity(subject: Subject, request: Request, watcher: Watcher) -> Report:
    """Measure a subject at every assignment that is asked for; nothing is stored.

    Rows come as: references; low alone, the worst accuracy first; high alone, the best first; in
    both, single quantizers before groups, and nll decides between equal accuracies; at the end
    equal widths under the same budget, and the suggestion. Computed on one thread; the engine
    changes no number.

    Raises BadInput for patterns or budgets that cannot be.
    """
    with one_thread(), threadpool_limits(1):
        return _Study(subject, request, watcher).report()


class _Study:
    """The work of `sensitivity`; what cannot be asked is refused before anything is measured."""

    def __init__(self, subject: Subject, request: Request, watcher: Watcher) -> None:
        self.request, self.watcher = request, watcher
        self.meter = Meter(subject, request.settings, nominal=request.low, engine=request.engine)
        self.meter.on_measured = lambda found: watcher.step(_words(found))
        self.targets = targets(subject.kind, self.meter.fixed, request.only)
        self.sizes = {part: sizes_of(subject, part) for part in PARTS}
        self.all_low = self.meter.assignment(request.low)
        self.all_high = self.meter.assignment(request.high)
        asked: dict[Part, float | None] = {"weights": request.budget}
        if request.activation_budget is not None:
            asked["activations"] = request.activation_budget
        ends = (self.all_low, self.all_high)
        self.budgets = {p: Budget.of(p, self.sizes[p], m, *ends) for p, m in asked.items()}

    def report(self) -> Report:
        plans: tuple[tuple[Kind, int, Assignment, str], ...] = (
            ("low-alone", self.request.low, self.all_high, ALL_HIGH),
            ("high-alone", self.request.high, self.all_low, ALL_LOW),
        )
        wanted = [self.all_high, self.all_low]
        wanted += [_with(t, own, rest) for _, own, rest, _ in plans for t in self.targets]
        self.watcher.phase("quantizers", self.meter.missing(wanted))
        exact = self.meter.exact
        rows = [Row("reference", FLOAT, None, (), None, None, exact, None, None)]
        for name, bits in ((ALL_HIGH, self.all_high), (ALL_LOW, self.all_low)):
            rows.append(self._row("reference", name, bits, FLOAT, exact))
        for kind, own, rest, against in plans:
            reference = self.meter.measure(rest)
            found = [
                self._row(kind, t.name, _with(t, own, rest), against, reference, t)
                for t in self.targets
            ]
            rows += sorted(found, key=_rank)
        if not self.request.evaluations:
            return Report(tuple(rows), None)
        more, suggestion = self._suggest()
        return Report((*rows, *more), suggestion)

    def _suggest(self) -> tuple[list[Row], Suggestion]:
        start = dict(self.all_low)
        for part in PARTS:
            if part not in self.budgets:  # it costs nothing
                start |= {site: self.all_high[site] for site in self.sizes[part]}
        self.watcher.phase("suggestion", self.request.evaluations)
        greedy = Greedy(
            self.meter,
            self.targets,
            self.budgets,
            high=self.request.high,
            most=self.request.evaluations,
        )
        search = greedy.run(start)
        studied = [site for target in self.targets for site in target.sites]
        even = uniform(start, studied, self.budgets, self.request.high)
        bits = greedy.best([even, search.bits])
        rows = [
            self._row("reference", UNIFORM, even, FLOAT, self.meter.exact),
            self._row("suggestion", "suggestion", bits, UNIFORM, self.meter.measure(even)),
        ]
        settings = self.meter.quantize(bits)
        return rows, Suggestion(
            {site: bits[site] for site in self.meter.free},
            settings,
            resolve(settings, bits=self.request.low),
            search.evaluations,
            search.is_cut,
        )

    def _row(
        self,
        kind: Kind,
        name: str,
        bits: Assignment,
        against: str,
        reference: Measured,
        target: Target | None = None,
    ) -> Row:
        sites = self.meter.free if target is None else target.sites
        widths = {bits[site] for site in sites}
        measured = self.meter.measure(bits)
        return Row(
            kind,
            name,
            None if target is None else target.part,
            sites,
            widths.pop() if len(widths) == 1 else None,
            {part: mean_bits(self.sizes[part], bits) for part in PARTS},
            measured,
            against,
            paired_difference(measured.right, reference.right),
        )


def _with(target: Target, own: int, rest: Assignment) -> dict[str, int]:
    return {**rest, **dict.fromkeys(target.sites, own)}


def _rank(row: Row) -> tuple[bool, float, float]:
    """Singles first; then what matters most: the worst of low alone, the best of high alone."""
    sign = 1 if row.kind == "low-alone" else -1
    return len(row.sites) > 1, sign * row.measured.accuracy, -sign * row.measured.nll


def _words(found: Measured) -> str:
    return f"accuracy {100 * found.accuracy:.1f} %, nll {found.nll:.4g}"
