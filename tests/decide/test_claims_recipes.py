"""The paper's claims as recipes: the same ones on both corpora, planned whole, not too many."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from calibkit.corpora.ingest import ingest
from calibkit.recipe import load_recipe
from calibkit.recipe.claim_plan import planned_sides
from calibkit.store import Store

ROOT = Path(__file__).parents[2]
RECIPES = {
    "ag_news": (ROOT / "recipes" / "paper-claims.yaml", 1080),
    "docstrings": (ROOT / "recipes" / "paper-claims-embedded.yaml", 840),
}
LABELS = {
    "ag_news": ("Business", "Sci/Tech", "Sports", "World"),
    "docstrings": ("numpy", "scipy", "sklearn", "torch"),
}
both = pytest.mark.parametrize("corpus", RECIPES)


@both
def test_every_claim_has_three_float_models_of_ten_draws(corpus):
    recipe = load_recipe(RECIPES[corpus][0])
    assert recipe.corpus.name == corpus
    for claim in recipe.claims:
        sides = planned_sides(recipe, claim)
        assert all(len(side) == 30 for side in sides), claim.id
    assert recipe.policies["one-label"].name == "one-label"
    assert len(recipe.grid.seed) > len(LABELS[corpus])  # a one-label arm takes each label in turn


def test_both_recipes_claim_the_same():
    first, second = (load_recipe(path) for path, _ in RECIPES.values())
    assert first.claims == second.claims


def test_families_are_the_protocols_and_small_enough_for_ten_draws():
    claims = load_recipe(RECIPES["ag_news"][0]).claims
    sizes = Counter(claim.family for claim in claims)
    assert sizes == {"published": 14, "alive": 14}
    assert 2 / 2**10 * max(sizes.values()) <= 0.05  # the least that sign flips can say, after Holm
    presets = {(claim.family, claim.where["preset"]) for claim in claims}
    assert presets == {("published", "paper"), ("alive", "robust")}
    alike = [
        (c.id.removesuffix("-alive"), c.measure, c.expect, c.by, c.within, c.axis, c.a, c.b)
        for c in claims
    ]
    assert alike[:14] == alike[14:]


def test_what_counts_as_breaking_is_about_half_of_what_was_published():
    with (ROOT / "recipes" / "paper-reference.csv").open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    published = {
        (row["policy"], int(row["bits"])): 100 * float(row["accuracy"])
        for row in rows
        if (row["corpus"], row["model"]) == ("ag_news", "generative")
        and row["source"].startswith("published")
    }
    breaking = [
        c for c in load_recipe(RECIPES["ag_news"][0]).claims if c.id.startswith("unconditional")
    ]
    assert {c.where["bits"] for c in breaking} == {4, 3}
    for claim in breaking:
        bits = claim.where["bits"]
        lost = published[claim.b, bits] - published[claim.a, bits]
        assert 0.45 * lost < claim.by < 0.55 * lost


@both
def test_a_dry_run_plans_them(corpus, tmp_path, make_corpus_files):
    path, cells = RECIPES[corpus]
    topics = {label: [f"{label.lower()}{n}" for n in range(4)] for label in LABELS[corpus]}
    files = make_corpus_files(tmp_path, {"train": 70, "valid": 28, "test": 28}, topics=topics)
    store = Store(tmp_path / "tiny.duckdb")
    ingest(store, corpus, **files)
    done = subprocess.run(
        [sys.executable, "-m", "calibkit.cli", "--store", store.path]
        + ["evaluate", path, "--dry-run", "--json"],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == cells
    assert f"# {cells:,} cells" in path.read_text(), "the recipe's comment counts its cells"
