"""The phase of a run in which trajectories are followed, one task each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from calibkit.stream.jobs import TrajectoryJob
from calibkit.stream.plan import PlannedTrajectory
from calibkit.sweep.books import Books
from calibkit.sweep.executors import Executor, Failure, Limits, Outcome, Progress, Task
from calibkit.sweep.watcher import Watcher
from calibkit.words import counted, is_or_are

LOOK_AGAIN_SECONDS = 1.0
"""So long a run waits for trajectories that another run follows, when nothing else is left."""


class StreamBooks(Books):
    """The books of a run of a stream."""

    def fail(self, found: Sequence[PlannedTrajectory], stage: str, failure: Failure) -> None:
        """Write one failure row per trajectory."""
        keys = [(str(one.trajectory_id), one.trajectory_id) for one in found]
        self.fail_keys(keys, stage, failure)


@dataclass
class TrajectoryPhase:
    """Trajectories by id: the plan's that share it, and the job.

    deadline: on the clock of ``time.monotonic``, after which none is started.
    """

    watcher: Watcher
    books: StreamBooks
    deadline: float | None
    fail_fast: bool
    members: dict[str, list[PlannedTrajectory]] = field(default_factory=dict)
    jobs: dict[str, TrajectoryJob] = field(default_factory=dict)
    followed: int = 0
    failed: int = 0
    elsewhere: int = 0
    _told: dict[str, int] = field(default_factory=dict)

    def run(self, pool: Executor, limits: Limits) -> int:
        """Follow them; return how many came to their end.

        What another run over the store follows just now is left for later, and then found done, or
        taken on from where that run left it.
        """
        tasks = [
            Task(key, job, f"{job.model.id} {job.start.subset_id}")
            for key, job in self.jobs.items()
        ]
        self.watcher.phase("batches", sum(len(job.batches) for job in self.jobs.values()))
        while tasks and not self._no_more():
            ended, tasks = self._pass(pool, tasks, limits)
            if tasks and not ended and not self._no_more():
                time.sleep(LOOK_AGAIN_SECONDS)
        if self.elsewhere:
            several = counted(self.elsewhere, "trajectory", "trajectories")
            self.watcher.note(f"another run over this store followed {several} of these meanwhile")
        left = len(self.jobs) - self.followed - self.failed - self.elsewhere
        if left:
            why = "--max-time is over" if self._out_of_time() else "--fail-fast: one failed"
            several = counted(left, "trajectory", "trajectories")
            self.watcher.note(f"{why}: {several} {is_or_are(left)} not at the end")
        return self.followed

    def _pass(
        self, pool: Executor, tasks: Sequence[Task], limits: Limits
    ) -> tuple[int, list[Task]]:
        """Run tasks once; return how many have ended, and those that another run is at."""
        busy: list[Task] = []
        ended = 0
        said: dict[str, str] = {}
        for event in pool.run(tasks, limits=limits, stop=self._no_more):
            key = event.task.key
            if isinstance(event, Progress):
                if "elsewhere" in event.facts:
                    said[key] = str(event.facts["elsewhere"])
                else:
                    self._batches(key, int(event.facts["step"]))
            elif event.failure is None and said.get(key) == "at it":
                busy.append(event.task)
                continue
            else:
                ended += 1
                self._end(event, done_elsewhere=said.get(key) == "done")
            self.books.merge_now_and_then()
        return ended, busy

    def _batches(self, key: str, step: int) -> None:
        """Tell how far a trajectory is; steps of an earlier run count too."""
        text = self.members[key][0].text()
        for _ in range(step - self._told.get(key, 0)):
            self.watcher.step(f"{text}: batch {step} of {len(self.jobs[key].batches)}")
        self._told[key] = step

    def _end(self, event: Outcome, *, done_elsewhere: bool) -> None:
        key = event.task.key
        if event.failure is not None:
            self.failed += 1
            self.books.fail(self.members[key], "stream", event.failure)
            text = self.members[key][0].text()
            self.watcher.step(f"{text}: {event.failure.message}", failed=True)
        elif done_elsewhere:
            self.elsewhere += 1
            self._batches(key, len(self.jobs[key].batches))
        else:
            self.followed += 1

    def _out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def _no_more(self) -> bool:
        return self._out_of_time() or (self.fail_fast and self.failed > 0)
