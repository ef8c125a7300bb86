"""Every kind of artefact, cut short and with a bit flipped: made anew, or refused with the way out.

The kinds come from the code, so that one without a case here is noticed.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import calibkit
from calibkit.sweep.collect import OF_STREAMS, REMADE, TRAINED

RICH: dict[str, Any] = {
    "quantize": {"preset": "paper"},  # Brevitas's own observer: ranges
    "policies": {
        "random": None,
        "stratified": None,
        "cover": {"use": "k-center"},  # features of words
        "missed": {"use": "miss-pmf", "bits": [3], "never_learned": "keep"},  # checkpoints
    },
    "grid": {"model": ["discriminative"], "policy": ["cover", "missed"], "bits": [8]},
    "measure": {"card": "model", "noise": None, "distributions": ["token-nll"]},
}
MORE = {"grid": {"seed": [0, 1], "bits": [8, 4]}}
WHERE = "seed = 1 AND bits = 8 OR seed = 0 AND bits = 4 AND policy = 'cover'"
"""Three cells more: new subsets, and a second one of a subset that is there."""

PLACES = {
    "artefacts": "here, by kind, and byte by byte in tests/store/test_damaged_files.py",
    "fragments": "tests/store/test_damaged_files.py",
    "merged": "tests/store/test_damaged_files.py",
    "in-use": "locks: no content",
    "live": "what `watch` shows of a run; no number of a result is read from there",
}
"""What a sweep leaves in ``FILE.d``, and where it is damaged."""


@pytest.fixture(scope="module")
def rich(ingested, tmp_path_factory):
    """A study that has artefacts of every kind; never to be changed."""
    study = ingested.copy(tmp_path_factory.mktemp("rich") / "study")
    report = study.run(RICH)
    assert (report.measured, report.failed) == (2, 0)
    return study


@pytest.fixture(scope="module")
def expected(rich, tmp_path_factory, everything_measured):
    """What more of it measures where nothing is damaged."""
    study = rich.copy(tmp_path_factory.mktemp("whole") / "study")
    report = study.run(RICH, MORE, where=WHERE)
    assert (report.measured, report.failed) == (3, 0)
    return everything_measured(study)


def kinds_of(study) -> set[str]:
    return {path.name for path in study.store.artefacts.iterdir()}


def kinds_in_code() -> set[str]:
    """Return every literal kind of artefact that something is kept, saved, loaded or locked as."""
    found = set()
    for path in Path(calibkit.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            place = {"kept": 1, "made_once": 1, "save": 0, "load": 0, "mapped": 0}.get(name)
            if place is None or len(call.args) < place + 2:
                continue
            kind = call.args[place]
            if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                found.add(kind.value)
    return found


def test_every_kind_of_artefact_has_its_case(rich):
    assert kinds_in_code() - set(OF_STREAMS) == set(TRAINED + REMADE)
    assert kinds_of(rich) == set(TRAINED + REMADE)


def test_every_place_of_a_store_has_its_case(rich):
    assert {path.name for path in rich.store.folder.iterdir()} <= set(PLACES)


def damage(path: Path, how: str) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 0x10
    path.write_bytes(data[: len(data) // 2] if how == "cut" else data)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_what_is_damaged_is_made_anew_in_the_same_run(
    rich, expected, everything_measured, tmp_path, how, suffix, caplog, watched, told
):
    study = rich.copy(tmp_path / "study")
    damaged = sorted(study.store.artefacts.glob(f"*/[!.]*.{suffix}"))
    assert {path.parent.name for path in damaged} == kinds_of(rich)
    for path in damaged:
        damage(path, how)
    report = study.run(RICH, MORE, where=WHERE, watcher=watched)
    assert (report.measured, report.done, report.failed) == (3, 5, 0)
    assert everything_measured(study) == expected
    assert study.rows("FROM conflicts") == []
    said = " ".join([*caplog.messages, *watched.notes])
    found = {path.name.partition("-")[0] for path in study.store.quarantine.iterdir()}
    assert found == kinds_of(rich)
    for kind in found:
        assert f"the {kind} artefact" in said
    assert "is damaged" in said and "anew" in said
    told(
        f"artefacts, {suffix} files, {how}: {len(damaged)} damaged, of {len(kinds_of(rich))} kinds;"
        " all made anew in the same run, every table as undisturbed"
    )


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_checkpoint_is_refused_and_what_is_said_helps(
    rich, expected, everything_measured, tmp_path, how
):
    """The weights after an epoch cannot be made anew alone: cells that need them fail."""
    study = rich.copy(tmp_path / "study")
    for path in (study.store.artefacts / "feature").iterdir():
        path.unlink()
    for path in (study.store.artefacts / "checkpoint").glob("*.safetensors"):
        damage(path, how)
    report = study.run(RICH, MORE, where=WHERE)
    assert (report.measured, report.failed) == (2, 1)
    ((message, key),) = study.rows("SELECT message, model_key FROM failed, models")
    assert "checkpoint artefact" in message and "is damaged" in message
    assert f"model/{key}.json away and evaluate the model's recipe again" in message
    (study.store.artefacts / "model" / f"{key}.json").unlink()
    assert study.run(RICH, MORE, where=WHERE).done == 5
    assert everything_measured(study) == expected
