"""The recipe of one cell: evaluated in a fresh store, it gives that cell and its numbers."""

import pytest

from calibkit.corpora.reading import find_corpus
from calibkit.errors import BadInput, Infeasible
from calibkit.recipe import load_recipe, parse_recipe
from calibkit.sweep.cell_recipe import cell_recipe
from calibkit.sweep.plan import model_key
from calibkit.sweep.run import run

NUMBERS = ("cells", "evaluations", "label_evaluations", "predictions", "distributions")
MANY = {
    "corpus": {"share": 0.9},
    "models": {"small": {"use": "discriminative", "epochs": 2, "hidden": 10, "min_count": 1,
                         "batch": 8, "learning_rate": 0.02, "seeds": [0, 3]}},
    "policies": {
        "half": {"use": "skewed", "weights": {"art": 1, "sea": 1}},
        "copies": {"use": "noise-mix", "noise": "ocr", "level": 0.1},
        "written": {"use": "self-calibration", "temperature": 0.9},
    },
    "quantize": {"preset": "robust", "separate_hv": True, "ranges": {"lstm.*": "minmax"},
                 "bits": {"decoder.*": 8}},
    "grid": {"model": ["generative", "small"], "policy": ["random", "half", "copies", "written"],
             "size": [12], "seed": [1], "bits": [4], "rounding": ["nearest"]},
    "measure": {"noise": {"keyboard": [0.1], "unk-match": [0.2]},
                "distributions": ["weights"], "documents": 40},
}  # fmt: skip
"""Settings far from the usual ones; half of them mean nothing to the small model."""


@pytest.fixture(scope="module")
def many(ingested, tmp_path_factory):
    study = ingested.copy(tmp_path_factory.mktemp("many"))
    models = {"generative": {"seeds": [0, 3]}, "discriminative": None}
    part = "model = 'small' AND model_seed = 3 OR model = 'generative' AND policy = 'written'"
    report = study.run(MANY, {"models": models}, where=part)
    assert report.failed == 0 and report.done == 6
    return study


def numbers(study, cell, everything_measured):
    found = everything_measured(study, list(NUMBERS))
    return {table: [row for row in rows if cell in row] for table, rows in found.items()}


@pytest.fixture
def again(ingested, tmp_path, everything_measured, watched):
    """Evaluate the recipe of a cell in a fresh store; return the recipe and both sides."""

    def evaluate(study, cell):
        found = cell_recipe(study.store, cell)
        fresh = ingested.copy(tmp_path / "again")
        path = fresh.folder / "cell.yaml"
        path.write_text(found.text)
        report = run(fresh.store, load_recipe(path), executor="serial", workers=1, watcher=watched)
        assert (report.planned, report.measured, report.failed) == (1, 1, 0)
        assert fresh.one("SELECT cell_id FROM cells") == cell
        theirs, ours = (numbers(one, cell, everything_measured) for one in (study, fresh))
        assert ours == theirs and all(ours[table] for table in NUMBERS)
        return found

    return evaluate


@pytest.mark.parametrize("model", ["generative", "discriminative"])
def test_the_smallest_recipe_of_an_ordinary_cell(finished, again, model):
    (cell,) = finished.rows(
        f"SELECT cell_id FROM results WHERE model = '{model}' AND policy = 'stratified'"
        " AND bits = 3 AND noise = 0"
    )
    found = again(finished, cell[0])
    settings = {"epochs": 3, "embedding": 12, "hidden": 12, "learning_rate": 0.02, "batch": 8}
    settings |= {"min_count": 1}
    assert found.document == {
        "calibkit": 1,
        "name": f"cell-{cell[0].removeprefix('x1-')}",
        "corpus": {"name": "made"},
        "models": {model: settings},
        "policies": {"stratified": {"use": "stratified"}},
        "grid": {
            "model": [model],
            "policy": ["stratified"],
            "size": [16],
            "seed": [0],
            "bits": [3],
        },
        "measure": {"noise": {"keyboard": [0.1]}},
    }
    above = found.text.partition("calibkit: 1")[0]
    assert all(line.startswith("# ") for line in above.splitlines())
    assert cell[0] in above
    assert "calibkit ingest made --train train.csv --valid valid.csv --test test.csv" in above
    assert "another version" not in above and "CALIBKIT_DEVICE" not in above


