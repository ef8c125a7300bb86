"""What the running Python knows of Unicode, in tables that C code searches.

Everything is asked of `str.lower` and of `re`, so the tables say what `tokenize` does here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

PLANE = 1 << 16
MOST_SPAN = 255
SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Edges:
    """A set of code points, by the places at which it begins or ends within each plane.

    edges: their low 16 bits, plane after plane. planes: where in ``edges`` each plane begins, and
    the end. A code point is in the set when an odd number of its plane's edges is at most it.
    """

    edges: tuple[int, ...]
    planes: tuple[int, ...]

    @classmethod
    def of(cls, flags: Flags) -> Edges:
        """Return the set of the code points that are flagged."""
        found: list[int] = []
        planes = [0]
        for plane in flags.reshape(-1, PLANE):
            found += np.flatnonzero(np.diff(plane, prepend=False)).tolist()
            planes.append(len(found))
        return cls(tuple(found), tuple(planes))


@dataclass(frozen=True)
class LowerRun:
    """Code points first, first + step, ... first + span, whose lower case is ``shift`` further."""

    first: int
    span: int
    step: int
    shift: int


@dataclass(frozen=True)
class Unicode:
    r"""What `tokenize` asks of a character.

    word: ``\w``. space: ``\s``. cased, passed: what makes a capital sigma final. It is when, past
    characters of ``passed``, a character of ``cased`` stands before it and none behind it. lowers:
    lower cases of one character, in order. severals: those of several, by character.
    """

    word: Edges
    space: Edges
    cased: Edges
    passed: Edges
    lowers: tuple[LowerRun, ...]
    severals: dict[int, tuple[int, ...]]

    @classmethod
    @cache
    def here(cls) -> Unicode:
        """Return what the running Python does."""
        every = "".join(map(chr, range(sys.maxunicode + 1)))
        cased = _flags(f"{c}{SIGMA}".lower().endswith(FINAL_SIGMA) for c in every)
        after = _flags(f"A{c}{SIGMA}".lower().endswith(FINAL_SIGMA) for c in every)
        lower = {ord(c): c.lower() for c in every if c.lower() != c and c != SIGMA}
        return cls(
            word=Edges.of(_matched(r"\w+", every)),
            space=Edges.of(_matched(r"\s+", every)),
            cased=Edges.of(cased),
            passed=Edges.of(after & ~cased),
            lowers=_runs({code: ord(to) for code, to in lower.items() if len(to) == 1}),
            severals={code: tuple(map(ord, to)) for code, to in lower.items() if len(to) > 1},
        )


def _flags(values: Iterable[bool]) -> Flags:
    return np.fromiter(values, dtype=np.bool_)


def _matched(pattern: str, text: str) -> Flags:
    """Return which characters of a text are in a match of a pattern."""
    flags = np.zeros(len(text), dtype=np.bool_)
    for found in re.finditer(pattern, text):
        flags[found.start() : found.end()] = True
    return flags


def _runs(lower: dict[int, int]) -> tuple[LowerRun, ...]:
    """Return the lower cases as runs of every or every second code point with one shift."""
    runs: list[LowerRun] = []
    for code, to in sorted(lower.items()):
        if runs:
            last = runs[-1]
            step = code - last.first - last.span
            fits = step == last.step if last.span else step <= 2
            if last.shift == to - code and fits and code - last.first <= MOST_SPAN:
                runs[-1] = LowerRun(last.first, code - last.first, step, last.shift)
                continue
        runs.append(LowerRun(code, 0, 1, to - code))
    return tuple(runs)
