"""Policies that look through a cell's own float model: they work in a sweep, and it is told."""

import pytest

LOOK = {"size": [12], "bits": [8]}
POLICIES = {
    "missed": {"use": "miss-pmf", "bits": [3], "never_learned": "keep"},
    "close": {"use": "margin"},
}


def recipe(model):
    grid = LOOK | {"model": [model], "policy": list(POLICIES)}
    return {"policies": POLICIES | {"random": None, "stratified": None}, "grid": grid}


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_looking_is_told_once_and_then_read(kind, fresh, watched):
    report = fresh.run(recipe(kind), watcher=watched)
    assert (report.measured, report.failed) == (2, 0)
    notes = [note for note in watched.notes if note.startswith("looking at")]
    assert notes == [
        f"looking at 210 documents through {kind} 0: misses:3",
        f"looking at 210 documents through {kind} 0: margins",
    ]
    watched.notes.clear()
    again = recipe(kind)
    again["grid"] = again["grid"] | {"size": [12, 16]}
    report = fresh.run(again, watcher=watched)
    assert (report.measured, report.failed) == (2, 0)
    assert not [note for note in watched.notes if note.startswith("looking at")]


def test_training_again_brings_a_lost_checkpoint_back(study, watched):
    """What the message says to do is what helps: the same weights, and the checkpoints."""
    changes = recipe("discriminative")
    changes["grid"]["policy"] = ["missed"]
    ((key,),) = study.rows("SELECT model_key FROM models WHERE kind = 'discriminative'")
    (study.store.artefacts / "checkpoint" / f"{key}-002.json").unlink()
    report = study.run(changes, watcher=watched)
    assert (report.measured, report.failed) == (0, 1)
    (failure,) = watched.failures
    model = study.store.artefacts / "model" / f"{key}.json"
    assert "discriminative 0 after epoch 2 of 3" in failure
    assert f"move {model} away" in failure
    model.unlink()
    report = study.run(changes, watcher=watched)
    assert (report.measured, report.failed) == (1, 0)
