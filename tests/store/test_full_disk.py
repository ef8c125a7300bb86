"""Disk full, in earnest: a limit on file sizes, and where it may be mounted, a small file system.

The room grows from nothing until the action succeeds; each time before, the action says so, and
what is seen is before or after. Then there is room, and the same action completes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pytest
from acts_on_disk import CASES, Material, files_of
from failing_files import files_no_larger_than

from calibkit.corpora import staging
from calibkit.errors import StoreError
from calibkit.store import Store, merge, write_fragment
from calibkit.store.opening import wal_of

ROOMS = [0, 100, 4_000, 20_000, 400_000, 4_500_000, 9_000_000, 100_000_000]
SMALL = 120 << 20
ACTIONS = ["ingest", "fragment", "merge", "artefact", "new store", "older store", "backup"]


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own, of 120 MiB, in memory."""
    place = tmp_path_factory.mktemp("small")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system (tmpfs) is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@contextmanager
def room_of(folder: Path, room: int) -> Iterator[None]:
    """Fill the file system of ``folder`` with one file but for so many bytes."""
    free = shutil.disk_usage(folder).free
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - room))
    try:
        yield
    finally:
        filler.unlink()


Limit = Callable[[Path, int], AbstractContextManager[None]]


def grow(name: str, folder: Path, material: Material, limit: Limit) -> int:
    """Give more and more room until it is enough; return how often there was too little."""
    case = CASES[name]
    start, after = folder / "start", folder / "after"
    for path in (start, after):
        path.mkdir(parents=True)
        case.prepare(path, material)
    case.act(after, material)
    expected, names = case.state(after), set(map(Path, files_of(after)))
    shutil.rmtree(after)
    refused = 0
    for room in ROOMS:
        tried = folder / "tried"
        shutil.copytree(start, tried)
        before = case.state(tried) if name != "older store" else case.state(start)
        done = False
        with limit(tried, room):
            try:
                case.act(tried, material)
                done = True
            except StoreError as error:
                refused += 1
                assert "room" in str(error) or "run the same command again" in str(error)
        seen = case.state(tried)
        assert seen == expected if done else seen in (before, expected)
        left = {path.name for path in map(Path, files_of(tried)) if path.suffix == ".json"}
        assert left <= {path.name for path in names}
        if name != "backup" or seen == before:
            case.act(tried, material)
        assert case.state(tried) == expected
        assert not wal_of(tried / "s.duckdb").exists()
        shutil.rmtree(tried)
        if done:
            return refused
    raise AssertionError(f"{name} did not succeed with {ROOMS[-1]:,} bytes")


@pytest.mark.parametrize("name", ACTIONS)
def test_a_limit_on_file_sizes(name, tmp_path, material, told):
    refused = grow(name, tmp_path, material, lambda folder, room: files_no_larger_than(room))
    told(f"{name}: too little room {refused} times (limit on file sizes), told, nothing half-done")
    assert refused


@pytest.mark.parametrize("name", ACTIONS)
def test_a_small_disk(name, small_disk, material, told, monkeypatch):
    """What looks for free space first is told that there is enough: others fill the disk."""
    monkeypatch.setattr(Store, "require_space", lambda self, needed: None)
    monkeypatch.setattr("calibkit.store.backup._require_space", lambda *_: None)
    folder = small_disk / name.replace(" ", "-")
    refused = grow(name, folder, material, room_of)
    shutil.rmtree(folder)
    told(f"{name}: too little room {refused} times (tmpfs), told, nothing half-done")
    assert refused


def test_a_disk_with_little_room_is_refused_before_anything_is_written(small_disk, material):
    folder = small_disk / "little"
    folder.mkdir()
    CASES["merge"].prepare(folder, material)
    before = files_of(folder)
    with room_of(folder, 30 << 20), pytest.raises(StoreError, match="MB free and this needs about"):
        CASES["merge"].act(folder, material)
    assert files_of(folder) == before
    shutil.rmtree(folder)


def test_garbage_can_be_collected_on_a_disk_without_any_room(small_disk, material):
    from calibkit.sweep.collect import Wanted, collect

    folder = small_disk / "garbage"
    folder.mkdir()
    CASES["merge"].prepare(folder, material)
    CASES["merge"].act(folder, material)
    with room_of(folder, 0):
        assert len(collect(Store(folder / "s.duckdb"), Wanted(quarantine=True)).waste) == 4
    shutil.rmtree(folder)


def test_fragments_wait_until_the_file_itself_has_their_rows(fresh_store, made):
    """The log takes the rows and the file does not: a log that gets lost then loses nothing."""
    cells = [made.cell("random", seed, f"s1-{seed}", 0.8) for seed in range(5)]
    for cell in cells:
        write_fragment(fresh_store.fragments, cell.cell_id, made.payload(cell))
    size = fresh_store.path.stat().st_size
    with (
        files_no_larger_than(size),
        pytest.raises(StoreError, match=r"only in its write-ahead log.*run the same command again"),
    ):
        merge(fresh_store)
    assert wal_of(fresh_store.path).exists()
    assert len(list(fresh_store.fragments.glob("*.json"))) == 5
    wal_of(fresh_store.path).unlink()  # lost with the failing disk
    assert merge(fresh_store).cells == 5


def test_a_full_scratch_folder_is_told_with_the_way_out(fresh_store, tmp_path, monkeypatch):
    from calibkit.corpora.ingest import ingest

    def full(_self):
        raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    (tmp_path / "train.csv").write_text("text,label\nsea,a\nsky,b\n")
    monkeypatch.setattr(staging.Staging, "finish", full)
    with pytest.raises(StoreError, match=r"No space left.*Nothing was ingested.*TMPDIR"):
        ingest(fresh_store, "news", train=tmp_path / "train.csv")
