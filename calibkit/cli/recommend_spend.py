"""``calibkit recommend --spend``: measure where it decides most, before anything is recommended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.errors import Incomplete, Infeasible

if TYPE_CHECKING:
    from calibkit.cli.session import Session
    from calibkit.decide.arms import Question
    from calibkit.decide.halving import Ladder
    from calibkit.decide.race import Spent
    from calibkit.decide.study import Study
    from calibkit.recipe import Recipe
    from calibkit.store import Store
    from calibkit.sweep.run import RunReport


@dataclass(frozen=True)
class Spending:
    """What ``--spend`` and the options beside it say."""

    minutes: float
    policies: tuple[str, ...] | None
    sizes: tuple[int, ...]
    presets: tuple[str, ...]
    finalists: int
    fresh: int
    workers: int
    executor: Literal["local", "serial"]


def measure_first(session: Session, question: Question, spending: Spending) -> Question:
    """Measure, and return the question about what the fresh draws say.

    Raises Infeasible where the time is over before that, Incomplete where numbers came back
    different, and what studying and measuring raise.
    """
    from calibkit.decide.race import spend
    from calibkit.sweep.run import run

    store = session.store
    study, ladder = _study(store, question, spending)
    _tell_plan(study, ladder, spending)
    watcher = progress.watcher()

    def measure(recipe: Recipe, minutes: float) -> RunReport:
        report = run(
            store,
            recipe,
            workers=spending.workers,
            executor=spending.executor,
            max_time=minutes,
            watcher=watcher,
        )
        if report.conflicts:
            raise Incomplete(
                f"{report.conflicts:,} numbers came back different from those stored, which means"
                " that something is not deterministic; the stored ones stand, and"
                ' `calibkit sql "FROM conflicts"` shows both'
            )
        return report

    try:
        spent = spend(store, study, ladder, spending.minutes, measure)
    except KeyboardInterrupt:
        watcher.close()
        note("the same command goes on from here")
        raise
    finally:
        watcher.close()
    _tell_end(study, spent, spending)
    return replace(question, model=study.alias, size=None, recipe=study.name)


def _study(store: Store, question: Question, spending: Spending) -> tuple[Study, Ladder]:
    from calibkit.decide.halving import Arm, Ladder
    from calibkit.decide.study import REFERENCE, Study, base_recipe, candidates, kind_of

    store.require()
    base = base_recipe(store, question)
    found = candidates(kind_of(question, base), base, spending.policies)
    shape = (Ladder.draws, spending.finalists, spending.fresh)
    policies = {REFERENCE: {"use": REFERENCE}, **found}
    study = Study(question, base, policies, spending.presets, spending.sizes, shape)
    arms = tuple(Arm(alias, size) for alias in found for size in spending.sizes)
    ladder = Ladder(arms, REFERENCE, finalists=spending.finalists, fresh=spending.fresh)
    return study, ladder


def _tell_plan(study: Study, ladder: Ladder, spending: Spending) -> None:
    source = "the usual settings" if study.base is None else f"recipe {study.base.name}"
    note(
        f"{len(ladder.arms):,} candidates: {', '.join(map(str, ladder.arms[:4]))}"
        f"{', ...' if len(ladder.arms) > 4 else ''}; float models as in {source}"
    )
    rounds = [f"{arms} on {draws} draws" for arms, draws in ladder.rounds]
    finalists = min(ladder.finalists, len(ladder.arms))
    rounds.append(f"{finalists} and {ladder.reference} on {ladder.fresh} fresh ones")
    cells = ladder.draws_in_all * study.models
    note(f"{'; '.join(rounds)}: about {cells:,} cells, on validation documents")


def _tell_end(study: Study, spent: Spent, spending: Spending) -> None:
    names = " and ".join(spent.recipes)
    if spent.measured:
        note(f"{spent.measured:,} cells measured, as recipe {names} (`calibkit show NAME`)")
    if spent.out:
        note(
            f"out, because a cell of theirs failed: {', '.join(map(str, spent.out))}; see"
            ' `calibkit sql "FROM failed"`'
        )
    if spent.stage == "done" and not spent.left:
        raise Infeasible(
            "no candidate could be measured, so that there is nothing to recommend; see"
            ' `calibkit sql "FROM failed"`'
        )
    if spent.stage != "done":
        where = {
            "presets": "while the preset was being chosen",
            "race": f"in the race, with {len(spent.left):,} candidates left",
            "judge": f"on the fresh draws of {', '.join(map(str, spent.left))}",
        }[spent.stage]
        raise Infeasible(
            f"too little evidence yet: --spend {spending.minutes:g} was over {where};"
            f" {spent.missing:,} draws of this stage are missing. The same command goes on"
        )
    note(f"finalists: {', '.join(map(str, spent.left))}")
