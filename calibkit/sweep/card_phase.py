"""The phase that makes coverage cards: of the subsets of the cells, those the store does not have.

No cell waits for a card to be good, and none fails with it: a card that cannot be made is told, is
a row of ``failures`` without a plan key, and is tried again by the next run.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calibkit.curate.card import CardMaker
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.subsets import BuiltSubset
from calibkit.errors import CalibkitError, StoreError
from calibkit.sweep.executors import Failure
from calibkit.sweep.plan import PlannedCell
from calibkit.words import counted, is_or_are

if TYPE_CHECKING:
    from calibkit.sweep.phases import Sweep


@dataclass(frozen=True)
class Wanted:
    """A card: of which subset, and under which float model; None for what takes no model."""

    subset_id: str
    model: ModelArtefact | None = None

    @property
    def key(self) -> tuple[str, str]:
        """How the store knows it."""
        return self.subset_id, "" if self.model is None else self.model.id

    @property
    def text(self) -> str:
        """The card in a few words."""
        return self.subset_id if self.model is None else f"{self.subset_id}, {self.model.called}"


@dataclass(frozen=True)
class CardCounts:
    """How the phase ended: cards made, cards that failed, and cards left out for want of time."""

    made: int = 0
    failed: int = 0
    missing: int = 0


def make_cards(
    sweep: Sweep,
    cells: Sequence[PlannedCell],
    models: Mapping[str, ModelArtefact],
    subsets: Mapping[str, BuiltSubset],
) -> CardCounts:
    """Make the cards that the recipe asks for, of these cells and of those measured before.

    models, subsets: of the cells that are to be measured, by model key and plan key.
    """
    kind = sweep.recipe.measure.card
    if kind == "none":
        return CardCounts()
    pairs = {
        Wanted(subsets[str(cell.plan_key)].subset_id, models[str(cell.model_key)]) for cell in cells
    }
    pairs.update(_of_measured(sweep))
    maker = CardMaker(sweep.library, sweep.recipe.corpus.pool, tell=sweep.watcher.note)
    wanted = _missing(pairs, maker.known(), under_models=kind == "model")
    if not wanted:
        return CardCounts()
    sweep.watcher.phase("cards", len(wanted))
    made = failed = 0
    for one in wanted:
        if sweep.out_of_time():
            left = len(wanted) - made - failed
            verb = is_or_are(left)
            sweep.watcher.note(
                f"--max-time is over: {counted(left, 'coverage card')} {verb} not made"
            )
            return CardCounts(made, failed, left)
        try:
            card = maker.card(one.subset_id, one.model)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, cells do not depend on it
            told = "" if isinstance(error, CalibkitError) else traceback.format_exc()
            failure = Failure(type(error).__name__, f"card of {one.text}: {error}", told)
            sweep.ledger.fail_apart(one.text, "card", failure)
            sweep.watcher.step(f"{one.text}: {error}", failed=True)
            failed += 1
            continue
        made += 1
        sweep.watcher.step(f"{one.text}: {card.short}")
    return CardCounts(made, failed)


def _of_measured(sweep: Sweep) -> Iterable[Wanted]:
    """Return subset and model of the cells that were measured before."""
    done = {
        str(cell.plan_key): cell
        for cell in sweep.plan.cells
        if cell.state == "done" and cell.ordinal in sweep.plan.wanted
    }
    if not done:
        return
    with sweep.store.reading() as con:
        rows = con.execute(
            "SELECT plan_key, subset_id, model_id FROM plan_cells JOIN cells USING (cell_id) "
            "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS plan_key) USING (plan_key)",
            [list(done)],
        ).fetchall()
    for plan_key, subset_id, model_id in rows:
        cell = done[plan_key]
        alias, seed = cell.point.model, cell.point.model_seed
        settings = sweep.recipe.models[alias].settings
        model = ModelArtefact(str(cell.model_key), model_id, settings, f"{alias} {seed}")
        yield Wanted(subset_id, model)


def _missing(
    pairs: Iterable[Wanted], known: set[tuple[str, str]], *, under_models: bool
) -> list[Wanted]:
    """Return the cards that are not there, those under one model together."""
    asked = set(pairs)
    if not under_models:
        asked = {replace(one, model=None) for one in asked}
    found = [one for one in asked if one.key not in known or (one.subset_id, "") not in known]
    return sorted(found, key=lambda one: one.key[::-1])
