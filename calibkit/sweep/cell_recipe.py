"""The smallest recipe that gives a cell, made from where its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calibkit.errors import CalibkitError, Infeasible
from calibkit.policies import make_policy
from calibkit.policies.pool import needs_model
from calibkit.recipe import Recipe, parse_recipe
from calibkit.recipe.dump import dump_document
from calibkit.recipe.writers import WRITER
from calibkit.store.connection import Store
from calibkit.sweep.cell_document import Way, model_section, smallest_document
from calibkit.sweep.cell_requests import Asked, CorpusSource, asked_for, planned_as, source_of
from calibkit.sweep.origin import CellOrigin, Training, cell_origin, trainings_of
from calibkit.sweep.plan import model_key


@dataclass(frozen=True)
class CellRecipe:
    """A recipe of one cell: its plain content, and what is to be said above it."""

    cell_id: str
    document: Mapping[str, Any]
    comments: tuple[str, ...]

    @property
    def text(self) -> str:
        """The recipe file."""
        above = "".join(f"# {line}\n" for line in self.comments)
        return above + dump_document(self.document)


def cell_recipe(store: Store, name: str) -> CellRecipe:
    """Return the smallest recipe that gives a cell, by the start of the cell's id.

    Where several policies chose the cell's documents, one is named and the others stand in a
    comment. Raises what `cell_origin` raises, and Infeasible where no recipe of this installation
    chooses these documents.
    """
    with store.reading() as con:
        origin = cell_origin(con, name)
        requests = asked_for(con, origin)
        planned = planned_as(con, origin.cell_id)
        source = source_of(con, origin.corpus)
        written = {
            asked.model_id: trainings_of(con, asked.model_id)
            for asked in requests
            if asked.model_id
        }
    reasons: list[str] = []
    ways = list(_ways(origin, requests, written, reasons))
    if not ways:
        why = "; ".join(dict.fromkeys(reasons)) or "the store does not say who chose its documents"
        raise Infeasible(
            f"no recipe gives the cell {origin.cell_id}: {why}. `calibkit show {origin.subset_id}`"
            " shows its documents"
        )
    wanted = {(row.policy_kind, row.size, row.seed, row.model_seed) for row in planned}
    way = min(ways, key=lambda one: _place(one) not in wanted)  # the first that was planned
    aliases = next((row for row in planned if row.place == _place(way)), None)
    document = smallest_document(
        origin,
        way,
        source,
        model=aliases.model if aliases else origin.kind,
        policy=aliases.policy if aliases else way.asked.policy,
        preset=aliases.preset if aliases else None,
    )
    recipe = parse_recipe(dump_document(document), f"the recipe of {origin.cell_id}")
    comments = _comments(origin, way, requests, source, recipe)
    return CellRecipe(origin.cell_id, document, tuple(comments))


def _place(way: Way) -> tuple[str, int, int, int]:
    return way.asked.policy, way.asked.size, way.asked.seed, way.training.seed


def _ways(
    origin: CellOrigin,
    requests: tuple[Asked, ...],
    written: Mapping[str, tuple[Training, ...]],
    reasons: list[str],
) -> Iterator[Way]:
    """Yield every way to the cell; why others lead nowhere goes into ``reasons``."""
    for asked in requests:
        try:
            policy = make_policy(asked.policy, asked.params)
        except CalibkitError as error:
            reasons.append(str(error))
            continue
        if policy.version != asked.version:
            reasons.append(
                f"the policy {asked.policy} has version {policy.version} now, and version"
                f" {asked.version} chose the documents"
            )
            continue
        for training in origin.trainings:
            if training.share != asked.share:
                continue
            if asked.model_id in (None, origin.model_id) or not needs_model(policy.every_need):
                yield Way(training, asked, policy)
                continue
            able = WRITER in policy.every_need and origin.kind == "discriminative"
            for writer in written.get(str(asked.model_id), ()) if able else ():
                if (writer.seed, writer.share) == (training.seed, training.share):
                    yield Way(training, asked, policy, writer)
            reasons.append(
                f"the documents were chosen through the float model {asked.model_id}, and in a"
                " recipe a cell's own model chooses"
            )


def _comments(
    origin: CellOrigin,
    way: Way,
    requests: tuple[Asked, ...],
    source: CorpusSource,
    recipe: Recipe,
) -> Iterator[str]:
    corpus, training = origin.corpus, way.training
    yield f"The cell {origin.cell_id}: float model {origin.model_id}, subset {origin.subset_id},"
    yield f"corpus {corpus.name}, version {corpus.version} ({corpus.corpus_id})."
    yield "In a store without it, `calibkit evaluate` of this gives it and its numbers again."
    if source.recipe_source is None:
        yield f"The corpus must be there before: {source.command}"
    if recipe.exclude:
        yield "The excluded model has the quantizers that its scheme speaks of and its own lacks."
    (alias, seed), *_ = {(point.model, point.model_seed) for point in recipe.cells()}
    keys = {d: model_key(recipe, corpus, alias, seed, device=d) for d in ("cpu", "cuda")}
    if training.key == keys["cuda"]:
        yield "Its float model was trained on a GPU: evaluate it with CALIBKIT_DEVICE=cuda."
    elif training.key != keys["cpu"]:
        yield "Its float model was trained by another version of calibkit and may come out another."
    needed = [
        need.partition(":")[2] for need in way.policy.every_need if need.startswith("subset:")
    ]
    for subset_id in needed:
        yield f"It takes documents of the subset {subset_id}, which must be in the store."
    for seeded in {seed for _, _, seed in origin.levels if seed}:
        yield f"Its noise levels of the noise seed {seeded} are left out: recipes have seed 0."
    others = [asked for asked in requests if asked != way.asked]
    if others:
        yield "The same documents in the same order were also chosen by:"
    for asked in others:
        params = json.dumps(asked.params, ensure_ascii=True, sort_keys=True)
        yield f"- {asked.policy} {params}, size {asked.size}, seed {asked.seed}, pool {asked.pool}"
    for other in origin.trainings:
        if other.key != training.key:
            also = f"{model_section('', other)}, share {other.share:g}"
            yield f"The same weights also came from {also}."
