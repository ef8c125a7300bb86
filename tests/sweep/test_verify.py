"""A cell measured again from its provenance gives its very numbers, or it is told which differ."""

import shutil

import pytest

from calibkit.errors import BadInput, Infeasible, StoreDamaged
from calibkit.sweep.verify import MOST_TOLD, verify


def cell_of(study, condition):
    rows = study.rows(f"SELECT cell_id FROM results WHERE noise = 0 AND {condition}")
    return rows[0][0]


def told(text):
    pass


@pytest.fixture
def cell(finished):
    return cell_of(finished, "model = 'discriminative' AND policy = 'random' AND bits = 3")


@pytest.mark.parametrize("model", ["discriminative", "generative"])
@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_every_number_comes_back(finished, model, engine):
    found = verify(
        finished.store,
        cell_of(finished, f"model = '{model}' AND policy = 'stratified' AND bits = 3"),
        engine=engine,
        tell=told,
    )
    assert found.same and all(one.same for one in found.comparisons)
    assert found.comparisons[0].what == "evaluations, clean: documents"
    assert found.changed == {}
    cell = found.origin.cell_id
    for table, per_row in (("label_evaluations", 4), ("predictions", 60), ("distributions", 8)):
        rows = finished.one(f"SELECT count(*) FROM {table} WHERE cell_id = '{cell}'")
        numbers = sum(one.numbers for one in found.comparisons if one.what.startswith(table))
        assert rows and numbers >= rows * per_row
    accuracy = finished.one(
        f"SELECT accuracy FROM evaluations WHERE cell_id = '{cell}' AND noise_kind = 'keyboard'"
    )
    (line,) = [
        one for one in found.comparisons if one.what == "evaluations, keyboard 0.1: accuracy"
    ]
    assert (line.numbers, line.stored, line.measured) == (1, accuracy, accuracy)


def test_nothing_in_the_store_changes_and_no_cache_is_needed(study, cell, everything_measured):
    for kind in ("tokens", "vocabulary", "feature", "ranges", "checkpoint"):
        shutil.rmtree(study.store.artefacts / kind, ignore_errors=True)
    before = sorted(study.store.folder.rglob("*"))
    numbers = everything_measured(study)
    assert verify(study.store, cell, tell=told).same
    assert sorted(study.store.folder.rglob("*")) == before
    assert everything_measured(study) == numbers


CHANGES = [
    "UPDATE evaluations SET nll = nll + 1e-15 WHERE noise_kind = 'keyboard'",
    "UPDATE label_evaluations SET correct = correct + 1 WHERE label_id = 2",
    "INSERT INTO label_evaluations SELECT cell_id, noise_kind, noise, noise_seed, 9, 1, 1, 1, 1"
    " FROM evaluations",
    "UPDATE predictions SET predicted = list_concat(predicted[1:3], [7], predicted[5:])"
    " WHERE noise_kind = 'none'",
    "UPDATE distributions SET ks = ks + 1e-12 WHERE quantity = 'activations'",
    "DELETE FROM distributions WHERE site LIKE 'lstm.%' AND quantity = 'weights'",
]


def test_every_change_of_a_stored_number_is_found(study, cell):
    """All at once, each told by name."""
    with study.store.writing() as con:
        for change in CHANGES:
            con.execute(change)
    found = verify(study.store, cell, tell=told)
    assert not found.same
    wrong = {one.what: one for one in found.comparisons if not one.same and one.numbers == 1}
    assert "evaluations, keyboard 0.1: nll" in wrong
    assert "evaluations, clean: nll" not in wrong
    assert "label_evaluations, clean: label 2 correct" in wrong
    assert "label_evaluations, keyboard 0.1: label 9 f1" in wrong
    assert wrong["label_evaluations, keyboard 0.1: label 9 f1"].measured == "absent"
    assert wrong["predictions, clean: document 3"].stored == 7
    assert not any(what.startswith("predictions, keyboard") for what in wrong)
    assert any(what.startswith("distributions, activations") for what in wrong)
    missing = [one for what, one in wrong.items() if what.startswith("distributions, weights")]
    assert missing and all(one.stored == "absent" for one in missing)
    assert len(missing) <= MOST_TOLD
    assert found.different >= len(wrong)


def test_what_was_not_measured_then_is_not_compared(study, cell):
    with study.store.writing() as con:
        con.execute("UPDATE distributions SET tail_p999 = NULL")
    assert verify(study.store, cell, tell=told).same


def test_levels_that_were_added_later_are_verified_too(study, cell):
    study.run(
        {"measure": {"noise": {"unk-match": [0.2]}}},
        where="model = 'discriminative' AND policy = 'random' AND bits = 3",
    )
    found = verify(study.store, cell, tell=told)
    assert found.same
    assert any(one.what.startswith("predictions, unk-match 0.2") for one in found.comparisons)


def test_a_lost_float_model_is_an_error_that_says_so(study, cell):
    key = study.one("SELECT model_key FROM models WHERE kind = 'discriminative'")
    (study.store.artefacts / "model" / f"{key}.json").unlink()
    with pytest.raises(StoreDamaged, match=rf"are lost: .* has no {key}.*calibkit recipe"):
        verify(study.store, cell, tell=told)


def test_the_weights_of_another_model_are_refused(study, cell):
    keys = dict(study.rows("SELECT kind, model_key FROM models"))
    notes = {kind: study.store.artefacts / "model" / f"{key}.json" for kind, key in keys.items()}
    notes["discriminative"].chmod(0o644)
    notes["discriminative"].write_bytes(notes["generative"].read_bytes())
    with pytest.raises(StoreDamaged, match="put that one back"):
        verify(study.store, cell, tell=told)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("UPDATE cells SET harness = 0", Infeasible, "by harness 0 on the device cpu"),
        ("UPDATE cells SET device = 'cuda'", Infeasible, "the device cuda"),
        ("UPDATE cells SET subset_id = 's1-other'", BadInput, "and not its subset"),
        ("DELETE FROM models", BadInput, "and not its float model"),
        ("DELETE FROM test_sets", BadInput, "and not its test set.*calibkit evaluate RECIPE"),
        ("UPDATE test_sets SET label_ids = [1]", Infeasible, "kinds of noise have changed"),
        ("UPDATE cells SET scheme = json_merge_patch(scheme, '{\"bits\": 5}')", BadInput,
         "not what its id was made from"),
        ("UPDATE documents SET text = text || ' x' WHERE split = 'train'", StoreDamaged,
         "are not those that the cell"),
    ],
)  # fmt: skip
def test_what_cannot_be_rebuilt_is_refused(study, cell, change, error, message):
    with study.store.writing() as con:
        con.execute(change)
    with pytest.raises(error, match=message):
        verify(study.store, cell, tell=told)


def test_cells_are_found_by_the_start_of_their_id(finished, cell):
    with pytest.raises(BadInput, match="no cell has an id that starts with 'x1-zz'"):
        verify(finished.store, "x1-zz", tell=told)
    with pytest.raises(BadInput, match="'x1-' may be the cell x1-.*say more of the id"):
        verify(finished.store, "x1-", tell=told)
