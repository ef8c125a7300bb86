"""Everything that a page says of one recipe, read from the store once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from calibkit.decide.claims import judge_claims
from calibkit.decide.verdicts import Judged
from calibkit.errors import CalibkitError, Infeasible
from calibkit.recipe import Recipe, parse_recipe
from calibkit.report.comparisons import Comparison, compare_all, reference_of
from calibkit.report.conditions import Condition, Naming, in_order, name_conditions
from calibkit.report.queries import QUERIES, Asked, ask
from calibkit.store import Store


@dataclass(frozen=True)
class Study:
    """One recipe as it was measured.

    recipe: the version that the numbers are of. file: the recipe that was asked for.
    is_current: whether both ask for the same. text: the file of that version as it was read.
    reference: alias of the random draws that others are compared with, None where none are
    measured. claims: those of ``file``, which alone may be written later. store_name: what the
    store's file is called.
    """

    recipe: Recipe
    file: Recipe
    is_current: bool
    text: str
    asked: Mapping[str, Asked]
    naming: Naming
    conditions: tuple[Condition, ...]
    policies: tuple[str, ...]
    reference: str | None
    comparisons: tuple[Comparison, ...]
    claims: tuple[Judged, ...] = ()
    store_name: str = ""

    def rows(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return what the query of that name says."""
        return self.asked[name].rows

    def sql(self, name: str) -> str:
        """Return the query of that name."""
        return self.asked[name].sql

    @property
    def clean(self) -> list[Mapping[str, Any]]:
        """The measured cells on clean documents, one row each."""
        return [row for row in self.rows("cells") if row["noise_kind"] == "none"]

    @property
    def progress(self) -> Mapping[str, int]:
        """Cells planned, done, failed and missing."""
        return self.rows("progress")[0]

    @property
    def is_whole(self) -> bool:
        """Whether every planned cell is measured."""
        return self.progress["done"] == self.progress["planned"]

    @cached_property
    def dead(self) -> frozenset[tuple[Condition, str]]:
        """Conditions and policies most of whose cells have a sign of a dead network."""
        return frozenset(
            (Condition.of(row), row["policy"])
            for row in self.rows("flags")
            if 2 * row["flagged"] > row["cells"]
        )

    @cached_property
    def collapsed(self) -> frozenset[Condition]:
        """Conditions under which that holds for every policy."""
        alive = {c for c, policy in self.accuracies() if (c, policy) not in self.dead}
        return frozenset(self.conditions) - alive

    def is_void(self, one: Comparison) -> bool:
        """Say whether a comparison is between two dead networks, and so about nothing."""
        sides = [(one.condition, one.policy), (one.condition, self.reference or "")]
        return all(side in self.dead for side in sides)

    @property
    def telling(self) -> list[Comparison]:
        """The comparisons that are about something."""
        return [one for one in self.comparisons if not self.is_void(one)]

    def of(self, condition: Condition) -> list[Comparison]:
        """Return the telling comparisons under a condition, in the order of the grid's policies."""
        return [one for one in self.telling if one.condition == condition]

    @cached_property
    def _accuracies(self) -> dict[tuple[Condition, str], Mapping[str, Any]]:
        return {
            (Condition.of(row), row["policy"]): row
            for row in self.rows("accuracy")
            if row["noise_kind"] == "none"
        }

    @property
    def usual(self) -> str | None:
        """The policy by which settings are compared: the reference, or the only one there is."""
        if self.reference is None and len(self.policies) == 1:
            return self.policies[0]
        return self.reference

    def accuracies(self) -> Mapping[tuple[Condition, str], Mapping[str, Any]]:
        """Return the clean rows of ``summary`` by condition and policy."""
        return self._accuracies

    def float_accuracy(self, model: str) -> float | None:
        """Return the accuracy of the float models of an alias on clean documents, their mean."""
        found = [
            row["accuracy"]
            for row in self.rows("floats")
            if row["model"] == model and row["stage"] == "float" and row["noise_kind"] == "none"
        ]
        return sum(found) / len(found) if found else None


def stored_recipe(store: Store, name: str, command: str) -> Asked:
    """Return the text of the latest version of a recipe that was run, and its id.

    command: of calibkit, what runs it. Raises Infeasible where nothing of it is in the store.
    """
    if not store.exists():
        raise Infeasible(
            f"there is no store at {store.path} yet; `calibkit {command}` with"
            " this recipe makes and fills it"
        )
    text = ask(store, "text", recipe=name)
    if not text.rows:
        raise Infeasible(
            f"nothing of the recipe {name!r} is in the store {store.path}; `calibkit"
            f" {command}` with this recipe measures it"
        )
    return text


def read_study(store: Store, recipe: Recipe) -> Study:
    """Return what the store has of a recipe.

    The latest measured version of that name is read, whether or not it is the file's. Raises
    Infeasible where no run of the recipe is in the store, and what a store raises.
    """
    text = stored_recipe(store, recipe.name, "evaluate")
    stored = str(text.rows[0]["recipe_text"] or "")
    measured = _measured_version(stored, recipe)
    is_current = not stored or (measured is not None and measured.id() == recipe.id())
    version = measured or recipe
    asked = {"text": text}
    values = {"recipe": recipe.name, "recipe_id": str(text.rows[0]["recipe_id"])}
    for name in QUERIES:
        if name not in asked:
            asked[name] = ask(store, name, **values)
    presets = {row["scheme_id"]: row["preset"] or "" for row in asked["schemes"].rows}
    cells = [row for row in asked["cells"].rows if row["noise_kind"] == "none"]
    conditions = {Condition.of(row) for row in cells}
    naming = name_conditions(conditions, presets)
    measured_policies = {row["policy"] for row in cells}
    reference = reference_of(version)
    compared = compare_all(cells, reference) if reference is not None else []
    order = {alias: place for place, alias in enumerate(version.grid.policy)}
    ordered = in_order(conditions, naming, version.grid.preset or ())
    places = {condition: place for place, condition in enumerate(ordered)}
    compared.sort(key=lambda one: (places[one.condition], order.get(one.policy, len(order))))
    return Study(
        recipe=version,
        file=recipe,
        is_current=is_current,
        text=stored or recipe.text,
        asked=asked,
        naming=naming,
        conditions=tuple(ordered),
        policies=tuple(alias for alias in order if alias in measured_policies),
        reference=reference if reference in measured_policies else None,
        comparisons=tuple(compared),
        claims=tuple(judge_claims(store, recipe)) if recipe.claims else (),
        store_name=store.path.name,
    )


def _measured_version(text: str, recipe: Recipe) -> Recipe | None:
    """Return the recipe of the latest run, None where this calibkit cannot read it."""
    if not text:
        return None
    try:
        return parse_recipe(text, recipe.name)
    except CalibkitError:  # what an earlier version of calibkit could read
        return None


def means(rows: Sequence[Mapping[str, Any]], column: str) -> float | None:
    """Return the mean of a column over the rows that have it, None where none has."""
    found = [float(row[column]) for row in rows if row[column] is not None]
    return sum(found) / len(found) if found else None
