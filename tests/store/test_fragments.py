"""Results arrive whole, once, and the same after any kill."""

from __future__ import annotations

import json
import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.store import (
    Store,
    merge,
    pack_predictions,
    query,
    unpack_predictions,
    write_fragment,
)

TABLES = ["cells", "evaluations", "predictions", "label_evaluations", "distributions", "plan_cells"]


def contents(store):
    return {t: sorted(map(repr, query(store, f"FROM {t}").rows)) for t in [*TABLES, "conflicts"]}


@pytest.fixture
def store(fresh_store):
    return fresh_store


@pytest.fixture
def cells(made):
    return [made.cell("random", s, f"s1-{s}", 0.8 + s / 1000, 0.7) for s in range(12)]


def put(store, made, cells):
    for cell in cells:
        write_fragment(store.fragments, cell.cell_id, made.payload(cell))


@pytest.mark.smoke
def test_merging_fills_the_tables_and_moves_the_files(store, made, cells):
    put(store, made, cells)
    report = merge(store)
    assert (report.cells, report.evaluations, report.fragments) == (12, 24, 12)
    assert (report.conflicts, report.quarantined) == ((), ())
    assert list(store.fragments.iterdir()) == []
    assert len(list(store.merged.iterdir())) == 12
    table = query(store, "SELECT predicted FROM predictions LIMIT 1")
    assert table.types == ("USMALLINT[]",)
    assert table.rows == [([0, 1, 1, 0, 1, 0, 0, 2],)]


def test_merging_nothing_makes_no_store(tmp_path):
    store = Store(tmp_path / "none.duckdb")
    assert merge(store).fragments == 0
    assert not store.exists()


@pytest.mark.smoke
def test_merging_again_changes_nothing(store, made, cells):
    put(store, made, cells)
    merge(store)
    before = contents(store)
    put(store, made, cells)
    report = merge(store)
    assert (report.cells, report.evaluations, report.conflicts) == (0, 0, ())
    assert contents(store) == before
    assert len(list(store.merged.iterdir())) == 12


def test_a_lost_store_is_filled_again_from_merged(store, made, cells, tmp_path):
    put(store, made, cells)
    merge(store)
    other = Store(tmp_path / "other.duckdb")
    merge(other, store.merged)
    assert contents(other) == contents(store)
    assert len(list(store.merged.iterdir())) == 12  # a foreign folder is left as it is


def test_order_and_batches_do_not_matter(store, made, cells, tmp_path, monkeypatch):
    put(store, made, cells)
    merge(store)
    other = Store(tmp_path / "other.duckdb")
    monkeypatch.setattr("calibkit.store.fragments._BYTES_AT_ONCE", 5000)
    for cell in reversed(cells):
        put(other, made, [cell])
        if cell.seed % 4 == 0:
            merge(other)
    merge(other)
    assert contents(other) == contents(store)


def test_times_and_hosts_are_no_conflict(store, made, cells):
    put(store, made, cells[:1])
    merge(store)
    payload = made.payload(cells[0], seconds=99.0)
    payload["rows"]["cells"][0].update(
        seconds=99.0, host="there", run_id="n1-other", peak_mb=1.0, measured_at="2026-01-01"
    )
    write_fragment(store.fragments, cells[0].cell_id, payload)
    report = merge(store)
    assert report.conflicts == ()
    assert query(store, "SELECT host, seconds FROM cells").rows == [("here", 3.0)]


@pytest.mark.smoke
def test_other_numbers_for_the_same_key_are_a_conflict(store, made, cells, caplog):
    put(store, made, cells[:2])
    merge(store)
    before = contents(store)
    payload = made.payload(cells[0], accuracy=0.5, nll=float("nan"))
    payload["rows"]["predictions"][0]["predicted"] = pack_predictions([9] * 8)
    payload["rows"]["distributions"].append(
        {"cell_id": cells[0].cell_id, "quantity": "weights", "site": "new", "pair": "a", "ks": 0.5}
    )
    for _ in range(2):
        write_fragment(store.fragments, cells[0].cell_id, payload)
        report = merge(store)
        assert len(report.conflicts) == 3  # two levels of accuracy, one prediction
        assert all(cells[0].cell_id in text for text in report.conflicts)
    assert any("deterministic" in record.message for record in caplog.records)
    after = contents(store)
    assert len(after["conflicts"]) == 3  # seen twice, recorded once
    assert len(after["distributions"]) == len(before["distributions"]) + 1
    for table in ("evaluations", "predictions"):
        assert after[table] == before[table]
    (stored, offered) = query(
        store, "SELECT stored, offered FROM conflicts WHERE table_name = 'evaluations' LIMIT 1"
    ).rows[0]
    assert json.loads(stored) == {"accuracy": 0.8, "nll": pytest.approx(1.2)}
    assert json.loads(offered) == {"accuracy": 0.5, "nll": "nan"}
    assert (store.quarantine / f"{cells[0].cell_id}.json").exists()
    assert list(store.fragments.iterdir()) == []


