"""kill -9 at random moments, of workers, of mergers, of whole runs: no finished cell is lost.

Each kill is followed by a look at the store and at the fragments. A sweep that comes to its end
must have the tables of one that nobody disturbed, to the last bit; then the next one begins.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

SWEEP: dict[str, Any] = {
    "models": {"generative": None},
    "grid": {"model": ["discriminative"], "seed": [0, 1, 2], "bits": [8, 6, 4, 3]},
    "measure": {"distributions": ["weights"], "noise": None},
}
CELLS = 24
KINDS = ("workers", "mergers", "parents")


@dataclass
class Tally:
    """What was killed, and what is known to be finished: cell -> the run that measured it."""

    kills: Counter[str] = field(default_factory=Counter)
    known: dict[str, str] = field(default_factory=dict)
    finished: int = 0
    sweeps: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def look(self, study: Any) -> None:
        """Open the store, and compare what is finished with what was."""
        found: dict[str, str] = {}
        files: Counter[str] = Counter()
        for folder in (study.store.fragments, study.store.merged):
            for path in folder.glob("[!.]*.json"):
                try:
                    rows = json.loads(path.read_bytes())["rows"]
                except FileNotFoundError:  # merged in this moment
                    continue
                for row in rows.get("cells", []):
                    found[row["cell_id"]] = row["run_id"]
                    files[row["cell_id"]] += 1
        stored = study.rows("SELECT cell_id, run_id FROM cells")
        found |= dict(stored)
        self.lost += [c for c, run in self.known.items() if found.get(c) != run]
        self.doubled += [c for c, n in Counter(c for c, _ in stored).items() if n > 1]
        keys = "cell_id, noise_kind, noise, noise_seed"
        self.doubled += [
            str(row)
            for table in ("evaluations", "predictions")
            for row in study.rows(f"SELECT {keys} FROM {table} GROUP BY ALL HAVING count(*) > 1")
        ]
        self.known = found

    def __str__(self) -> str:
        each = ", ".join(f"{self.kills[kind]} {kind}" for kind in KINDS)
        return (
            f"kill -9: {self.kills.total()} kills ({each}) over {self.sweeps} sweeps: "
            f"{len(self.lost)} of {self.finished} finished cells lost, {len(self.doubled)} "
            "duplicated, the store always opened, every table as undisturbed"
        )


@dataclass
class Killer:
    """Starts runs of one sweep and kills what it is told to."""

    nursery: Any
    study: Any
    log: Path
    chance: random.Random
    seconds: float
    tally: Tally

    def run(self, executor: str) -> int:
        workers = 2 if executor == "local" else 1
        how = {"executor": executor, "workers": workers}
        return self.nursery.start(self.study, self.log, SWEEP, forked=True, **how)

    def end(self, pid: int) -> bool:
        """Kill a run unless it is over; say whether it was over."""
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
        code = self.nursery.wait(pid)
        assert code in (0, -signal.SIGKILL), self.log.read_text()
        return code == 0

    def wait(self) -> None:
        time.sleep(self.chance.uniform(0, self.seconds))

    def parents(self) -> bool:
        pid = self.run(self.chance.choice(["serial", "local"]))
        self.wait()
        over = self.end(pid)
        self.tally.kills["parents"] += not over
        return over

    def workers(self) -> bool:
        """Kill one worker, whatever it does just now; the run goes on for a while."""
        pid = self.run("local")
        while is_running(pid):
            crew = [p for p in children(pid) if is_running(p.pid)]
            if crew:
                self.wait()
                crew = children(pid)
            if crew:
                self.chance.choice(crew).kill()
                self.tally.kills["workers"] += 1
                break
            time.sleep(0.005)
        self.wait()
        return self.end(pid)

    def mergers(self) -> bool:
        """Kill a process that merges what a run is writing, once it has begun to."""
        pid = self.run("serial")
        log = self.log.with_suffix(".merger")
        log.unlink(missing_ok=True)
        merger = self.nursery.ask(
            what="merge", store=str(self.study.store.path), log=str(log), pause=""
        )
        while is_running(pid) and not (log.exists() and "merging" in log.read_text()):
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, 0.08))
        if is_running(merger) and log.exists() and "merging" in log.read_text():
            os.kill(merger, signal.SIGKILL)
            self.tally.kills["mergers"] += 1
        elif is_running(merger):
            os.kill(merger, signal.SIGKILL)
        self.nursery.wait(merger)
        self.tally.look(self.study)
        return self.end(pid)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def undisturbed(ingested, tmp_path_factory, nursery, everything_measured):
    """The tables of a sweep that nobody kills, and the seconds that a run of it takes."""
    study = ingested.copy(tmp_path_factory.mktemp("undisturbed"))
    log = study.folder / "log"
    start = time.monotonic()
    assert nursery.wait(nursery.start(study, log, SWEEP)) == 0, log.read_text()
    assert study.one("SELECT count(*) FROM cells") == CELLS
    return everything_measured(study), time.monotonic() - start


def kill(
    each: int,
    undisturbed: Any,
    fresh_study: Callable[[], Any],
    nursery: Any,
    everything_measured: Callable[[Any], Any],
) -> Tally:
    """Kill so many of each kind, over as many sweeps as that takes; each is brought to its end."""
    expected, seconds = undisturbed
    chance = random.Random(time.time_ns())
    tally = Tally()
    while any(tally.kills[kind] < each for kind in KINDS):
        study = fresh_study()
        killer = Killer(nursery, study, study.folder / "log", chance, seconds / 8, tally)
        tally.known = {}
        tally.sweeps += 1
        over = False
        while not over and any(tally.kills[kind] < each for kind in KINDS):
            kind = chance.choice([kind for kind in KINDS if tally.kills[kind] < each])
            over = getattr(killer, kind)()
            tally.look(study)
        pid = nursery.start(study, killer.log, SWEEP)
        assert nursery.wait(pid) == 0, killer.log.read_text()
        tally.look(study)
        tally.finished += len(tally.known)
        assert len(tally.known) == CELLS
        assert everything_measured(study) == expected
        assert study.rows("FROM conflicts") == study.rows("FROM failures") == []
        assert list(study.store.fragments.glob("[!.]*.json")) == []
        assert "quarantined" not in killer.log.read_text()
    return tally


@pytest.fixture
def fresh_study(ingested, tmp_path):
    made = iter(range(10_000))
    return lambda: ingested.copy(tmp_path / f"study{next(made)}")


def test_fifteen_kills_lose_nothing(undisturbed, fresh_study, nursery, everything_measured, told):
    tally = kill(5, undisturbed, fresh_study, nursery, everything_measured)
    told(str(tally))
    assert (tally.lost, tally.doubled, tally.kills.total()) == ([], [], 15)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_and_twenty_kills_lose_nothing(
    undisturbed, fresh_study, nursery, everything_measured, told
):
    tally = kill(40, undisturbed, fresh_study, nursery, everything_measured)
    told(str(tally))
    assert (tally.lost, tally.doubled, tally.kills.total()) == ([], [], 120)
