"""What is lost is made good, or refused where it does not come back the same.

What is damaged: test_damaged_artefacts.py.
"""

import pytest

from calibkit.errors import StoreDamaged

NEW_CELL = {
    "grid": {"model": ["discriminative"], "policy": ["random"], "bits": [8, 3, 4]},
}
"""Two of the three are there."""


def files(study, kind, suffix):
    return sorted((study.store.artefacts / kind).glob(f"*.{suffix}"))


@pytest.fixture(scope="module")
def at_4_bits(finished, tmp_path_factory, everything_measured):
    """What an undamaged store gives."""
    study = finished.copy(tmp_path_factory.mktemp("whole") / "study")
    study.run(NEW_CELL)
    return everything_measured(study)


@pytest.mark.parametrize("kind", ["tokens", "model", "vocabulary", "checkpoint"])
def test_lost_artefacts_are_made_anew(study, at_4_bits, everything_measured, kind):
    for path in [*files(study, kind, "safetensors"), *files(study, kind, "json")]:
        path.unlink()
    assert study.run(NEW_CELL).done == 3
    assert everything_measured(study) == at_4_bits


def test_a_model_that_does_not_come_back_the_same_is_refused(study, monkeypatch):
    from calibkit.sweep import worker

    for path in files(study, "model", "json"):
        path.unlink()
    real = worker.train

    def on_another_machine(settings, *rest, **options):
        done = real(settings, *rest, **options)
        with worker.torch.no_grad():
            next(iter(done.model.parameters())).add_(1e-6)
        return done

    monkeypatch.setattr(worker, "train", on_another_machine)
    report = study.run(NEW_CELL)
    assert (report.measured, report.failed, report.done) == (0, 1, 2)
    stage, error, message = study.rows("SELECT stage, error_type, message FROM failed")[0]
    assert (stage, error) == ("model", "StoreDamaged")
    assert "training it again gave other weights" in message
    assert "measure into a new store" in message
    monkeypatch.undo()
    assert study.run(NEW_CELL).done == 3


def test_the_artefact_of_another_model_is_refused(study):
    keys = dict(study.rows("SELECT kind, model_key FROM models"))
    notes = {kind: study.store.artefacts / "model" / f"{key}.json" for kind, key in keys.items()}
    notes["generative"].chmod(0o644)
    notes["generative"].write_bytes(notes["discriminative"].read_bytes())
    with pytest.raises(StoreDamaged, match=r"holds the float model m1-.*measured with m1-"):
        study.run({"grid": {"bits": [4]}})
    assert study.one("SELECT count(*) FROM cells") == 8