def test_a_conflict_between_two_waiting_fragments_is_seen(store, made, cells):
    write_fragment(store.fragments, "a", made.payload(cells[0]))
    write_fragment(store.fragments, "b", made.payload(cells[0], accuracy=0.5))
    report = merge(store)
    assert len(report.conflicts) == 2
    assert query(store, "SELECT accuracy FROM evaluations WHERE noise = 0").rows == [(0.8,)]
    assert [p.name for p in store.merged.iterdir()] == ["a.json"]


def test_nan_is_equal_to_nan(store, made, cells):
    for _ in range(2):
        write_fragment(store.fragments, "a", made.payload(cells[0], nll=float("nan")))
        assert merge(store).conflicts == ()


def test_what_was_not_measured_is_no_conflict(store, made, cells):
    put(store, made, cells[:1])
    merge(store)
    payload = made.payload(cells[0])
    payload["rows"]["evaluations"][0]["nll"] = None
    del payload["rows"]["evaluations"][0]["mean_abs_h"]
    write_fragment(store.fragments, "again", payload)
    assert merge(store).conflicts == ()


def broken(made, cell):
    """Name -> the bytes of a fragment that must not get in, and what is said about it."""

    def changed(**rows):
        payload = made.payload(cell)
        payload["rows"].update(rows)
        return json.dumps(payload).encode()

    whole = json.dumps(made.payload(cell)).encode()
    me = {"cell_id": cell.cell_id, "noise_kind": "keyboard", "noise": 0.1, "noise_seed": 0}
    return {
        "torn": (whole[: len(whole) // 2], "JSON"),
        "empty": (b"", "JSON"),
        "binary": (b"\x00\xff\xfe" * 50, "JSON"),
        "deep": (b"[" * 200_000, "JSON"),
        "list": (b"[]", "version 1"),
        "later": (b'{"fragment": 2, "kind": "cell", "rows": {}}', "version 1"),
        "kind": (b'{"fragment": 1, "kind": "gift", "rows": {}}', "kind"),
        "table": (changed(celz=[{"a": 1}]), "celz"),
        "meta": (changed(meta=[{"key": "schema_version", "value": "9"}]), "meta"),
        "documents": (changed(documents=[{"doc_id": "d"}]), "documents"),
        "column": (changed(evaluations=[{**me, "acuracy": 1}]), "did you mean 'accuracy'"),
        "key": (changed(evaluations=[{"cell_id": "x", "accuracy": 1}]), "noise_kind"),
        "type": (changed(evaluations=[{**me, "accuracy": "much"}]), "much"),
        "fraction": (changed(evaluations=[{**me, "documents": 1.5}]), "whole number"),
        "clean": (changed(evaluations=[{**me, "noise": 0}]), "CHECK"),
        "predicted": (changed(predictions=[{**me, "predicted": "!!"}]), "base64"),
        "rows": (changed(evaluations={"a": 1}), "list of mappings"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "torn",
        "empty",
        "binary",
        "deep",
        "list",
        "later",
        "kind",
        "table",
        "meta",
        "documents",
        "column",
        "key",
        "type",
        "fraction",
        "clean",
        "predicted",
        "rows",
    ],
)
def test_a_bad_fragment_is_set_aside_with_the_reason_and_the_others_merge(store, made, cells, name):
    put(store, made, cells[1:4])
    data, said = broken(made, cells[0])[name]
    (store.fragments / "bad.json").write_bytes(data)
    report = merge(store)
    assert report.cells == 3
    assert len(report.quarantined) == 1
    assert report.quarantined[0].startswith("bad.json: ")
    assert said in report.quarantined[0]
    assert (store.quarantine / "bad.json").read_bytes() == data
    assert said in (store.quarantine / "bad.reason.txt").read_text()
    assert list(store.fragments.iterdir()) == []
    where = f"WHERE cell_id = '{cells[0].cell_id}'"
    assert query(store, f"SELECT count(*) FROM evaluations {where}").rows == [(0,)]


def test_half_written_fragments_are_not_seen(store, made, cells):
    put(store, made, cells[:1])
    hidden = store.fragments / ".x1-late.json.host.1.tmp"
    hidden.write_text("{")
    assert merge(store).fragments == 1
    assert hidden.exists()


def test_two_plans_of_one_cell_lose_nothing(store, made):
    a, b = (made.cell("k-center", seed, "s1-same", 0.8) for seed in (0, 1))
    first = write_fragment(store.fragments, a.cell_id, made.payload(a))
    second = write_fragment(store.fragments, b.cell_id, made.payload(b))
    assert first != second
    assert write_fragment(store.fragments, b.cell_id, made.payload(a)) == first
    merge(store)
    assert query(store, "SELECT count(*) FROM plan_cells").rows == [(2,)]
    assert query(store, "SELECT count(*) FROM cells").rows == [(1,)]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\0", "x" * 200, "a b"])
def test_unsafe_names_are_refused(store, name):
    with pytest.raises(BadInput, match="file name"):
        write_fragment(store.fragments, name, {"fragment": 1, "kind": "cell", "rows": {}})


def test_payload_form_and_numpy_values(store):
    with pytest.raises(BadInput, match="kind"):
        write_fragment(store.fragments, "a", {"fragment": 1, "kind": "gift", "rows": {}})
    with pytest.raises(BadInput, match="cannot be stored"):
        write_fragment(store.fragments, "a", {"fragment": 1, "kind": "cell", "rows": {1, 2}})
    row = {
        "test_id": "t1",
        "documents": np.int64(2),
        "share": np.float32(0.5),
        "doc_ids": ['d1-"a', "d,2"],
        "label_ids": np.array([1, 65535], dtype=np.uint16),
    }
    payload = {"fragment": 1, "kind": "note", "rows": {"test_sets": [row]}}
    write_fragment(store.fragments, "a", payload)
    assert merge(store).quarantined == ()
    assert query(store, "SELECT documents, share, doc_ids, label_ids FROM test_sets").rows == [
        (2, 0.5, ['d1-"a', "d,2"], [1, 65535])
    ]


@given(st.lists(st.integers(0, 65535)))
@settings(max_examples=50)
def test_predictions_survive_packing(ids):
    assert unpack_predictions(pack_predictions(np.array(ids, dtype=np.int64))) == ids


def test_predictions_out_of_range_are_refused():
    for bad in ([-1], [65536]):
        with pytest.raises(ValueError, match="65535"):
            pack_predictions(np.array(bad))


MERGE_FOR_EVER = """
import sys
from pathlib import Path
from calibkit.store import Store, merge
store = Store(Path(sys.argv[1]), patience=60)
print("go", flush=True)
while True:
    merge(store)
"""
WRITE = """
import json, sys
from pathlib import Path
from calibkit.store import write_fragment
folder, source = Path(sys.argv[1]), Path(sys.argv[2])
print("go", flush=True)
while True:
    for name, payload in json.loads(source.read_text()).items():
        write_fragment(folder, name, payload)
"""


@pytest.mark.smoke
def test_kill_9_of_merger_and_writer_at_any_moment(store, made, python, tmp_path):
    cells = [made.cell("random", s, f"s1-{s}", 0.8, 0.7) for s in range(150)]
    undisturbed = Store(tmp_path / "undisturbed.duckdb")
    put(undisturbed, made, cells)
    merge(undisturbed)
    payloads = tmp_path / "payloads.json"
    payloads.write_text(json.dumps({c.cell_id: made.payload(c) for c in cells}))
    moments = random.Random(5)
    for _ in range(8):
        writer = python(WRITE, store.fragments, payloads)
        merger = python(MERGE_FOR_EVER, store.path)
        for process in (writer, merger):
            assert process.stdout.readline() == "go\n"
        time.sleep(moments.uniform(0.02, 0.6))
        for process in (writer, merger):
            process.kill()
            process.wait()
        if store.exists():  # what a killed merger leaves can be read at once
            query(store, "SELECT count(*) FROM cells")
    put(store, made, cells)
    report = merge(store)
    assert (report.conflicts, report.quarantined) == ((), ())
    assert contents(store) == contents(undisturbed)
    assert list(store.fragments.glob("*.json")) == []


@pytest.mark.parametrize("moment", ["commit", "move"])
def test_killed_between_commit_and_move(store, made, cells, monkeypatch, moment):
    put(store, made, cells)
    moved = []

    def die(*_args, **_more):
        if moment == "commit" or len(moved) == 5:
            raise KeyboardInterrupt
        moved.append(1)
        return real(*_args, **_more)

    import calibkit.store.fragments as module

    real = module._move
    monkeypatch.setattr(module, "_move", die)
    with pytest.raises(KeyboardInterrupt):
        merge(store)
    before = contents(store)
    assert len(before["cells"]) == 12
    monkeypatch.undo()
    report = merge(store)
    assert (report.cells, report.conflicts) == (0, ())
    assert contents(store) == before
    assert list(store.fragments.iterdir()) == []


def test_several_mergers_at_once(store, made, cells):
    put(store, made, cells)
    reports, errors = [], []

    def run():
        try:
            reports.append(merge(Store(store.path, patience=60)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(report.cells for report in reports) == 12


def test_two_hundred_cells_with_full_predictions_take_seconds(store, made):
    draws = np.random.default_rng(0)
    for s in range(200):
        cell = made.cell("random", s, f"s1-{s}", 0.8, 0.7)
        payload = made.payload(cell)
        for row in payload["rows"]["predictions"]:
            row["predicted"] = pack_predictions(draws.integers(0, 14, 7600))
        write_fragment(store.fragments, cell.cell_id, payload)
    start = time.process_time()
    report = merge(store)
    assert report.cells == 200
    assert time.process_time() - start < 30  # about 1 s on an idle machine
    found = query(store, "SELECT sum(len(predicted)) FROM predictions").rows
    assert found == [(200 * 2 * 7600,)]
