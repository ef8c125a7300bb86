"""From a stream recipe and a store to the list of trajectories: how far each one is. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import duckdb

from calibkit.corpora.noise import noise_version
from calibkit.corpora.reading import Corpus, find_corpus
from calibkit.curate.corpus import recipe_corpus
from calibkit.curate.versions import versions_of
from calibkit.errors import BadInput, UnknownName
from calibkit.identity import HARNESS, content_id
from calibkit.quantize.schemes import rounding_name
from calibkit.recipe.recipe import GridPoint
from calibkit.recipe.streams import StreamRecipe, TrajectoryPoint
from calibkit.recipe.writers import subset_model
from calibkit.store.conditions import meeting
from calibkit.store.connection import Store
from calibkit.stream.versions import LEARNED, PREDICTORS, STREAMS
from calibkit.sweep.plan import SubsetModel, keys_of, model_key

State = Literal["done", "missing", "failed"]


@dataclass(frozen=True)
class PlannedTrajectory:
    """A trajectory before it is followed. Ids are None while a corpus is not in the store yet.

    steps_done: steps that the store has whole, the one before any batch included.
    """

    ordinal: int
    point: TrajectoryPoint
    corpus: str
    recipe: str
    model_kind: str
    policy_kind: str
    subset_update: str
    model_update: str
    params: Mapping[str, Any]
    steps: int
    model_key: str | None
    trajectory_id: str | None
    subset_model: SubsetModel | None = None
    state: State = "missing"
    steps_done: int = 0

    def models(self) -> dict[tuple[str, int], str | None]:
        """Return the key of every float model that it needs, by alias and seed."""
        own = SubsetModel(self.point.model, self.point.model_seed, self.model_key)
        return keys_of(own, self.subset_model)

    def columns(self) -> dict[str, Any]:
        """Return what `stream_results` will say about it as far as it is known, and its state."""
        point = self.point
        return {
            "corpus": self.corpus,
            "recipe": self.recipe,
            "model": point.model,
            "model_kind": self.model_kind,
            "model_seed": point.model_seed,
            "method": point.method,
            "subset_update": self.subset_update,
            "model_update": self.model_update,
            "policy": point.policy,
            "policy_kind": self.policy_kind,
            "size": point.size,
            "seed": point.seed,
            "bits": point.bits,
            "preset": point.preset,
            "scheme_id": point.scheme.id,
            "steps": self.steps - 1,  # as the views count: batches, without what was before
            "steps_done": max(self.steps_done - 1, 0),
            "state": self.state,
        }

    def text(self) -> str:
        """Return it in a few words, for progress lines."""
        point = self.point
        return (
            f"{point.model} {point.model_seed}, {point.method}, {point.policy}, "
            f"size {point.size}, seed {point.seed}, {point.bits} bits"
        )


@dataclass(frozen=True)
class StreamPlan:
    """All trajectories of a recipe, in the order in which they will run.

    corpora: the recipe's, and those of its phases, by name; None: not in the store yet. wanted: the
    places in ``trajectories`` that ``--where`` selects.
    """

    recipe: StreamRecipe
    recipe_id: str
    stream_id: str | None
    corpus: Corpus | None
    corpora: Mapping[str, Corpus]
    trajectories: tuple[PlannedTrajectory, ...]
    wanted: frozenset[int]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of trajectories: planned, done, failed, missing, and of those wanted, to do."""
        states = Counter(one.state for one in self.trajectories)
        return {
            "planned": len(self.trajectories),
            "done": states["done"],
            "failed": states["failed"],
            "missing": states["missing"],
            "to do": len(self.to_do()),
        }

    def to_do(self) -> tuple[PlannedTrajectory, ...]:
        """Return the trajectories that a run would go on with now."""
        return tuple(
            one for one in self.trajectories if one.state != "done" and one.ordinal in self.wanted
        )


def plan_stream(store: Store, recipe: StreamRecipe, *, where: str | None = None) -> StreamPlan:
    """Return the trajectories of a recipe, and how far the store has them.

    Works on a store that does not exist yet. Raises BadInput for a corpus that is neither in the
    store nor has a source, and for a condition that is no SQL over the columns; UnknownName for a
    corpus of a phase that the store does not have.
    """
    corpus = recipe_corpus(store, recipe.corpus.name, recipe.corpus.source)
    corpora = phase_corpora(store, recipe)
    stream_id = None if corpus is None else _stream_id(recipe, corpus, corpora)
    found = tuple(
        _planned(ordinal, point, recipe, corpus, stream_id)
        for ordinal, point in enumerate(recipe.trajectories())
    )
    recipe_id = recipe.id()
    keys = sorted({str(one.trajectory_id) for one in found if one.trajectory_id})
    if keys:
        # the same recipe over another corpus version is another set of results
        recipe_id = content_id("recipe", [recipe_id, keys])
        with store.reading() as con:
            done, failed = _progress(con, recipe_id, keys)
        found = tuple(
            replace(
                one,
                steps_done=done.get(str(one.trajectory_id), 0),
                state=_state(one, done, failed),
            )
            for one in found
        )
    wanted = _matching(found, where)
    return StreamPlan(recipe, recipe_id, stream_id, corpus, corpora, found, wanted)


