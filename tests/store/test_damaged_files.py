"""Cut short or with a bit flipped, whatever lies on the disk is refused: never a wrong number.

What is made of artefacts of every kind stands in tests/sweep/test_damaged_artefacts.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calibkit.errors import BadInput, StoreDamaged
from calibkit.store import Artefacts, Store, merge, query, write_fragment
from calibkit.store.merged import merged_waste
from calibkit.store.opening import wal_of
from calibkit.store.payloads import fragment_shapes, read_fragment

KILLED_AFTER_COMMIT = """
import os, sys
from calibkit.store import Store, connection, merge
commits = []
def commit(con, path):
    con.execute("COMMIT")
    commits.append(path)
    if len(commits) == 2:  # the first one only looks at the tables
        os.kill(os.getpid(), 9)
connection._commit = commit
merge(Store(sys.argv[1]))
"""
OPEN_DAMAGED = """
import json, shutil, sys
from pathlib import Path
from calibkit.errors import StoreDamaged, StoreError
from calibkit.store import Store, tables

def contents(path):
    store = Store(path, patience=0.1)
    with store.reading() as con:
        names = [one.name for one in tables(con)]
        return repr([con.execute(f'FROM "{name}" ORDER BY ALL').fetchall() for name in names])

source, part, folder = map(Path, sys.argv[1:4])
wanted = [contents(source)]
if part.suffix == ".wal":
    before = folder / "before.duckdb"
    shutil.copy(source, before)
    wanted.append(contents(before))
assert len(set(wanted)) == len(wanted)
data = part.read_bytes()
for line in sys.stdin:
    how, place, bit = json.loads(line)
    damaged = bytearray(data[:place] if how == "cut" else data)
    if how == "flip":
        damaged[place] ^= 1 << bit
    trial = folder / "trial"
    trial.mkdir()
    for one in (source, Path(f"{source}.wal")):
        if one.exists():
            shutil.copy(one, trial / one.name)
    (trial / part.name).write_bytes(damaged)
    try:
        found = contents(trial / source.name)
        said = "whole" if found == wanted[0] else "as before" if found in wanted else "WRONG"
    except StoreError as error:
        told = ("damaged", "cannot be opened", "so it is no calibkit store", "newer DuckDB")
        said = "refused" if any(text in str(error) for text in told) else f"UNCLEAR {error}"
    except Exception as error:
        said = f"RAW {type(error).__name__} {error}"
    shutil.rmtree(trial)
    print(said, flush=True)
