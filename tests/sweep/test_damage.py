"""A flipped bit on the disk is found, told, and made good; it never becomes a number."""

import pytest

from calibkit.errors import StoreDamaged

NEW_CELL = {
    "grid": {"model": ["discriminative"], "policy": ["random"], "bits": [8, 3, 4]},
}
"""Two of the three are there."""


def flip_a_bit(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def files(study, kind, suffix):
    return sorted((study.store.artefacts / kind).glob(f"*.{suffix}"))


@pytest.fixture(scope="module")
def at_4_bits(finished, tmp_path_factory, everything_measured):
    """What an undamaged store gives."""
    study = finished.copy(tmp_path_factory.mktemp("whole") / "study")
    study.run(NEW_CELL)
    return everything_measured(study)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("kind", ["tokens", "model", "vocabulary"])
def test_every_damaged_artefact_is_made_anew_in_the_same_run(
    study, at_4_bits, everything_measured, kind, suffix, caplog, watched
):
    damaged = files(study, kind, suffix)
    assert damaged
    for path in damaged:
        flip_a_bit(path)
    report = study.run(NEW_CELL, watcher=watched)
    assert (report.measured, report.done, report.failed) == (1, 3, 0)
    assert everything_measured(study) == at_4_bits
    told = " ".join([*caplog.messages, *watched.notes])
    assert "is damaged" in told
    assert "anew" in told
    assert len(list(study.store.quarantine.iterdir())) >= 1
    assert study.rows("FROM conflicts") == []


@pytest.mark.parametrize("kind", ["tokens", "model", "vocabulary", "checkpoint"])
def test_lost_artefacts_are_made_anew(study, at_4_bits, everything_measured, kind):
    for path in [*files(study, kind, "safetensors"), *files(study, kind, "json")]:
        path.unlink()
    assert study.run(NEW_CELL).done == 3
    assert everything_measured(study) == at_4_bits


def test_features_that_are_damaged_are_computed_anew(study):
    covering = {
        "policies": {"cover": {"use": "k-center"}},
        "grid": {"model": ["discriminative"], "policy": ["cover"], "seed": [0], "bits": [8]},
    }
    study.run(covering)
    (path,) = files(study, "feature", "safetensors")
    flip_a_bit(path)
    assert study.run(covering, {"grid": {"seed": [0, 1]}}).done == 2


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
