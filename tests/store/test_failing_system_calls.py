"""The n-th system call of a merge fails, or kills: what Python does not see, DuckDB's own writing.

By strace, where it is there and may trace; the fragments of a merge are merged by the next one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from calibkit.store import Store, merge, query, write_fragment

MERGE = """
import sys
from calibkit.errors import StoreError
from calibkit.store import Store, merge
try:
    merge(Store(sys.argv[1]))
    print("done")
except StoreError as error:
    print("told" if "run the same command again" in str(error) else f"UNCLEAR {error}")
"""
CALLS = "pwrite64,fsync,fdatasync,ftruncate,write,rename,unlink,mkdir"
FAULTS = {
    "full disk": ("pwrite64,write", "error=ENOSPC"),
    "failing disk": ("fsync,fdatasync", "error=EIO"),
    "kill -9": (CALLS, "signal=KILL"),
}


def traced(calls: str, fault: str, n: int, *command: object) -> subprocess.CompletedProcess[str]:
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    trace += ["-e", f"inject={calls}:{fault}:when={n}"]
    return subprocess.run(
        [*trace, sys.executable, "-c", *map(str, command)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_merge_survives_it(name, fresh_store, made, tmp_path, told):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: DuckDB's own system calls cannot be made to fail")
    if traced("getpid", "error=EIO", 9999, "pass").returncode:
        pytest.skip("strace may not trace here: DuckDB's own system calls cannot be made to fail")
    cells = [made.cell("random", seed, f"s1-{seed}", 0.8) for seed in range(6)]
    made.plan(fresh_store, cells)
    for cell in cells:
        write_fragment(fresh_store.fragments, cell.cell_id, made.payload(cell))
    calls, fault = FAULTS[name]
    hit = unharmed = 0
    for n in range(1, 200):
        store = Store(tmp_path / "trial" / "s.duckdb")
        shutil.copytree(fresh_store.folder, store.folder)
        shutil.copy(fresh_store.path, store.path)
        done = traced(calls, fault, n, MERGE, store.path)
        said = done.stdout.strip()
        assert said in ("done", "told", ""), done.stderr
        assert query(store, "SELECT count(*) FROM cells").rows[0][0] in (0, 6)
        assert merge(store).conflicts == ()
        assert query(store, "SELECT count(*) FROM cells").rows == [(6,)]
        assert query(store, "SELECT count(*) FROM evaluations").rows == [(6,)]
        shutil.rmtree(tmp_path / "trial")
        unharmed = unharmed + 1 if said == "done" else 0
        if unharmed == 3:  # one alone may be a call that nothing depends on
            break
        hit += said != "done"
    told(f"merge, {name} at each of {hit} system calls: before or after, and right the next time")
    assert hit >= 3
