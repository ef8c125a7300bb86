"""The SQL behind a page: over the public views, with the recipe's name written in.

Each is one statement that a reader can give to ``calibkit sql`` as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibkit.store import Store, query

TIMEOUT_S = 120.0

QUERIES: Mapping[str, str] = {
    "progress": """
SELECT planned, done, failed, missing FROM progress WHERE recipe = {recipe}""",
    "runs": """
SELECT run_id, recipe_id, started_at, command, workers, host, git_commit, git_dirty, versions
FROM runs WHERE recipe = {recipe} ORDER BY started_at, run_id""",
    "text": """
SELECT recipe_id, recipe_text FROM runs WHERE recipe = {recipe} AND recipe_id IS NOT NULL
ORDER BY started_at DESC, run_id DESC LIMIT 1""",
    "accuracy": """
SELECT model, policy, size, bits, preset, rounding, scheme_id, noise_kind, noise, accuracy,
       ci_low, ci_high, sd, draws, models, accuracy_drop, noise_drop, macro_f1, ks_weights,
       ks_activations
FROM summary WHERE recipe = {recipe}
ORDER BY model, size, bits DESC, preset, rounding, scheme_id, policy, noise_kind <> 'none',
         noise_kind, noise""",
    "cells": """
SELECT DISTINCT model, model_kind, model_seed, policy, policy_kind, size, seed, bits, rounding,
       scheme_id, noise_kind, noise, accuracy, float_accuracy, worst_label_accuracy, majority_share,
       flags, documents, seconds, cell_id, subset_id
FROM results WHERE recipe = {recipe}
ORDER BY model, size, bits DESC, rounding, scheme_id, policy, model_seed, seed, cell_id,
         noise_kind <> 'none', noise_kind, noise""",
    "floats": """
SELECT model, model_kind, model_seed, stage, noise_kind, noise, accuracy, macro_f1, nll,
       worst_label_accuracy, agreement, documents, model_id, test_id
FROM baselines WHERE recipe = {recipe}
ORDER BY model, model_seed, stage, noise_kind <> 'none', noise_kind, noise""",
    "weights": """
SELECT model, size, bits, rounding, scheme_id, site, policy, count(DISTINCT subset_id) AS draws,
       avg(ks) AS ks, min(ks) AS ks_low, max(ks) AS ks_high, avg(sqnr_db) AS sqnr_db,
       avg(code_change_rate) AS code_change_rate
FROM weight_shift WHERE recipe = {recipe} AND pair = 'float-quantized'
GROUP BY ALL ORDER BY ALL""",
    "activations": """
SELECT model, size, bits, rounding, scheme_id, site, policy, count(DISTINCT subset_id) AS draws,
       avg(ks) AS ks, min(ks) AS ks_low, max(ks) AS ks_high, avg(clip_rate) AS clip_rate,
       avg(range_use) AS range_use
FROM activation_shift WHERE recipe = {recipe} AND pair = 'float-quantized'
GROUP BY ALL ORDER BY ALL""",
    "profiles": """
SELECT used.policy, used.size, p.subset_id, p.documents, p.tokens, p.length_p50, p.oov_share,
       p.vocabulary_coverage, p.label_total_variation, p.label_mix, card.outside, card.bad
FROM (SELECT DISTINCT policy, size, subset_id FROM results WHERE recipe = {recipe}) AS used
JOIN subset_profile AS p USING (subset_id)
LEFT JOIN coverage_cards AS card ON card.subset_id = p.subset_id AND card.model_id IS NULL
ORDER BY used.policy, used.size, p.subset_id""",
    "cost": """
WITH each AS (
    SELECT DISTINCT cell_id, model, size, bits, scheme_id, seconds, stages, peak_mb
    FROM provenance WHERE recipe = {recipe}
)
SELECT model, size, bits, scheme_id, count(*) AS cells, sum(seconds) AS seconds,
       avg(CAST(stages ->> '$.calibrate' AS DOUBLE)) AS calibrate,
       avg(CAST(stages ->> '$.rounding' AS DOUBLE)) AS rounding,
       avg(CAST(stages ->> '$.evaluate' AS DOUBLE)) AS evaluate,
       avg(CAST(stages ->> '$.distributions' AS DOUBLE)) AS distributions,
       avg(seconds) AS cell, max(peak_mb) AS peak_mb
