"""From a recipe and a store to the list of cells: what is there, what is missing. No torch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import duckdb

from calibkit.corpora.reading import Corpus
from calibkit.curate.corpus import recipe_corpus
from calibkit.curate.versions import versions_of
from calibkit.errors import BadInput
from calibkit.identity import HARNESS, content_id
from calibkit.recipe.recipe import GridPoint, Recipe
from calibkit.recipe.writers import subset_model
from calibkit.store.conditions import meeting
from calibkit.store.connection import Store
from calibkit.sweep.content import arithmetic_of

State = Literal["done", "missing", "failed"]

TRAINING = 1
"""Version of the training procedure; part of every model key."""

DEVICE_VARIABLE = "CALIBKIT_DEVICE"


def training_device() -> str:
    """Return where float models are trained: $CALIBKIT_DEVICE, cpu or cuda; default cpu."""
    device = os.environ.get(DEVICE_VARIABLE, "cpu")
    if device not in ("cpu", "cuda"):
        raise BadInput(f"{DEVICE_VARIABLE}={device!r} is not a device; use cpu or cuda")
    return device


@dataclass(frozen=True)
class SubsetModel:
    """The float model that a subset is chosen through, or that writes its documents."""

    alias: str
    seed: int
    key: str | None


def keys_of(*models: SubsetModel | None) -> dict[tuple[str, int], str | None]:
    """Return the keys of float models by alias and seed."""
    return {(one.alias, one.seed): one.key for one in models if one is not None}


@dataclass(frozen=True)
class PlannedCell:
    """A cell before it is measured. Keys are None while the corpus is not in the store yet.

    subset_model: None where its subset needs none.
    """

    ordinal: int
    point: GridPoint
    corpus: str
    recipe: str
    model_kind: str
    policy_kind: str
    model_key: str | None
    plan_key: str | None
    state: State = "missing"
    subset_model: SubsetModel | None = None

    def models(self) -> dict[tuple[str, int], str | None]:
        """Return the key of every float model that it needs, by alias and seed."""
        own = SubsetModel(self.point.model, self.point.model_seed, self.model_key)
        return keys_of(own, self.subset_model)

    def columns(self) -> dict[str, Any]:
        """Return what `results` will say about the cell as far as it is known, and its state."""
        point = self.point
        return {
            "corpus": self.corpus,
            "recipe": self.recipe,
            "model": point.model,
            "model_kind": self.model_kind,
            "model_seed": point.model_seed,
            "policy": point.policy,
            "policy_kind": self.policy_kind,
            "size": point.size,
            "seed": point.seed,
            "bits": point.bits,
            "rounding": point.rounding,
            "preset": point.preset,
            "scheme_id": point.scheme.id,
            "state": self.state,
        }


@dataclass(frozen=True)
class Shard:
    """Part ``number`` (1 to ``of``) of a plan: whole calibration sets, dealt out in turn."""

    number: int
    of: int


@dataclass(frozen=True)
class Plan:
    """All cells of a recipe, in the order in which they will run.

    wanted: the places in ``cells`` that ``--where`` and ``--shard`` select (all, without them).
    again: whether cells that are done are to do as well.
    """

    recipe: Recipe
    recipe_id: str
    corpus: Corpus | None
    limit_documents: int | None
    cells: tuple[PlannedCell, ...]
    wanted: frozenset[int]
    again: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of cells: planned, done, failed, missing, and of those wanted, to do."""
        states = Counter(cell.state for cell in self.cells)
        return {
            "planned": len(self.cells),
            "done": states["done"],
            "failed": states["failed"],
            "missing": states["missing"],
            "to do": len(self.to_do()),
        }

    def to_do(self) -> tuple[PlannedCell, ...]:
        """Return the cells that a run would measure now."""
        return tuple(
            cell
            for cell in self.cells
            if (self.again or cell.state != "done") and cell.ordinal in self.wanted
        )