def phase_corpora(store: Store, recipe: StreamRecipe) -> dict[str, Corpus]:
    """Return the corpora that phases name beside the recipe's own."""
    names = sorted({p.corpus for p in recipe.stream.phases if p.corpus} - {recipe.corpus.name})
    if not names:
        return {}
    if not store.exists():
        raise BadInput(
            f"the store has no corpus {names[0]!r}, which a phase of {recipe.name} names; "
            f"`calibkit ingest {names[0]} --train FILE --valid FILE --test FILE` makes it"
        )
    with store.reading() as con:
        return {name: find_corpus(con, name) for name in names}


def check_stream_labels(plan: StreamPlan) -> None:
    """Raise UnknownName where a policy or a phase names a label that the corpus does not have."""
    recipe, corpus = plan.recipe, plan.corpus
    assert corpus is not None
    named = [
        (f"policies.{alias}.{parameter}", label)
        for alias, choice in recipe.policies.items()
        for parameter, label in choice.policy.labels_named()
    ]
    named += [
        (f"stream.phases.{place}.labels", label)
        for place, phase in enumerate(recipe.stream.phases)
        for label in phase.labels or ()
    ]
    for where, label in named:
        if label not in corpus.labels:
            what = f"label of corpus {corpus.name!r}"
            raise UnknownName(what, label, corpus.labels, hint=f"({where})")


def _stream_id(recipe: StreamRecipe, corpus: Corpus, corpora: Mapping[str, Corpus]) -> str:
    """Return the id of what arrives and of what is measured, whoever draws from it."""
    stream = recipe.stream
    others = {name: one.corpus_id for name, one in sorted(corpora.items())}
    noises = sorted({phase.noise_kind for phase in stream.phases if phase.noise})
    versions = {kind: noise_version(kind) for kind in noises}
    source = [corpus.corpus_id, recipe.corpus.share, others, versions]
    return content_id("stream", [STREAMS, source, stream.as_dict()])


def _planned(
    ordinal: int,
    point: TrajectoryPoint,
    recipe: StreamRecipe,
    corpus: Corpus | None,
    stream_id: str | None,
) -> PlannedTrajectory:
    choice, method = recipe.policies[point.policy], recipe.methods[point.method]
    cells, at = recipe.start(), cell_of(point)
    trained = key = through = None
    named = subset_model(cells, at)
    if named is not None:
        through = SubsetModel(*named, None if corpus is None else model_key(cells, corpus, *named))
    if corpus is not None:
        trained = model_key(cells, corpus, point.model, point.model_seed)
        inputs = {
            "harness": HARNESS,
            "streams": STREAMS,
            "stream": stream_id,
            "pool": recipe.corpus.pool,
            "model": trained,
            "policy": [choice.name, choice.policy.version, choice.policy.params()],
            "versions": versions_of(choice.policy),
            "writer": through and through.key,
            "size": point.size,
            "seed": point.seed,
            "scheme": point.scheme.as_dict(),
            "method": method.as_dict(),
        }
        if method.model in LEARNED:
            inputs["predictors"] = PREDICTORS
        key = content_id("trajectory", inputs)
    return PlannedTrajectory(
        ordinal,
        point,
        recipe.corpus.name,
        recipe.name,
        recipe.models[point.model].kind,
        choice.name,
        method.subset,
        method.model,
        method.params(),
        len(recipe.stream.steps) + 1,
        trained,
        key,
        through,
    )


def cell_of(point: TrajectoryPoint) -> GridPoint:
    """Return the cell whose network the trajectory starts with."""
    return GridPoint(
        model=point.model,
        model_seed=point.model_seed,
        policy=point.policy,
        size=point.size,
        seed=point.seed,
        scheme=point.scheme,
        bits=point.bits,
        rounding=rounding_name(point.scheme),
        preset=point.preset,
    )


def _progress(
    con: duckdb.DuckDBPyConnection, recipe_id: str, keys: Sequence[str]
) -> tuple[dict[str, int], set[str]]:
    """Return how many steps of each trajectory are there, and which trajectories have failed."""
    con.execute("CREATE TEMP TABLE asked (trajectory_id VARCHAR)")
    con.execute("INSERT INTO asked SELECT unnest(?::VARCHAR[])", [list(keys)])
    done = dict(
        con.execute(
            "SELECT trajectory_id, count(*) FROM stream_steps SEMI JOIN asked USING (trajectory_id)"
            " GROUP BY trajectory_id"
        ).fetchall()
    )
    failed = con.execute(
        "SELECT DISTINCT plan_key FROM failures WHERE recipe_id = ? AND plan_key IN (FROM asked)",
        [recipe_id],
    ).fetchall()
    return done, {row[0] for row in failed}


def _state(one: PlannedTrajectory, done: Mapping[str, int], failed: set[str]) -> State:
    key = str(one.trajectory_id)
    if done.get(key, 0) >= one.steps:
        return "done"
    return "failed" if key in failed else "missing"


def _matching(found: Sequence[PlannedTrajectory], where: str | None) -> frozenset[int]:
    if where is None or not found:
        return frozenset(one.ordinal for one in found)
    numbers = {"model_seed", "size", "seed", "bits", "steps", "steps_done"}
    records = [one.columns() for one in found]
    types = {name: "BIGINT" if name in numbers else "VARCHAR" for name in records[0]}
    return frozenset(found[at].ordinal for at in meeting(records, types, where, "--where"))
