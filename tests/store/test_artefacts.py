from __future__ import annotations

import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from calibkit.errors import BadInput, StoreBusy, StoreDamaged, StoreError
from calibkit.store import Artefacts

READ = """
import sys
from pathlib import Path
from calibkit.errors import CalibkitError
from calibkit.store.artefacts import Artefacts
try:
    artefact = Artefacts(Path(sys.argv[1])).load("model", "k1-a")
    print(sorted(artefact.tensors), artefact.config)
except CalibkitError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def artefacts(tmp_path):
    return Artefacts(tmp_path / "s.duckdb.d" / "artefacts")


@pytest.fixture
def tensors():
    return {
        "weight": np.arange(600, dtype=np.float32).reshape(20, 30) / 7,
        "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "scalar": np.array(0.5),
        "codes": np.array([1, -2], dtype=np.int8),
    }


def read_elsewhere(artefacts):
    return subprocess.run(
        [sys.executable, "-c", READ, str(artefacts.root)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_saved_is_loaded(artefacts, tensors):
    config = {"kind": "generative", "epochs": np.int64(5), "rate": 1.0, "sites": ("a", "b")}
    assert not artefacts.has("model", "k1-a")
    saved = artefacts.save("model", "k1-a", tensors, config)
    assert artefacts.has("model", "k1-a")
    loaded = artefacts.load("model", "k1-a")
    assert loaded.config == {"kind": "generative", "epochs": 5, "rate": 1.0, "sites": ["a", "b"]}
    assert isinstance(loaded.config["rate"], float)
    assert loaded.sha256 == saved.sha256
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert loaded.tensors[name].shape == tensor.shape
        assert np.array_equal(loaded.tensors[name], tensor)
        loaded.tensors[name][...] = 0  # the caller's own


def test_files_are_named_by_content_and_read_only(artefacts, tensors):
    one = artefacts.save("model", "k1-a", tensors, {})
    two = artefacts.save("model", "k1-b", tensors, {"other": 1})
    assert one.sha256 == two.sha256
    files = sorted(p.name for p in (artefacts.root / "model").iterdir())
    assert files == sorted([f"{one.sha256}.safetensors", "k1-a.json", "k1-b.json"])
    for path in (artefacts.root / "model").iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o222


def test_saving_again_is_fine_and_overwriting_is_not(artefacts, tensors):
    artefacts.save("model", "k1-a", tensors, {"a": 1})
    artefacts.save("model", "k1-a", tensors, {"a": 1})
    with pytest.raises(StoreError, match="never overwritten"):
        artefacts.save("model", "k1-a", tensors, {"a": 2})
    with pytest.raises(StoreError, match="never overwritten"):
        artefacts.save("model", "k1-a", {"weight": tensors["weight"] + 1}, {"a": 1})
    assert np.array_equal(artefacts.load("model", "k1-a").tensors["weight"], tensors["weight"])


@pytest.mark.parametrize("position", ["header", "middle", "last"])
def test_a_flipped_bit_is_found_and_set_aside(artefacts, tensors, position):
    sha = artefacts.save("model", "k1-a", tensors, {}).sha256
    assert "weight" in read_elsewhere(artefacts)
    path = artefacts.root / "model" / f"{sha}.safetensors"
    data = bytearray(path.read_bytes())
    data[{"header": 12, "middle": len(data) // 2, "last": -1}[position]] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    said = read_elsewhere(artefacts)
    assert said.startswith("StoreDamaged")
    assert "run the same command again" in said
    assert not artefacts.has("model", "k1-a")
    quarantined = list((artefacts.root.parent / "quarantine").rglob("*.safetensors"))
    assert [p.read_bytes() for p in quarantined] == [bytes(data)]
    artefacts.save("model", "k1-a", tensors, {})  # and it can be made anew
    assert "weight" in read_elsewhere(artefacts)


def test_a_file_that_changes_under_this_process_is_found(artefacts, tensors):
    sha = artefacts.save("model", "k1-a", tensors, {}).sha256
    path = artefacts.root / "model" / f"{sha}.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreDamaged, match="sha256"):
        artefacts.load("model", "k1-a")


@pytest.mark.parametrize("damage", ["torn", "config", "escape", "gone"])
def test_a_damaged_note_is_set_aside(artefacts, tensors, damage):
    sha = artefacts.save("model", "k1-a", tensors, {"epochs": 5}).sha256
    note = artefacts.root / "model" / "k1-a.json"
    text = note.read_text()
    note.chmod(0o644)
    if damage == "torn":
        note.write_text(text[:40])
    elif damage == "config":
        note.write_text(text.replace('"epochs": 5', '"epochs": 6'))
    elif damage == "escape":
        note.write_text(text.replace(f"{sha}.safetensors", "../../../secret"))
    else:
        (note.parent / f"{sha}.safetensors").unlink()
    with pytest.raises(StoreDamaged, match="moved to"):
        artefacts.load("model", "k1-a")
    assert not artefacts.has("model", "k1-a")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".x", "a\n", "x" * 300])
def test_unsafe_names_are_refused(artefacts, name):
    for kind, key in ((name, "k"), ("model", name)):
        with pytest.raises(BadInput, match="file name"):
            artefacts.load(kind, key)
    assert not artefacts.root.exists()


def test_missing_and_unsayable(artefacts, tensors):
    with pytest.raises(BadInput, match="there is no model artefact k1-z"):
        artefacts.load("model", "k1-z")
    with pytest.raises(BadInput, match="cannot be JSON"):
        artefacts.save("model", "k1-a", tensors, {"loss": float("nan")})
    assert not artefacts.has("model", "k1-a")


def test_one_maker_at_a_time(artefacts):
    order = []

    def make():
        with artefacts.lock("model", "k1-a"):
            order.append("second")

    with artefacts.lock("model", "k1-a"):
        thread = threading.Thread(target=make)
        thread.start()
        with artefacts.lock("model", "k1-b"):
            order.append("first")
        with (
            pytest.raises(StoreBusy, match="k1-c"),
            artefacts.lock("model", "k1-c"),
        ):
            other = threading.Thread(target=lambda: None)
            other.start()
            other.join()
            with artefacts.lock("model", "k1-c", patience=0.05):
                order.append("never")
    thread.join()
    assert order == ["first", "second"]


def test_mapped_arrays_are_those_that_were_kept_and_cannot_be_written_to(tmp_path):
    shelf = Artefacts(tmp_path / "artefacts")
    kept = {
        **{name: np.arange(6).reshape(2, 3).astype(name) for name in ("f4", "f8", "f2", "i8")},
        **{name: np.arange(6).astype(name) for name in ("u1", "i1", "u4", "i2", "u8", "?")},
        "nothing": np.empty((0, 4), np.float32),
        "number": np.float64(2.5),
    }
    shelf.save("feature", "one", kept, {"a": 1})
    found = shelf.mapped("feature", "one")
    assert found.config == {"a": 1} and found.sha256 == shelf.load("feature", "one").sha256
    assert found.tensors.keys() == kept.keys()
    for name, expected in shelf.load("feature", "one").tensors.items():
        array = found.tensors[name]
        assert array.dtype == expected.dtype and array.shape == expected.shape, name
        assert np.array_equal(array, expected), name
        assert not array.flags.writeable, name


def test_a_mapped_artefact_is_checked_like_any_other(tmp_path):
    shelf = Artefacts(tmp_path / "artefacts")
    shelf.save("feature", "one", {"rows": np.arange(1000.0)}, {})
    (file,) = (tmp_path / "artefacts" / "feature").glob("*.safetensors")
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(StoreDamaged, match="sha256 is not what was written"):
        shelf.mapped("feature", "one")
    with pytest.raises(BadInput, match="there is no feature artefact one"):
        shelf.mapped("feature", "one")
