"""A study and a stream with all that questions ask about, made up; a study that is only planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from made_results import WHEN, make_results, model_id
from made_streams import Trajectory, make_streams, trajectories
from noisy_study import make_study

from calibkit.recipe import GridPoint, Recipe, parse_recipe
from calibkit.store import Store, insert

TEXT = """\
calibkit: 1
name: study
corpus: {name: news}
models:
  generative: {seeds: [0, 1]}
policies:
  random: {use: random}
  even: {use: stratified}
  long: {use: longest}
  short: {use: shortest}
  shuffled: {use: shuffle, of: {use: random}}
grid:
  model: [generative]
  policy: [random, even, long, short, shuffled]
  size: [8, 16]
  seed: [0, 1, 2]
  bits: [8, 4]
  rounding: [nearest, gpfq]
measure: {noise: {keyboard: [0.05, 0.1]}}
"""
LABELS = ("it's", "<b>bold</b>")


def recipe(text: str = TEXT) -> Recipe:
    return parse_recipe(text, "study.yaml")


def full_store(path: Path) -> Store:
    """Every cell under every noise, with labels, shifts, cards, documents, a failure; a stream."""
    store, study = Store(path), recipe()
    cells = make_study(store, study)
    labels, cards, subsets = [], [], {}
    for point, cell in cells.items():
        subset = f"s1-{point.policy}-{point.size}-{point.seed}"
        subsets[subset] = point
        for label in range(2):
            labels.append(
                dict(cell_id=cell, noise_kind="none", noise=0.0, noise_seed=0, label_id=label,
                     documents=20, predicted=20, correct=18 - label - point.seed, f1=0.5)
            )  # fmt: skip
    floats = [
        dict(cell_id=f"{model_id('generative', seed)}/float/t1-made", noise_kind="none",
             noise=0.0, noise_seed=0, label_id=label, documents=20, predicted=20, correct=19)
        for seed in (0, 1)
        for label in range(2)
    ]  # fmt: skip
    for number, subset in enumerate(subsets):
        for metric, value in (("clip_rate", float(number)), ("mmd", float(-number))):
            cards.append(
                dict(subset_id=subset, pool="train", share=1.0, model_id="", draws=20, version=1,
                     metric=metric, site="", ordinal=0, value=value, rank=0.5, verdict="inside",
                     is_bad=False)
            )  # fmt: skip
    documents = [
        dict(subset_id=subset, position=place, doc_id=f"d{place + point.size * point.seed}")
        for subset, point in subsets.items()
        for place in range(point.size)
    ]
    failure = dict(
        failure_id="f1", run_id="n1-made", recipe_id=study.id(), plan_key="p1-00000000",
        stage="calibrate", error_type="Infeasible", message="too few", attempts=1,
    )  # fmt: skip
    with store.writing() as con:
        con.execute("UPDATE cells SET corpus_id = 'c1-news', stages = $1",
                    [json.dumps({"calibrate": 0.25, "evaluate": 0.75})])  # fmt: skip
        con.execute("UPDATE evaluations SET flags = 'dead-lstm,nll-explodes' WHERE accuracy < .81")
        con.execute("DELETE FROM plan_cells WHERE plan_key = 'p1-00000000'")
        insert(con, "labels", [dict(corpus_id="c1-news", label_id=n, label=label)
                               for n, label in enumerate(LABELS)])  # fmt: skip
        insert(con, "label_evaluations", [*labels, *floats])
        insert(con, "subset_cards", cards)
        insert(con, "subset_documents", documents)
        insert(con, "failures", [{k: v for k, v in failure.items() if k != "attempts"}])
    started = WHEN + timedelta(hours=1)
    make_streams(store, trajectories(), streamed, started=started)
    return store


def streamed(one: Trajectory, step: int, phase: int) -> float:
    """Draws are .01 apart; methods gain from step 1 on, re-calibration by .05 +- .001."""
    gains = {"frozen": 0.0, "gpfq": -0.03, "flips": 0.04, "recalibrated": 0.05}
    apart = (one.seed % 2 - 0.5) / 500 if one.method == "recalibrated" else 0.0
    return 0.7 + 0.01 * one.seed + (gains[one.method] + apart) * (step > 0)


def clean_store(
    path: Path, text: str, accuracy: Callable[[GridPoint], float | None], **options: object
) -> Store:
    """A store with clean results of a recipe, as a test gives them."""
    store = Store(path)
    make_results(store, parse_recipe(text, "study.yaml"), accuracy, **options)  # type: ignore[arg-type]
    return store