FROM each GROUP BY ALL ORDER BY model, size, bits DESC, scheme_id""",
    "trained": """
SELECT DISTINCT used.model, used.model_seed, trained.kind, trained.model_id, trained.settings,
       trained.vocabulary_size, trained.best_epoch, trained.epochs, trained.valid_accuracy,
       trained.seconds, trained.trained_at
FROM baselines AS used JOIN models AS trained USING (model_id)
WHERE used.recipe = {recipe} ORDER BY used.model, used.model_seed, trained.trained_at""",
    "failed": """
SELECT model, policy, size, bits, rounding, preset, stage, error_type, message,
       count(*) AS cells, min(seed) AS first_seed, max(attempts) AS attempts
FROM failed WHERE recipe = {recipe} GROUP BY ALL
ORDER BY cells DESC, model, policy, size, bits DESC, rounding, preset, stage, message""",
    "left": """
SELECT model, policy, size, bits, rounding, preset, count(*) AS planned,
       count(*) FILTER (is_done) AS done,
       count(*) FILTER (NOT is_done AND failure_id IS NOT NULL) AS failed,
       count(*) FILTER (NOT is_done AND failure_id IS NULL) AS missing
FROM core.state WHERE recipe = {recipe}
GROUP BY ALL HAVING missing > 0 OR failed > 0 ORDER BY ALL""",
    "flags": """
SELECT model, size, bits, rounding, scheme_id, policy, count(DISTINCT cell_id) AS cells,
       count(DISTINCT cell_id) FILTER (flags <> '') AS flagged,
       string_agg(DISTINCT nullif(flags, ''), ', ' ORDER BY nullif(flags, '')) AS flags
FROM results WHERE recipe = {recipe}
GROUP BY ALL ORDER BY model, size, bits DESC, rounding, scheme_id, policy""",
    "labels": """
SELECT model, size, bits, rounding, scheme_id, label, avg(accuracy) AS accuracy,
       avg(float_accuracy) AS float_accuracy, avg(accuracy_drop) AS accuracy_drop,
       min(accuracy) AS worst, avg(documents) AS documents, count(DISTINCT cell_id) AS cells
FROM label_results WHERE recipe = {recipe} AND noise_kind = 'none'
GROUP BY ALL ORDER BY model, size, bits DESC, scheme_id, label""",
    "provenance": """
SELECT recipe_id, corpus, corpus_id, test_id, arithmetic, device, harness, host,
       count(DISTINCT cell_id) AS cells, min(measured_at) AS first, max(measured_at) AS last
FROM provenance WHERE recipe = {recipe} GROUP BY ALL ORDER BY ALL""",
    "corpus": """
SELECT corpora.corpus_id, name, version, documents, labels, provenance,
       CAST(source AS VARCHAR) AS source
FROM corpora
WHERE corpus_id IN (SELECT corpus_id FROM provenance WHERE recipe = {recipe}) ORDER BY corpus_id""",
    "schemes": """
SELECT scheme_id, string_agg(DISTINCT preset, ', ' ORDER BY preset) AS preset, bits, rounding
FROM recipe_cells WHERE recipe_id = {recipe_id} GROUP BY ALL ORDER BY ALL""",
    "conflicts": """
SELECT count(*) AS conflicts FROM conflicts""",
}
"""What a page asks, by name."""


@dataclass(frozen=True)
class Asked:
    """A query and what it answered: one dict a row."""

    sql: str
    rows: tuple[Mapping[str, Any], ...]


def ask(store: Store, name: str, **values: str) -> Asked:
    """Return what the query of that name says, with ``values`` written in as SQL strings."""
    return asked(store, written(name, **values))


def asked(store: Store, sql: str) -> Asked:
    """Return what a query says."""
    table = query(store, sql, timeout_s=TIMEOUT_S)
    return Asked(sql, tuple(dict(zip(table.columns, row, strict=True)) for row in table.rows))


def written(name: str, **values: str) -> str:
    """Return a query with ``values`` written in as SQL strings."""
    text = QUERIES[name].strip()
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", literal(value))
    return text


def literal(value: str) -> str:
    """Return text as a string of SQL."""
    return "'" + value.replace("'", "''") + "'"


def only(rows: Sequence[Mapping[str, Any]], **wanted: object) -> list[Mapping[str, Any]]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]
