"""The paper's study: recipes plan what was published, and the corpora can give the documents."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibkit.corpora.ingest import ingest
from calibkit.decide.reference import load_reference
from calibkit.decide.reproduction import pair
from calibkit.policies import Draw, Pool
from calibkit.recipe import load_recipe
from calibkit.store import Store

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
LABELS = {
    "ag_news": ("Business", "Sci/Tech", "Sports", "World"),
    "dbpedia": (
        *("Album", "Animal", "Artist", "Athlete", "Building", "Company", "EducationalInstitution"),
        *("Film", "MeanOfTransportation", "NaturalPlace", "OfficeHolder", "Plant", "Village"),
        "WrittenWork",
    ),
}
RECIPES = {corpus: ROOT / "recipes" / f"paper-{name}.yaml" for corpus, name in
           (("ag_news", "agnews"), ("dbpedia", "dbpedia"))}  # fmt: skip
both = pytest.mark.parametrize("corpus", RECIPES)


@both
def test_all_that_was_published_at_8_bits_and_less_is_planned_under_both_presets(corpus):
    recipe = load_recipe(RECIPES[corpus])
    reference = load_reference(ROOT / "recipes" / "paper-reference.csv")
    pairs = pair(None, recipe, reference)
    published = {cell for cell in reference.cells if cell.corpus == corpus}
    assert {one.reference for one in pairs} == published
    for cell in published:
        presets = [one.preset for one in pairs if one.reference == cell and one.planned]
        wanted = [None] if cell.is_float else ["paper", "robust"] if cell.bits <= 8 else []
        assert presets == wanted, cell
    assert {choice.kind for choice in recipe.models.values()} == {"generative", "discriminative"}
    assert recipe.policies["class-conditional"].name == "stratified"
    assert recipe.policies["class-unconditional"].name == "random"
    assert set(recipe.measure.distributions) == {"weights", "activations", "token-nll"}
    assert {kind for kind, _ in recipe.measure.noise} == {"keyboard"}


@both
def test_a_dry_run_plans_them_on_a_corpus_with_these_labels(corpus, tmp_path, make_corpus_files):
    topics = {label: [f"{label.lower()}{n}" for n in range(4)] for label in LABELS[corpus]}
    files = make_corpus_files(tmp_path, {"train": 70, "valid": 28, "test": 28}, topics=topics)
    store = Store(tmp_path / "tiny.duckdb")
    ingest(store, corpus, **files)
    done = subprocess.run(
        [sys.executable, "-m", "calibkit.cli", "--store", store.path]
        + ["evaluate", RECIPES[corpus], "--dry-run", "--json"],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    planned = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(planned) == len(list(load_recipe(RECIPES[corpus]).cells())) > 100
    text = RECIPES[corpus].read_text()
    assert f"# {len(planned)} cells" in text, "the recipe's comment counts its cells"


@both
def test_the_corpus_has_enough_documents_for_every_draw(corpus):
    file = DATA / corpus / "train.csv"
    if not file.exists():
        pytest.skip(f"{corpus} is not beside this project")
    with file.open(newline="") as lines:
        labels = [row["label"] for row in csv.DictReader(lines)]
    assert tuple(sorted(set(labels))) == LABELS[corpus]
    ids = tuple(f"d{number:06}" for number in range(len(labels)))
    pool = Pool(ids, tuple(labels), np.ones(len(labels), dtype=np.int64))
    recipe = load_recipe(RECIPES[corpus])
    (size,) = recipe.grid.size
    for alias in recipe.grid.policy:
        for seed in recipe.grid.seed:
            rows = recipe.policies[alias].policy.pick(pool, size, Draw(seed))
            assert len(set(rows.tolist())) == size
            counts = np.bincount(pool.label_ids[rows], minlength=len(LABELS[corpus]))
            if alias == "class-conditional":
                assert counts.max() - counts.min() <= 1
            if alias.startswith("mix-"):
                shares = sorted(100 * counts / size, reverse=True)
                wanted = [float(share) for share in alias.removeprefix("mix-").split("-")]
                assert shares == pytest.approx(wanted, abs=0.5)
