"""Watchers that tests look into afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Watched:
    """A watcher that remembers; ``on_step`` is told the phase and the text of every step."""

    phases: list[tuple[str, int]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    on_step: Callable[[str, str], None] = lambda phase, text: None

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))

    def step(self, text: str, *, failed: bool = False) -> None:
        (self.failures if failed else self.steps).append(text)
        self.on_step(self.phases[-1][0], text)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Counted:
    """A watcher that counts the steps of every phase, and stands for no failure and no note.

    says: what every step has in its text.
    """

    def __init__(self, says: str = "") -> None:
        self.says = says
        self.phases: dict[str, int] = {}
        self.steps: Counter[str] = Counter()

    def phase(self, name: str, total: int) -> None:
        self.phases[name] = total

    def step(self, text: str, *, failed: bool = False) -> None:
        assert text and not failed and self.says in text
        self.steps[list(self.phases)[-1]] += 1

    def note(self, text: str) -> None:
        raise AssertionError(text)
