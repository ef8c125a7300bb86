"""On corpora that nobody tuned anything for, 8 bits cost next to nothing."""

import csv

import numpy as np
import pytest
import yaml

from calibkit.corpora.ingest import ingest
from calibkit.recipe import load_recipe
from calibkit.store.connection import Store
from calibkit.sweep.run import run

WORDS = 600


def write_documents(path, rows, shares, *, purity, rng):
    """Documents of 6 to 40 words, a part of them from the label's own 25, Zipf-like."""
    common = 1 / np.arange(1, WORDS + 1)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["text", "label"])
        for label in rng.choice(len(shares), size=rows, p=shares):
            length = int(rng.integers(6, 41))
            words = rng.choice(WORDS, length, p=common / common.sum())
            own = WORDS + label * 25 + rng.integers(0, 25, length)
            chosen = np.where(rng.random(length) < purity, own, words)
            out.writerow([" ".join(f"w{word}" for word in chosen), f"label-{label:02d}"])


CORPORA = {
    "two-labels-87-13": ([0.87, 0.13], 0.06),
    "four-labels": ([0.25] * 4, 0.08),
    "fourteen-labels": ([1 / 14] * 14, 0.15),
    "seven-uneven-labels": ([0.4, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03], 0.12),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CORPORA)
def test_int8_stays_within_two_points_of_float(name, tmp_path, watched):
    shares, purity = CORPORA[name]
    rng = np.random.default_rng(20)
    files = {}
    for split, rows in {"train": 3000, "valid": 400, "test": 600}.items():
        files[split] = tmp_path / f"{split}.csv"
        write_documents(files[split], rows, shares, purity=purity, rng=rng)
    store = Store(tmp_path / "study.duckdb")
    ingest(store, name, **files)
    recipe = {
        "calibkit": 1,
        "name": name,
        "corpus": {"name": name},
        "models": {"generative": {}, "discriminative": {}},
        "policies": {"random": {"use": "random"}},
        "grid": {
            "model": ["generative", "discriminative"],
            "policy": ["random"],
            "size": [128],
            "seed": [0, 1, 2],
            "bits": [8],
        },
        "measure": {"distributions": []},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    report = run(store, load_recipe(path), workers=1, executor="serial", watcher=watched)
    assert report.done == 6
    with store.reading() as con:
        rows = con.execute(
            "SELECT model, avg(float_accuracy), avg(accuracy), max(abs(accuracy_drop)) "
            "FROM results GROUP BY model ORDER BY model"
        ).fetchall()
    print(name, rows)
    for _model, exact, quantized, _ in rows:
        assert exact > max(shares)
        assert abs(exact - quantized) <= 0.02