"""


@pytest.fixture
def filled(fresh_store: Store, made) -> Store:
    made.fill(fresh_store, [made.cell("random", s, f"s1-{s}", 0.8 + s / 100) for s in range(6)])
    return fresh_store


@pytest.fixture
def committed(fresh_store: Store, made, python) -> Store:
    """A store whose writer was killed after its commit: rows are in the log, not in the file."""
    cells = [made.cell("random", s, f"s1-{s}", 0.8 + s / 100) for s in range(6)]
    made.plan(fresh_store, cells)
    for cell in cells:
        write_fragment(fresh_store.fragments, cell.cell_id, made.payload(cell))
    assert python(KILLED_AFTER_COMMIT, fresh_store.path).wait() == -9
    assert wal_of(fresh_store.path).stat().st_size > 1000
    return fresh_store


def damages(size: int, flips: int, cuts: int, head: int) -> Iterator[tuple[str, int, int]]:
    """Yield cuts and flips all over a file of this size, and more of them in its head."""
    for place in np.linspace(0, size - 1, cuts).astype(int).tolist():
        yield "cut", place, 0
    places = [*np.linspace(0, head, flips // 3), *np.linspace(head, size - 1, flips - flips // 3)]
    for number, place in enumerate(places):
        yield "flip", int(place), number % 8


def opened(python, store: Store, part: Path, folder: Path, tried: list) -> Counter[str]:
    process = python(OPEN_DAMAGED, store.path, part, folder)
    lines = "".join(json.dumps(one) + "\n" for one in tried)
    output, errors = process.communicate(lines)
    said = output.splitlines()
    assert len(said) == len(tried), errors
    assert {one for one in said} <= {"whole", "as before", "refused"}, said
    return Counter(said)


def test_a_damaged_store_file_is_refused_or_not_concerned(filled, python, tmp_path, told):
    tried = list(damages(filled.path.stat().st_size, flips=60, cuts=20, head=12288))
    said = opened(python, filled, filled.path, tmp_path, tried)
    told(
        f"store file: {len(tried)} damages: {said['refused']} refused, {said['whole']} in blocks "
        "that hold nothing, 0 wrong numbers"
    )
    assert said["refused"] > 20 and not said["as before"]


def test_a_damaged_log_is_refused_or_gives_the_state_before_it(committed, python, tmp_path, told):
    log = wal_of(committed.path)
    tried = list(damages(log.stat().st_size, flips=45, cuts=15, head=200))
    said = opened(python, committed, log, tmp_path, tried)
    told(
        f"write-ahead log: {len(tried)} damages: {said['refused']} refused, {said['as before']} as "
        f"before the commit, {said['whole']} without effect, 0 wrong numbers"
    )
    assert said["refused"] > 20 and said["as before"]


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_what_a_damaged_log_held_is_merged_again(committed, how):
    """The fragments go only when the file itself has their rows."""
    log = wal_of(committed.path)
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 4
    log.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    if how == "flip":
        with pytest.raises(StoreDamaged, match="Nothing was deleted.*copied to"):
            merge(committed)
        for part in (log, committed.path):  # as the message says
            part.rename(part.with_name(f"{part.name}.away"))
    assert merge(committed).cells == 6
    assert query(committed, "SELECT count(*) FROM cells").rows == [(6,)]


def test_every_damaged_byte_of_a_fragment_is_found(fresh_store, made, told):
    path = write_fragment(
        fresh_store.fragments, "f1-a", made.payload(made.cell("random", 0, "s1-0", 0.8125))
    )
    with fresh_store.reading() as con:
        shapes = fragment_shapes(con)
    assert read_fragment(path, shapes).rows["evaluations"][0]["accuracy"] == "0.8125"
    data = path.read_bytes()
    tried = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        for content in (bytes(damaged), data[:place]):
            path.write_bytes(content)
            with pytest.raises(BadInput):
                read_fragment(path, shapes)
            tried += 1
    told(f"fragment: {tried:,} damages, one at each byte: {tried:,} refused")


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_damaged_fragments_that_wait_are_quarantined_and_those_merged_stay_out(
    fresh_store, made, tmp_path, how
):
    cells = [made.cell("random", s, f"s1-{s}", 0.8125) for s in range(3)]
    paths = [write_fragment(fresh_store.fragments, c.cell_id, made.payload(c)) for c in cells]

    def damage(path: Path) -> None:
        data = path.read_bytes()
        other = data[: len(data) // 2] if how == "cut" else data.replace(b"0.8125", b"0.8175", 1)
        path.write_bytes(other)

    damage(paths[0])
    report = merge(fresh_store)
    assert report.cells == 2
    (told,) = report.quarantined
    assert ("sha256" if how == "flip" else "no complete JSON") in told
    where = "WHERE noise = 0 ORDER BY ALL"
    right = query(fresh_store, f"SELECT accuracy FROM evaluations {where}").rows
    assert right == [(0.8125,), (0.8125,)]
    damage(fresh_store.merged / paths[1].name)
    other = Store(tmp_path / "other.duckdb")
    report = merge(other, fresh_store.merged)
    assert (report.cells, len(report.quarantined)) == (1, 1)
    assert query(other, f"SELECT accuracy FROM evaluations {where}").rows == right[:1]
    waste, left = merged_waste(fresh_store)
    assert [one.path.name for one in waste] == [paths[2].name]
    assert paths[1].name in left[0]


@pytest.mark.parametrize("read", ["load", "mapped"])
def test_every_damaged_byte_of_an_artefact_is_found(tmp_path, read, told):
    shelf = Artefacts(tmp_path / "s.d" / "artefacts")
    tensors = {"weight": np.arange(12, dtype=np.float32)}
    saved = shelf.save("model", "k1-a", tensors, {"epochs": 5, "rate": 0.25})
    files = {path: path.read_bytes() for path in (shelf.root / "model").iterdir()}
    tried: Counter[str] = Counter()
    for path, data in files.items():
        for place in range(len(data)):
            damaged = bytearray(data)
            damaged[place] ^= 1 << (place % 8)
            for content in (bytes(damaged), data[:place]):
                for one, whole in files.items():
                    if one.exists():
                        one.chmod(0o644)
                    one.write_bytes(content if one == path else whole)
                try:
                    found = getattr(shelf, read)("model", "k1-a")
                except StoreDamaged as error:
                    assert "run the same command again to make it anew" in str(error)
                    tried["refused"] += 1
                else:  # a blank between words of JSON
                    assert found.config == saved.config and found.sha256 == saved.sha256
                    assert np.array_equal(found.tensors["weight"], tensors["weight"])
                    tried["without effect"] += 1
    told(
        f"artefact ({read}): {tried.total():,} damages, one at each byte: {tried['refused']:,} "
        f"refused, {tried['without effect']} between words of JSON, 0 wrong numbers"
    )
    assert tried["without effect"] < tried["refused"] / 20