@pytest.mark.parametrize("policy", ["random", "half", "copies", "written"])
def test_a_cell_far_from_the_usual(many, again, policy):
    """The model's quantizers are half of those that its scheme speaks of."""
    ((cell,),) = many.rows(
        f"SELECT cell_id FROM results WHERE model = 'small' AND policy = '{policy}' AND noise = 0"
    )
    found = again(many, cell)
    document = found.document
    assert document["corpus"] == {"name": "made", "share": 0.9}
    assert document["models"]["small"] == {
        "use": "discriminative", "epochs": 2, "hidden": 10, "learning_rate": 0.02, "batch": 8,
        "min_count": 1, "seeds": [3],
    }  # fmt: skip
    assert document["exclude"] == [{"model": "generative"}]
    assert document["grid"]["model"] == ["small", "generative"]
    if policy == "written":
        assert document["models"]["generative"]["epochs"] == 3
    assert document["measure"]["documents"] == 40


def test_the_device_of_a_float_model_is_said(study):
    cell = study.rows("SELECT cell_id FROM results WHERE model = 'generative'")[0][0]
    recipe = parse_recipe(cell_recipe(study.store, cell).text)
    with study.store.reading() as con:
        corpus = find_corpus(con, "made")
    key = model_key(recipe, corpus, "generative", 0, device="cuda")
    with study.store.writing() as con:
        con.execute("UPDATE models SET model_key = ? WHERE kind = 'generative'", [key])
    assert "CALIBKIT_DEVICE=cuda" in cell_recipe(study.store, cell).text
    with study.store.writing() as con:
        con.execute("UPDATE models SET model_key = 'k1-old' WHERE kind = 'generative'")
    assert "trained by another version" in cell_recipe(study.store, cell).text


def test_other_policies_that_chose_the_documents_stand_in_comments(fresh):
    longest = {"use": "longest-of-tests"}
    changes = {
        "policies": {"random": None, "stratified": None, "first": {**longest}, "second": longest},
        "grid": {"model": ["discriminative"], "policy": ["second", "first"], "bits": [8]},
    }
    fresh.run(changes)
    cells = fresh.rows("SELECT DISTINCT cell_id FROM results")
    assert len(cells) == 1
    subset = fresh.one("SELECT subset_id FROM cells")
    with fresh.store.writing() as con:
        con.execute(
            "INSERT INTO subset_requests SELECT 'r1-ids', subset_id, corpus_id, 'ids', 'ids',"
            ' \'{"sha256": "ab"}\', 1, size, 0, pool, share, NULL, created_at'
            " + INTERVAL 1 HOUR FROM subset_requests"
        )
    found = cell_recipe(fresh.store, cells[0][0])
    assert list(found.document["policies"]) == ["second"]
    assert '# - ids {"sha256": "ab"}, size 16, seed 0, pool train\n' in found.text
    assert subset in found.text
    assert list(parse_recipe(found.text).cells())[0].policy == "second"


def test_a_cell_whose_documents_nobody_can_choose_again_is_infeasible(study):
    cell = study.rows("SELECT cell_id FROM results WHERE policy = 'random'")[0][0]
    with study.store.writing() as con:
        con.execute("UPDATE subset_requests SET policy = 'of-yesterday' WHERE policy = 'random'")
    with pytest.raises(Infeasible, match="no policy is called 'of-yesterday'"):
        cell_recipe(study.store, cell)
    with study.store.writing() as con:
        con.execute(
            "UPDATE subset_requests SET policy = 'random', policy_version = 99"
            " WHERE policy = 'of-yesterday'"
        )
    with pytest.raises(Infeasible, match="has version 1 now, and version 99 chose"):
        cell_recipe(study.store, cell)


def test_no_such_cell(finished):
    with pytest.raises(BadInput, match="no cell has an id that starts with"):
        cell_recipe(finished.store, "x1-zzz")
