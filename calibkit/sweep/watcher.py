"""Who is told how a run goes."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Whoever shows a run's progress."""

    def phase(self, name: str, total: int) -> None:
        """Begin a phase of ``total`` steps."""
        ...

    def step(self, text: str, *, failed: bool = False) -> None:
        """Report one finished step of the phase."""
        ...

    def note(self, text: str) -> None:
        """Report something that is no step."""
        ...