def plan(
    store: Store,
    recipe: Recipe,
    *,
    limit_documents: int | None = None,
    where: str | None = None,
    shard: Shard | None = None,
    again: bool = False,
) -> Plan:
    """Return the cells of a recipe with their state in the store.

    Works on a store that does not exist yet. Raises BadInput for a corpus that is neither in the
    store nor has a source, and for a condition that is no SQL over the cells' columns; MissingExtra
    where a scheme is another tool's that is not installed.
    """
    for scheme in recipe.scheme_set():
        arithmetic_of(scheme)
    corpus = recipe_corpus(store, recipe.corpus.name, recipe.corpus.source)
    if corpus is not None:
        check_labels(recipe, corpus)
    cells = tuple(
        _planned(ordinal, point, recipe, corpus, limit_documents)
        for ordinal, point in enumerate(recipe.cells())
    )
    keys = sorted({cell.plan_key for cell in cells if cell.plan_key})
    recipe_id = recipe.id(limit_documents)
    if keys:
        # The same recipe over another corpus version, harness or device is another set of results.
        recipe_id = content_id("recipe", [recipe_id, keys])
        with store.reading() as con:
            kept = {str(c.plan_key): quantities(recipe, c) for c in cells}
            states = _states(con, recipe, recipe_id, kept)
        cells = tuple(replace(c, state=states[str(c.plan_key)]) for c in cells)
    wanted = matching(cells, where) & in_shard(cells, shard)
    return Plan(recipe, recipe_id, corpus, limit_documents, cells, wanted, again)


def model_key(
    recipe: Recipe, corpus: Corpus, alias: str, seed: int, *, device: str | None = None
) -> str:
    """Return the key of a float model: everything it is made from.

    device: where it is trained; by default where this process would.
    """
    made_from = {
        "training": TRAINING,
        "corpus": corpus.corpus_id,
        "share": recipe.corpus.share,
        "settings": recipe.models[alias].settings.as_dict(),
        "seed": seed,
        "device": device or training_device(),
    }
    return content_id("model-key", made_from)


def _planned(
    ordinal: int,
    point: GridPoint,
    recipe: Recipe,
    corpus: Corpus | None,
    limit_documents: int | None,
) -> PlannedCell:
    choice = recipe.policies[point.policy]
    trained = key = through = None
    named = subset_model(recipe, point)
    if named is not None:
        through = SubsetModel(*named, None if corpus is None else model_key(recipe, corpus, *named))
    if corpus is not None:
        trained = model_key(recipe, corpus, point.model, point.model_seed)
        inputs = {
            "harness": HARNESS,
            "corpus": corpus.corpus_id,
            "share": recipe.corpus.share,
            "pool": recipe.corpus.pool,
            "test": [recipe.corpus.test, test_limit(recipe, limit_documents)],
            "model": trained,
            "policy": [choice.name, choice.policy.version, choice.policy.params()],
            "size": point.size,
            "seed": point.seed,
            "scheme": point.scheme.as_dict(),
        }
        if point.scheme.by_peer:
            inputs["arithmetic"] = arithmetic_of(point.scheme)
        versions = versions_of(choice.policy)
        if versions:
            inputs["versions"] = versions
        if through is not None and through.key != trained:
            inputs["writer"] = through.key
        key = content_id("plan", inputs)
    return PlannedCell(
        ordinal,
        point,
        recipe.corpus.name,
        recipe.name,
        recipe.models[point.model].kind,
        choice.name,
        trained,
        key,
        subset_model=through,
    )


def test_limit(recipe: Recipe, limit_documents: int | None) -> int | None:
    """Return how many test documents are measured: the smaller of recipe and command line."""
    limits = [n for n in (recipe.measure.documents, limit_documents) if n is not None]
    return min(limits) if limits else None


def quantities(recipe: Recipe, cell: PlannedCell) -> tuple[str, ...]:
    """Return the distributions that are kept of a cell: those asked for that its networks have."""
    return cell.point.scheme.quantities(recipe.measure.distributions)


def noise_levels(recipe: Recipe) -> list[tuple[str, float, int]]:
    """Return (kind, level, seed) of every measurement of a cell, the clean one first."""
    seed = recipe.measure.noise_seed
    return [(kind, level, 0 if kind == "none" else seed) for kind, level in recipe.measure.levels]


