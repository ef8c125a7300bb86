"""Everything that a page says of one stream recipe, read from the store once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from calibkit.decide.answers import answer
from calibkit.decide.stream_gains import MethodResult, stream_gains
from calibkit.decide.stream_rows import Setting, read_streamed
from calibkit.errors import CalibkitError, Infeasible
from calibkit.recipe import StreamRecipe, parse_stream_recipe
from calibkit.report.queries import TIMEOUT_S, Asked, ask, asked, literal
from calibkit.report.study import stored_recipe
from calibkit.store import Store

ASKED = ("by-batch", "by-phase", "keeps-up", "forgets", "document-life")
"""Named questions whose answers stand on the page."""

STREAM_QUERIES: Mapping[str, str] = {
    "pairs": """
SELECT a.model, a.model_seed, a.policy, a.size, a.bits, a.preset, a.method, a.seed,
       a.online_accuracy, b.online_accuracy AS frozen,
       a.online_accuracy - b.online_accuracy AS gain, a.final_accuracy - b.final_accuracy
           AS final_gain, a.macs, a.trajectory_id
FROM stream_forgetting AS a JOIN stream_forgetting AS b
  ON b.recipe = a.recipe AND b.model = a.model AND b.model_seed = a.model_seed
 AND b.policy = a.policy AND b.size = a.size AND b.scheme_id = a.scheme_id
 AND b.preset = a.preset AND b.seed = a.seed
WHERE a.recipe = {recipe} AND b.subset_update = 'frozen' AND b.model_update = 'frozen'
  AND a.method <> b.method
ORDER BY ALL""",
    "cost": """
SELECT model, policy, size, bits, preset, scheme_id, method, count(*) AS updates,
       avg(macs_subset) AS macs_subset, avg(macs_model) AS macs_model,
       avg(seconds_subset) AS seconds_subset, avg(seconds_model) AS seconds_model,
       avg(peak_mb) AS peak_mb, max(peak_mb) AS most_mb, avg(flips) AS flips,
       avg(flip_share) AS flip_share, count(*) FILTER (refused <> '') AS refused,
       avg(subset_documents) AS documents, max(model_bytes) AS model_bytes
FROM stream_updates WHERE recipe = {recipe} AND step > 0
GROUP BY ALL ORDER BY model, policy, size, bits DESC, preset, scheme_id, method""",
    "phases": """
SELECT phase, name, batches, documents, corpus, noise_kind, noise,
       CAST(labels AS VARCHAR) AS labels, CAST(between_ AS VARCHAR) AS columns
FROM stream_phases
WHERE stream_id IN (SELECT stream_id FROM stream_trajectories WHERE recipe_id = {recipe_id})
ORDER BY stream_id, phase""",
    "left": """
SELECT model, method, policy, size, bits, preset, state, count(*) AS trajectories,
       sum(steps_done)::BIGINT AS batches_done, sum(steps)::BIGINT AS batches,
       any_value(message) AS message
FROM stream_progress WHERE recipe = {recipe} AND state <> 'done' GROUP BY ALL ORDER BY ALL""",
    "corpus": """
SELECT corpora.corpus_id, name, version, documents, labels, provenance,
       CAST(source AS VARCHAR) AS source
FROM corpora
WHERE corpus_id IN (SELECT corpus_id FROM subset_lineage WHERE recipe = {recipe})
ORDER BY corpus_id""",
    "trained": """
SELECT DISTINCT used.model, used.model_seed, trained.kind, trained.model_id, trained.settings,
       trained.vocabulary_size, trained.best_epoch, trained.epochs, trained.valid_accuracy,
       trained.seconds, trained.trained_at
FROM stream_updates AS used JOIN models AS trained USING (model_id)
WHERE used.recipe = {recipe} ORDER BY used.model, used.model_seed, trained.trained_at""",
    "provenance": """
