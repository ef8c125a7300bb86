"""Small studies as a sweep would leave them: numbers that a test gives, and everything beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from made_results import WHEN, make_results, model_id

from calibkit.recipe import GridPoint, Recipe, parse_recipe
from calibkit.store import Store, insert

RECIPE = """\
# about <b>nothing</b> & </pre><script>alert('comment')</script>
calibkit: 1
name: made
about: "Which <i>documents</i>? </title><script>alert('about')</script>"
corpus: {name: toy}
models: {generative: {}, discriminative: {}}
policies:
  random: {use: random}
  stratified: {use: stratified}
  longest: {use: longest}
grid:
  model: [generative, discriminative]
  policy: [random, stratified, longest]
  size: [16]
  seed: SEEDS
  bits: [8, 4]
measure: {noise: {keyboard: [0.05, 0.1]}, distributions: [weights, activations]}
"""
CLEAN = RECIPE.replace("measure: {noise: {keyboard: [0.05, 0.1]}, ", "measure: {")
HOSTILE = "<img src=x onerror=alert('label')>"
LABELS = ("World", HOSTILE)
SITES = {"weights": ("embedding", "lstm.weight_cell"), "activations": ("lstm.cell", "lstm.io")}
FLOAT = 0.9


def made_recipe(text: str = RECIPE, draws: int = 6) -> Recipe:
    return parse_recipe(text.replace("SEEDS", str(list(range(draws)))), "made.yaml")


def jitter(*of: object, size: float = 0.004) -> float:
    """A number between -size and size that what it is of decides."""
    digest = hashlib.sha256(repr(of).encode()).digest()
    return size * (int.from_bytes(digest[:4], "big") / 2**31 - 1)


def ordinary(point: GridPoint) -> float:
    """Nothing is lost at 8 bits; at 4 bits the longest documents lose ten points."""
    lost = 0.05 if point.bits == 4 else 0.0
    lost += 0.10 if point.bits == 4 and point.policy == "longest" else 0.0
    return FLOAT - lost + jitter(point.model, point.policy, point.seed, point.bits)


def make_study(
    store: Store,
    recipe: Recipe,
    accuracy: Callable[[GridPoint], float | None] = ordinary,
    *,
    flags: Callable[[GridPoint], str] = lambda point: "",
    failed: Sequence[str] = (),
) -> None:
    """Write a study; cells without an accuracy fail where ``failed`` has their policy."""
    make_results(
        store, recipe, accuracy, float_accuracy=lambda model, seed: FLOAT, flags=flags,
        documents=400,
    )  # fmt: skip
    cells, floats, more = _beside(recipe, accuracy)
    with store.writing() as con:
        con.execute(
            "UPDATE cells SET corpus_id = 'c1-toy', arithmetic = 'float-torch', device = 'cpu',"
            " harness = 1, host = 'here', stages = '{\"calibrate\": 0.25, \"rounding\": 0.5}'"
        )
        con.execute(
            "UPDATE runs SET host = 'here', workers = 2, git_dirty = true, git_commit = 'abc123',"
            " command = $1, versions = $2",
            ["calibkit evaluate made.yaml --where \"<script>alert('command')</script>\"",
             json.dumps({"calibkit": "0.1.0", "torch": "2.0"})],
        )  # fmt: skip
        for table, rows in {**cells, **floats, **more}.items():
            insert(con, table, rows)
        insert(con, "failures", _failures(recipe, accuracy, failed))


Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def _beside(
    recipe: Recipe, accuracy: Callable[[GridPoint], float | None]
) -> tuple[Rows, Rows, Rows]:
    noisy, shifts, labels, subsets = [], [], [], {}
    for number, point in enumerate(recipe.cells()):
        measured = accuracy(point)
        if measured is None:
            continue
        cell = f"x1-{number:08x}"
        for kind, level in recipe.measure.noise:
            noisy.append(
                dict(cell_id=cell, noise_kind=kind, noise=level, noise_seed=0, documents=400,
                     accuracy=measured - level * (2 if point.bits == 4 else 1), macro_f1=0.5)
            )  # fmt: skip
        shifts += [
            dict(cell_id=cell, quantity=quantity, site=site, pair="float-quantized",
                 ks=(0.2 if point.bits == 4 else 0.02) + jitter(site, point.policy, point.seed),
                 sqnr_db=20.0, clip_rate=0.01, range_use=0.9)
            for quantity, sites in SITES.items()
            for site in sites
        ]  # fmt: skip
        labels += [
            dict(cell_id=cell, noise_kind="none", noise=0.0, noise_seed=0, label_id=label,
                 documents=200, predicted=200, correct=round(200 * measured), f1=measured)
            for label in range(len(LABELS))
        ]  # fmt: skip
        subset = f"s1-{point.policy}-{point.size}-{point.seed}"
        subsets[subset] = point
    floats = [
        dict(model_id=model_id(alias, 0), test_id="t1-made", stage="float", noise_kind=kind,
             noise=level, noise_seed=0, documents=400, accuracy=FLOAT - level)
        for alias in recipe.grid.model
        for kind, level in recipe.measure.noise
    ]  # fmt: skip
    of_float = [
        dict(cell_id=f"{model_id(alias, 0)}/float/t1-made", noise_kind="none", noise=0.0,
             noise_seed=0, label_id=label, documents=200, predicted=200, correct=180, f1=0.9)
        for alias in recipe.grid.model
        for label in range(len(LABELS))
    ]  # fmt: skip
    levels = [
        dict(recipe_id=recipe.id(), noise_kind=kind, noise=level, noise_seed=0)
        for kind, level in recipe.measure.noise
    ]
    file = {"file": "/home/me/train.csv", "sha256": "ab" * 32}
    source = {"kind": "files", "splits": {"train": file}}
    return (
        {"evaluations": noisy, "distributions": shifts, "label_evaluations": [*labels, *of_float]},
        {"baseline_evaluations": floats, "recipe_noises": levels},
        {
            "corpora": [
                dict(corpus_id="c1-toy", name="toy", version="1", documents=1000, labels=2,
                     source=json.dumps(source), provenance="files train.csv")
            ],
            "labels": [
                dict(corpus_id="c1-toy", label_id=n, label=label) for n, label in enumerate(LABELS)
            ],
            "models": [
                dict(model_key=f"k1-{alias}", model_id=model_id(alias, 0), kind=alias, seed=0,
                     settings="{}", valid_accuracy=0.9, best_epoch=2, epochs=3, seconds=10.0,
                     vocabulary_size=100, trained_at=WHEN)
                for alias in recipe.grid.model
            ],
            "subsets": [
                dict(subset_id=name, corpus_id="c1-toy", size=point.size, created_at=WHEN)
                for name, point in subsets.items()
            ],
            "subset_profiles": [
                dict(subset_id=name, documents=16, tokens=160, length_p50=9.5, oov_share=0.05,
                     vocabulary_coverage=0.4, label_total_variation=0.1,
                     label_mix=json.dumps({LABELS[0]: 0.25, LABELS[1]: 0.75}))
                for name in subsets
            ],
        },
    )  # fmt: skip


def _failures(
    recipe: Recipe, accuracy: Callable[[GridPoint], float | None], failed: Sequence[str]
) -> list[dict[str, Any]]:
    return [
        dict(failure_id=f"f1-{number}", run_id="n1-made", recipe_id=recipe.id(),
             plan_key=f"p1-{number:08x}", stage="subset", error_type="Infeasible",
             message=f"{point.policy}: the pool has 3 documents <script>alert('failed')</script>",
             traceback="", host="here", failed_at=WHEN + timedelta(seconds=number))
        for number, point in enumerate(recipe.cells())
        if accuracy(point) is None and point.policy in failed
    ]  # fmt: skip


def page_of_study(store: Store, recipe: Recipe, folder: Path) -> Path:
    """Write the page of a study and return where it is."""
    from calibkit.report.page import make_page

    page = folder / "page.html"
    page.write_text(make_page(store, recipe), encoding="utf-8")
    return page
