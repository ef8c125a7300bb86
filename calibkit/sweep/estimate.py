"""How long a plan will take, from what cells and models took on this host before. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from calibkit.store.connection import Store
from calibkit.sweep import provenance
from calibkit.sweep.plan import Plan, noise_levels, test_limit


@dataclass(frozen=True)
class Estimate:
    """Seconds of work, on one worker, for what a plan still has to do.

    cells and models are the numbers of timings that it rests on; None stands where this host has
    timed none of a kind that is needed.
    """

    cell_seconds: float | None
    training_seconds: float | None
    cells: int
    models: int

    def seconds(self, workers: int) -> float | None:
        """Return wall seconds with so many workers, each on a core of its own, or None."""
        if self.cell_seconds is None or self.training_seconds is None:
            return None
        return (self.cell_seconds + self.training_seconds) / workers


def estimate(store: Store, plan: Plan) -> Estimate:
    """Return what the cells to do, and the models they need, will take.

    A cell costs what cells of its kind of model took per test document and noise level; a model
    what models of its kind took to train on this corpus.
    """
    to_do = plan.to_do()
    if not store.exists() or plan.corpus is None:
        return Estimate(None, None, 0, 0)
    kinds = {cell.model_kind for cell in to_do}
    with store.reading() as con:
        per_document = {
            kind: (float(seconds), int(cells))
            for kind, seconds, cells in con.execute(
                "SELECT kind, sum(seconds) / sum(documents), count(*) FROM ("
                "  SELECT any_value(m.kind) AS kind, any_value(c.seconds) AS seconds,"
                "         sum(e.documents) AS documents"
                "  FROM cells AS c JOIN (SELECT DISTINCT model_id, kind FROM models) AS m"
                "       USING (model_id) JOIN evaluations AS e USING (cell_id)"
                "  WHERE c.host = ? GROUP BY c.cell_id) GROUP BY kind",
                [provenance.host()],
            ).fetchall()
        }
        per_model = {
            kind: (float(seconds), int(models))
            for kind, seconds, models in con.execute(
                "SELECT kind, avg(seconds / epochs), count(*) FROM models "
                "WHERE corpus_id = ? AND share = ? GROUP BY kind",
                [plan.corpus.corpus_id, plan.recipe.corpus.share],
            ).fetchall()
        }
        known = {row[0] for row in con.execute("SELECT model_key FROM models").fetchall()}
    documents = _test_documents(plan) * len(noise_levels(plan.recipe))
    cell_seconds: float | None = None
    if kinds <= per_document.keys():
        cell_seconds = sum(per_document[cell.model_kind][0] * documents for cell in to_do)
    missing = {
        (key, plan.recipe.models[alias].kind, alias)
        for cell in to_do
        for (alias, _), key in cell.models().items()
        if key not in known
    }
    training: float | None = None
    if {kind for _, kind, _ in missing} <= per_model.keys():
        training = sum(
            per_model[kind][0] * plan.recipe.models[alias].settings.epochs
            for _, kind, alias in missing
        )
    return Estimate(
        cell_seconds,
        training,
        sum(per_document[kind][1] for kind in kinds & per_document.keys()),
        sum(per_model[kind][1] for _, kind, _ in missing if kind in per_model),
    )


def _test_documents(plan: Plan) -> int:
    """Return how many test documents a cell is measured on."""
    assert plan.corpus is not None
    whole = round(plan.corpus.documents[plan.recipe.corpus.test] * plan.recipe.corpus.share)
    limit = test_limit(plan.recipe, plan.limit_documents)
    return whole if limit is None else min(whole, limit)
