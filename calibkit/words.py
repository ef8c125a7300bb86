"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 cell``, ``1,584 cells``; plural: where it is not +s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def is_or_are(number: int) -> str:
    """Return the verb for so many."""
    return "is" if number == 1 else "are"