def check_labels(recipe: Recipe, corpus: Corpus) -> None:
    """Raise UnknownName where a policy's parameters name a label that the corpus does not have."""
    from calibkit.errors import UnknownName

    for alias, choice in recipe.policies.items():
        for parameter, label in choice.policy.labels_named():
            if label not in corpus.labels:
                raise UnknownName(
                    f"label of corpus {corpus.name!r}",
                    label,
                    corpus.labels,
                    hint=f"(policies.{alias}.{parameter})",
                )


def _states(
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    recipe_id: str,
    plan_keys: Mapping[str, Collection[str]],
) -> dict[str, State]:
    """Done means that every measurement the recipe asks for is in the tables, baselines too.

    plan_keys: with the distributions that are kept of each.
    """
    wanted = set(noise_levels(recipe))
    con.execute("CREATE TEMP TABLE asked (plan_key VARCHAR)")
    con.execute("INSERT INTO asked SELECT unnest(?::VARCHAR[])", [list(plan_keys)])
    cell_of = dict(
        con.execute(
            "SELECT plan_key, cell_id FROM plan_cells SEMI JOIN asked USING (plan_key)"
        ).fetchall()
    )
    con.execute(
        "CREATE TEMP TABLE known AS "
        "SELECT DISTINCT cell_id FROM plan_cells SEMI JOIN asked USING (plan_key)"
    )
    measured: dict[str, set[tuple[str, float, int]]] = {}
    for cell, kind, level, seed in con.execute(
        "SELECT cell_id, e.noise_kind, e.noise, e.noise_seed FROM evaluations AS e "
        "JOIN cells USING (cell_id) SEMI JOIN known USING (cell_id) "
        "SEMI JOIN (SELECT * FROM baseline_evaluations WHERE stage = 'port') AS b "
        "ON b.model_id = cells.model_id AND b.test_id = cells.test_id "
        "AND b.noise_kind = e.noise_kind AND b.noise = e.noise AND b.noise_seed = e.noise_seed"
    ).fetchall():
        measured.setdefault(cell, set()).add((kind, level, seed))
    recorded: dict[str, set[str]] = {}
    for cell, quantity in con.execute(
        "SELECT DISTINCT cell_id, quantity FROM distributions SEMI JOIN known USING (cell_id)"
    ).fetchall():
        recorded.setdefault(cell, set()).add(quantity)
    failed = {
        row[0]
        for row in con.execute(
            "SELECT DISTINCT plan_key FROM failures SEMI JOIN asked USING (plan_key) "
            "WHERE recipe_id = ?",
            [recipe_id],
        ).fetchall()
    }
    states: dict[str, State] = {}
    for key, quantities in plan_keys.items():
        cell = cell_of.get(key)
        complete = (
            cell is not None
            and wanted <= measured.get(cell, set())
            and set(quantities) <= recorded.get(cell, set())
        )
        states[key] = "done" if complete else "failed" if key in failed else "missing"
    return states


def matching(cells: Sequence[PlannedCell], where: str | None) -> frozenset[int]:
    """Return the ordinals of the cells that meet an SQL condition over their columns."""
    if where is None or not cells:
        return frozenset(cell.ordinal for cell in cells)
    numbers = {"model_seed", "size", "seed", "bits"}
    records = [cell.columns() for cell in cells]
    types = {name: "BIGINT" if name in numbers else "VARCHAR" for name in records[0]}
    return frozenset(cells[place].ordinal for place in meeting(records, types, where, "--where"))


def in_shard(cells: Sequence[PlannedCell], shard: Shard | None) -> frozenset[int]:
    """Return the ordinals of the cells in a shard.

    All cells of one calibration set under one float model go to the same shard, since they share
    its statistics; which shard depends on the recipe alone, not on what is done.
    """
    if shard is None:
        return frozenset(cell.ordinal for cell in cells)
    sets: dict[tuple[Any, ...], int] = {}
    mine: set[int] = set()
    for cell in cells:
        point = cell.point
        at = (point.model, point.model_seed, point.policy, point.size, point.seed)
        sets.setdefault(at, len(sets))
        if sets[at] % shard.of == shard.number - 1:
            mine.add(cell.ordinal)
    return frozenset(mine)
