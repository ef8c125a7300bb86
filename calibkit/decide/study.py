"""The recipes that ``recommend --spend`` makes up: which cells, as a file that anybody can run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.decide.arms import Question
from calibkit.decide.halving import Arm
from calibkit.decide.recommendation import command_of, kinds_of_need
from calibkit.errors import BadInput, CalibkitError, RecipeError, UnknownName
from calibkit.identity import content_id
from calibkit.models.settings import KINDS
from calibkit.policies import AnyPolicy, make_policy, policy_names
from calibkit.recipe import Recipe, parse_recipe
from calibkit.recipe.dump import dump_document, recipe_document
from calibkit.recipe.writers import WRITER
from calibkit.store.connection import Store

MADE_UP = re.compile(r"recommend-[0-9a-f]{8}(-race)?$")
"""Names of the recipes that are made up here."""

REFERENCE = "random"
SPLIT = "valid"
"""Where such studies measure: what chooses cannot judge, so that the test documents stay unseen."""

NOISE = {"keyboard": [0.05, 0.1, 0.2]}
"""The levels of an area under the curve, where the store has no recipe that says others."""


@dataclass(frozen=True, order=True)
class Spot:
    """One cell but for its float model: preset, arm, seed."""

    preset: str
    arm: Arm
    seed: int


@dataclass(frozen=True)
class Study:
    """What all recipes of one search have in common.

    base: a recipe of the store whose corpus, float models and arithmetic are taken, None for the
    usual ones. policies: alias -> recipe section, the reference included. presets, sizes: those to
    choose from.
    """

    question: Question
    base: Recipe | None
    policies: Mapping[str, Mapping[str, Any]]
    presets: tuple[str, ...]
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    """Draws of the first round, finalists, fresh draws: part of what the study is."""

    @property
    def name(self) -> str:
        """The name of the recipe whose cells judge; it says what was asked."""
        whole = {**self._common(), "policies": self.policies, "sizes": list(self.sizes)}
        whole |= {"presets": list(self.presets), "bits": self.question.bits}
        whole |= {"objective": self.question.objective, "shape": list(self.shape)}
        return f"recommend-{content_id('recipe', whole).partition('-')[2][:8]}"

    @property
    def race_name(self) -> str:
        """The name of the recipe whose cells choose the finalists."""
        return f"{self.name}-race"

    @property
    def alias(self) -> str:
        """The alias of the float model."""
        return str(next(iter(self._common()["models"])))

    @property
    def models(self) -> int:
        """How many float models there are, so that every draw takes as many cells."""
        return len(self._common()["models"][self.alias].get("seeds", [0]))

    def recipe(self, name: str, about: str, spots: Sequence[Spot]) -> Recipe:
        """Return the recipe of these cells and no others. Raises RecipeError where it is none."""
        grid: dict[str, list[Any]] = {
            "model": [self.alias],
            "policy": _in_order(spot.arm.policy for spot in spots),
            "size": sorted({spot.arm.size for spot in spots}),
            "seed": sorted({spot.seed for spot in spots}),
            "bits": [self.question.bits],
            "preset": _in_order(spot.preset for spot in spots),
        }
        common = self._common()
        document = {
            "calibkit": 1,
            "name": name,
            "about": f"{about}: {command_of(self.question)}",
            "corpus": common["corpus"],
            "models": common["models"],
            "policies": {name: dict(self.policies[name]) for name in grid["policy"]},
            **{key: common[key] for key in ("quantize", "schemes") if common[key]},
            "grid": grid,
            "exclude": list(_excluded(grid, spots)),
            "measure": common["measure"],
        }
        return parse_recipe(dump_document(document), f"the recipe {name}")

    def _common(self) -> dict[str, Any]:
        model, question = self.question.model, self.question
        if self.base is None:
            if model not in KINDS:
                raise BadInput(
                    f"no recipe of the store measures a model {model!r} on {question.corpus}, so"
                    f" that its settings are not known; give --model {' or '.join(KINDS)}"
                )
            found: dict[str, Any] = {"corpus": {"name": question.corpus}}
            found |= {"models": {model: {"use": model}}, "quantize": {}, "schemes": {}}
            noise: dict[str, list[float]] = {}
            documents: Any = "all"
        else:
            whole = recipe_document(self.base)
            alias = _alias(self.base, model)
            found = {"corpus": whole["corpus"], "models": {alias: whole["models"][alias]}}
            own = any(name in self.base.schemes for name in self.presets)
            arithmetic = {"arithmetic": self.base.quantize.arithmetic}
            found["quantize"] = whole["quantize"] if own else _given(arithmetic)
            found["schemes"] = whole.get("schemes", {}) if own else {}
            noise, documents = whole["measure"]["noise"], whole["measure"]["documents"]
        found["corpus"] = {**found["corpus"], "test": SPLIT}
        levels = (noise or NOISE) if question.objective == "noise-auc" else {}
        found["measure"] = {"noise": levels, "distributions": [], "documents": documents}
        return found


def base_recipe(store: Store, question: Question) -> Recipe | None:
    """Return the recipe of the store that has most cells of such a model, or None.

    question.recipe: take this one. Recipes that were made up here, or that this version cannot
    read, are none. Raises UnknownName for a recipe that is asked for and is not there.
    """
    with store.reading() as con:
        rows = con.execute(
            "SELECT r.recipe, arg_max(runs.recipe_text, (runs.started_at, runs.run_id))"
            " FROM (SELECT recipe, count(*) AS cells FROM results"
            "       WHERE corpus = ? AND ? IN (model, model_kind) GROUP BY recipe) AS r"
            " JOIN runs ON runs.recipe = r.recipe AND runs.recipe_id IS NOT NULL"
            " GROUP BY r.recipe, r.cells ORDER BY r.cells DESC, r.recipe",
            [question.corpus, question.model],
        ).fetchall()
    texts = {name: text or "" for name, text in rows if not MADE_UP.match(name)}
    if question.recipe is not None:
        if question.recipe not in texts:
            raise UnknownName("recipe with such cells", question.recipe, texts)
        return parse_recipe(texts[question.recipe], question.recipe)
    for name, text in texts.items():
        try:
            return parse_recipe(text, name)
        except RecipeError:
            continue
    return None


def kind_of(question: Question, base: Recipe | None) -> str:
    """Return the kind of the float model that is asked about."""
    return question.model if base is None else base.models[_alias(base, question.model)].kind


def candidates(kind: str, base: Recipe | None, asked: Sequence[str] | None) -> dict[str, Any]:
    """Return alias -> section of the policies to choose from; those that look at less come first.

    kind: of the float model. asked: aliases of the base recipe or names of the registry; without
    it, every policy of the registry that works without parameters, has draws that differ, and can
    be had for this kind of model. Raises UnknownName or BadInput for one that is asked for and
    cannot be.
    """
    if asked is not None:
        own = {} if base is None else recipe_document(base)["policies"]
        found = {name: own.get(name, {"use": name}) for name in asked}
        for name, section in found.items():
            make_policy(section["use"], {k: v for k, v in section.items() if k != "use"})
            if name == REFERENCE:
                raise BadInput(
                    f"--policies: {REFERENCE!r} is what the others are held against, and is always"
                    " there; leave it out"
                )
        return found
    able = {}
    for name in policy_names():
        policy = _usual(name)
        if policy is None or name == REFERENCE or not policy.uses_seed:
            continue
        if WRITER in policy.every_need and kind != "generative":
            continue
        able[name] = policy
    return {n: {"use": n} for n in sorted(able, key=lambda n: (kinds_of_need(able[n]), n))}


def _usual(name: str) -> AnyPolicy | None:
    """Return a policy without parameters, or None where it must have some."""
    try:
        return make_policy(name)
    except CalibkitError:
        return None


def _alias(base: Recipe, model: str) -> str:
    if model in base.models:
        return model
    return next(alias for alias in base.grid.model if base.models[alias].kind == model)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _excluded(grid: Mapping[str, Sequence[Any]], spots: Sequence[Spot]) -> Iterable[dict[str, Any]]:
    """Yield the entries that leave out of a grid what is not wanted; arms of equal seeds together.

    Each seed that an arm is not wanted at stands in exactly one entry.
    """
    wanted: dict[tuple[str, Arm], set[int]] = {}
    for spot in spots:
        wanted.setdefault((spot.preset, spot.arm), set()).add(spot.seed)
    together: dict[tuple[str, int, tuple[int, ...]], list[str]] = {}
    for preset in grid["preset"]:
        for size in grid["size"]:
            for policy in grid["policy"]:
                seeds = wanted.get((preset, Arm(policy, size)), set())
                rest = tuple(seed for seed in grid["seed"] if seed not in seeds)
                if rest:
                    together.setdefault((preset, size, rest), []).append(policy)
    for (preset, size, rest), policies in together.items():
        entry: dict[str, Any] = {"policy": policies, "size": size, "preset": preset}
        if len(rest) < len(grid["seed"]):
            entry["seed"] = list(rest)
        yield entry
