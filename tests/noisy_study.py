"""A made-up study with noise levels, distributions and predictions, beside `made_results`."""

from __future__ import annotations

from collections.abc import Callable

from made_results import make_results, model_id

from calibkit.recipe import GridPoint, Recipe, parse_recipe
from calibkit.store import Store, insert

TEXT = """\
calibkit: 1
name: study
corpus: {name: news}
models:
  generative: {seeds: [0, 1]}
  discriminative: {}
policies:
  even: {use: stratified}
  random: {use: random}
grid:
  model: [generative, discriminative]
  policy: [even, random]
  size: [8]
  seed: [0, 1, 2, 3]
  bits: [8, 4]
measure: {noise: {keyboard: [0.05, 0.1]}}
"""
LEVELS = (("none", 0.0), ("keyboard", 0.05), ("keyboard", 0.1))
LABELS = [0, 1] * 20
SITES = ("cell", "input")


def study(text: str = TEXT) -> Recipe:
    return parse_recipe(text, "study.yaml")


def accuracy(point: GridPoint, noise: float) -> float:
    """Even draws gain .02 at 4 bits, and lose half as much to noise; seeds differ by .01."""
    even = point.policy == "even"
    clean = 0.85 - 0.05 * (point.bits == 4) + 0.02 * (even and point.bits == 4)
    return clean + 0.01 * point.seed + 0.001 * point.model_seed - noise * (1.0 if even else 2.0)


def float_accuracy(noise: float) -> float:
    return 0.9 - noise


def shift(point: GridPoint, site: str) -> float:
    """KS D: rises as bits fall, most at the cell; each seed .001 more."""
    return (0.01 if point.bits == 8 else 0.1 if site == "cell" else 0.05) + 0.001 * point.seed


def make_study(
    store: Store,
    recipe: Recipe,
    measured: Callable[[GridPoint], bool] = lambda point: True,
) -> dict[GridPoint, str]:
    """Fill a store with a whole study; return the cells' ids."""
    make_results(store, recipe, lambda point: accuracy(point, 0.0) if measured(point) else None)
    cells = {
        point: f"x1-{number:08x}" for number, point in enumerate(recipe.cells()) if measured(point)
    }
    evaluations, shifts, predictions = [], [], []
    for point, cell in cells.items():
        for kind, noise in LEVELS:
            level = dict(cell_id=cell, noise_kind=kind, noise=noise, noise_seed=0)
            value = accuracy(point, noise)
            scores = dict(accuracy=value, macro_f1=value, worst_label_accuracy=value, nll=1 - value)
            evaluations.append({**level, **scores})
            right = round(value * len(LABELS))
            told = [label if n < right else 1 - label for n, label in enumerate(LABELS)]
            predictions.append({**level, "predicted": told})
        shifts += [
            dict(cell_id=cell, quantity=quantity, site=site, pair="float-quantized",
                 ks=shift(point, site), wasserstein=2 * shift(point, site))
            for quantity in ("weights", "activations")
            for site in SITES
        ]  # fmt: skip
        shifts.append(
            dict(cell_id=cell, quantity="weights", site="cell", pair="nearest-rounded",
                 code_change_rate=0.25)
        )  # fmt: skip
    floats = [
        dict(model_id=model_id(alias, seed), test_id="t1-made", stage="float", noise_kind=kind,
             noise=noise, noise_seed=0, accuracy=float_accuracy(noise))
        for alias in recipe.grid.model
        for seed in recipe.models[alias].seeds
        for kind, noise in LEVELS
    ]  # fmt: skip
    noises = [
        dict(recipe_id=recipe.id(), noise_kind=kind, noise=noise, noise_seed=0)
        for kind, noise in LEVELS
    ]
    tests = [dict(test_id="t1-made", documents=len(LABELS), label_ids=LABELS)]
    with store.writing() as con:
        con.execute("DELETE FROM evaluations")  # those of made_results: clean, without all scores
        con.execute("DELETE FROM baseline_evaluations")
        insert(con, "recipe_noises", noises)
        insert(con, "evaluations", evaluations)
        insert(con, "baseline_evaluations", floats)
        insert(con, "distributions", shifts)
        insert(con, "predictions", predictions)
        insert(con, "test_sets", tests)
    return cells