SELECT corpus, host, count(*) AS steps, min(measured_at) AS first, max(measured_at) AS last
FROM stream_updates WHERE recipe = {recipe} GROUP BY ALL ORDER BY ALL""",
}
"""What a page of a stream asks beside the questions, by name."""


@dataclass(frozen=True)
class StreamStudy:
    """One stream recipe as it was measured.

    recipe: the version that the numbers are of. is_current: whether the file that was given asks
    for the same. results: every method in every setting.
    """

    recipe: StreamRecipe
    is_current: bool
    text: str
    asked: Mapping[str, Asked]
    results: tuple[MethodResult, ...]

    def rows(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return what the query of that name says."""
        return self.asked[name].rows

    def sql(self, name: str) -> str:
        """Return the query of that name."""
        return self.asked[name].sql

    @property
    def progress(self) -> Mapping[str, int]:
        """Trajectories planned, done, failed and missing."""
        return self.rows("progress")[0]

    @property
    def is_whole(self) -> bool:
        """Whether every planned trajectory has gone through all batches."""
        return self.progress["done"] == self.progress["planned"]

    @property
    def settings(self) -> list[Setting]:
        """The settings in which methods are compared."""
        return list(dict.fromkeys(one.setting for one in self.results))

    def of(self, setting: Setting) -> list[MethodResult]:
        """Return the methods of a setting, in the recipe's order."""
        return [one for one in self.results if one.setting == setting]

    @property
    def frozen(self) -> str:
        """The alias of the method that the others are compared with."""
        return self.recipe.frozen.alias

    @cached_property
    def _telling(self) -> list[str]:
        """Names of what tells settings apart, the model first."""
        every = [asdict(setting) for setting in self.settings]
        told = [n for n in ("policy", "size", "bits", "preset") if len({e[n] for e in every}) > 1]
        return ["model", *told]

    def naming(self, setting: Setting | Mapping[str, Any]) -> str:
        """Return a setting in few words: the model, and what else tells settings apart."""
        values = asdict(setting) if isinstance(setting, Setting) else setting
        said = {"size": "size {}", "bits": "int{}"}
        return ", ".join(said.get(name, "{}").format(values[name]) for name in self._telling)


def read_stream_study(store: Store, recipe: StreamRecipe) -> StreamStudy:
    """Return what the store has of a stream recipe, in the latest version that was run.

    Raises Infeasible where no run of the recipe is in the store, and what a store raises.
    """
    text = stored_recipe(store, recipe.name, "stream")
    stored = str(text.rows[0]["recipe_text"] or "")
    measured = _measured_version(stored, recipe)
    found = {"text": text, "floats": Asked("", ())}  # no float model is measured on a test set
    values = {"recipe": recipe.name, "recipe_id": str(text.rows[0]["recipe_id"])}
    for name in ("progress", "runs"):
        found[name] = ask(store, name, **values)
    if not found["progress"].rows:
        raise Infeasible(
            f"what was run as {recipe.name!r} in the store {store.path} is no stream; `calibkit"
            " stream` with this recipe measures it"
        )
    for name, sql in STREAM_QUERIES.items():
        for key, value in values.items():
            sql = sql.replace(f"{{{key}}}", literal(value))
        found[name] = asked(store, sql.strip())
    for name in ASKED:
        answered = answer(store, name, {"recipe": recipe.name}, timeout_s=TIMEOUT_S)
        found[name] = Asked(answered.sql, tuple(answered.table))
    with store.reading() as con:
        results = stream_gains(read_streamed(con, recipe.name))
    return StreamStudy(
        recipe=measured or recipe,
        is_current=not stored or (measured is not None and measured.id() == recipe.id()),
        text=stored or recipe.text,
        asked=found,
        results=tuple(results),
    )


def _measured_version(text: str, recipe: StreamRecipe) -> StreamRecipe | None:
    """Return the recipe of the latest run, None where this calibkit cannot read it."""
    if not text:
        return None
    try:
        return parse_stream_recipe(text, recipe.name)
    except CalibkitError:  # what an earlier version of calibkit could read
        return None
