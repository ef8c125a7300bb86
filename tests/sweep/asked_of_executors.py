"""What the tests of executors ask for, and how they read the answers."""

from __future__ import annotations

from calibkit.sweep.executors import Outcome, Progress, Task


def tasks(folder, **todo):
    return [
        Task(name, {"name": name, "do": do, "folder": str(folder)}, affinity=name[0])
        for name, do in todo.items()
    ]


def runs(folder, name):
    """How often a task was started."""
    return len(list(folder.glob(f"{name}.*")))


def told(events):
    """What the events say, without times."""
    outcomes = {
        e.task.key: e.failure and (e.failure.error_type, e.failure.message)
        for e in events
        if isinstance(e, Outcome)
    }
    facts = sorted((e.task.key, str(e.facts)) for e in events if isinstance(e, Progress))
    return outcomes, facts
