"""Published accuracies: what a table of them says, and how its file is read.

The file is CSV, one row per published number, with the columns `COLUMNS`. Lines that begin with
``#`` are comments, but for blocks that tell what a source's numbers were measured under::

    # protocol of SOURCE
    #   SUBJECT: text
    #     that may go on
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from calibkit.errors import BadInput, nearest, unknown_name
from calibkit.quantize.schemes import Rounding

COLUMNS = (
    "source",
    "corpus",
    "model",
    "calibration_mix",
    "policy",
    "rounding",
    "bits",
    "accuracy",
)
"""All of them are required, in any order. Only calibration_mix and policy may be empty."""

SUBJECTS = ("corpus", "words", "models", "calibration", "draws", "observer", "rounding")
"""What a protocol may speak of."""

FLOAT_BITS = 32
NO_ROUNDING = "none"
MOST_BYTES = 16 << 20
"""Largest file of published numbers."""
MOST_TOLD = 20
"""So many problems of a file are told one by one."""

_ROUNDINGS = (NO_ROUNDING, *get_args(Rounding))
_OPENING = re.compile(r"# protocol of (\S.*?)\s*")
_SUBJECT = re.compile(r"# {3}(\S[^:]*):\s*(\S.*?)\s*")
_MORE = re.compile(r"# {5,}(\S.*?)\s*")


@dataclass(frozen=True)
class ReferenceCell:
    """One published number; ``accuracy`` is a fraction.

    calibration_mix: the source's word for what calibrated; policy: the alias under which recipes
    have it, or empty. line: where it stands in its file.
    """

    source: str
    corpus: str
    model: str
    calibration_mix: str
    policy: str
    rounding: str
    bits: int
    accuracy: float
    line: int

    @property
    def is_float(self) -> bool:
        """Whether this is a float model."""
        return self.bits == FLOAT_BITS


@dataclass(frozen=True)
class Reference:
    """Published numbers, and what they were measured under: source -> subject -> text."""

    file: str
    cells: tuple[ReferenceCell, ...]
    protocols: Mapping[str, Mapping[str, str]]

    def float_accuracy(self, cell: ReferenceCell) -> float | None:
        """Return the accuracy of the float model of a cell, or None where the source has none.

        That is the float row of its own calibration mix, else the one that names no mix.
        """
        floats = {
            other.calibration_mix: other.accuracy
            for other in self.cells
            if other.is_float
            and (other.source, other.corpus, other.model) == (cell.source, cell.corpus, cell.model)
        }
        return floats.get(cell.calibration_mix, floats.get(""))


def load_reference(path: Path) -> Reference:
    """Read a file of published numbers; BadInput lists what is wrong as ``file:line: what``."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadInput(f"{path}: larger than {MOST_BYTES >> 20} MiB; it is no reference")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: this is no UTF-8 (byte {error.start + 1})") from None
    return parse_reference(text, str(path))


def parse_reference(text: str, file: str) -> Reference:
    """Return what a file with this content says; ``file`` is its name in messages.

    Raises BadInput with every problem, `MOST_TOLD` of them at most, each as ``file:line: what``.
    """
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), start=1):
        reading.take(number, line.removesuffix("\r"))
    reading.finish()
    if reading.problems:
        told = [f"{file}:{line}: {what}" for line, what in sorted(reading.problems)[:MOST_TOLD]]
        more = len(reading.problems) - len(told)
        raise BadInput("\n".join(told + ([f"and {more} more"] if more else [])))
    return Reference(file, tuple(reading.cells), reading.protocols)


class _Reading:
    """A file as far as it has been read."""

    def __init__(self) -> None:
        self.columns: Sequence[str] | None = None
        self.cells: list[ReferenceCell] = []
        self.protocols: dict[str, dict[str, str]] = {}
        self.problems: list[tuple[int, str]] = []
        self.opened: dict[str, int] = {}  # source -> line of its protocol
        self.speaker: str | None = None  # whose protocol is being told
        self.subject: str | None = None
        self.last = 1

    def take(self, number: int, line: str) -> None:
        self.last = number
        if line.startswith("#"):
            self._comment(number, line)
            return
        self.speaker = None
        if not line.strip():
            return
        try:
            fields = next(csv.reader([line], strict=True))
        except csv.Error as error:
            self.problems.append((number, f"this is no line of CSV: {error}"))
            return
        if self.columns is None:
            self._header(number, fields)
        else:
            self._row(number, fields)

    def finish(self) -> None:
        if self.columns is None:
            self.problems.append((self.last, f"no header; it reads {','.join(COLUMNS)}"))
        elif not self.cells and not self.problems:
            self.problems.append((self.last, "no row stands below the header"))
        sources = {cell.source for cell in self.cells}
        for source, number in self.opened.items():
            if source not in sources and sources:
                what = unknown_name("source of a row", source, sources)
                self.problems.append((number, f"protocol: {what}"))

    def _comment(self, number: int, line: str) -> None:
        if opening := _OPENING.fullmatch(line):
            self.speaker, self.subject = opening[1], None
            if self.speaker in self.opened:
                self.problems.append((number, f"a second protocol of {self.speaker!r}"))
            self.opened.setdefault(self.speaker, number)
            self.protocols.setdefault(self.speaker, {})
        elif self.speaker is None:
            return
        elif line.strip() == "#":
            self.speaker = None
        elif (more := _MORE.fullmatch(line)) and self.subject is not None:
            self.protocols[self.speaker][self.subject] += f" {more[1]}"
        elif told := _SUBJECT.fullmatch(line):
            self.subject = told[1]
            if self.subject not in SUBJECTS:
                what = unknown_name("subject of a protocol", self.subject, SUBJECTS)
                self.problems.append((number, what))
            elif self.subject in self.protocols[self.speaker]:
                self.problems.append((number, f"{self.subject!r} is told twice"))
            self.protocols[self.speaker][self.subject] = told[2]
        else:
            self.problems.append(
                (number, "in a protocol, write '#   SUBJECT: text', or '#' alone to end it")
            )

    def _header(self, number: int, fields: list[str]) -> None:
        self.columns = fields
        for name in dict.fromkeys(fields):
            if name not in COLUMNS:
                near = nearest(name, COLUMNS)
                hint = f"did you mean {near!r}?" if near else f"there are {', '.join(COLUMNS)}"
                self.problems.append((number, f"unknown column {name!r}; {hint}"))
            elif fields.count(name) > 1:
                self.problems.append((number, f"column {name!r} stands here twice"))
        missing = [name for name in COLUMNS if name not in fields]
        if missing:
            self.problems.append((number, f"columns are missing: {', '.join(missing)}"))

    def _row(self, number: int, fields: list[str]) -> None:
        assert self.columns is not None
        if len(fields) != len(self.columns):
            wanted = len(self.columns)
            self.problems.append((number, f"{len(fields)} values; the header has {wanted} columns"))
            return
        if set(self.columns) != set(COLUMNS) or len(fields) != len(COLUMNS):
            return  # the header has been told
        row = dict(zip(self.columns, fields, strict=True))
        problems = _problems_of(row)
        if problems:
            self.problems += [(number, what) for what in problems]
            return
        cell = ReferenceCell(
            **{name: row[name] for name in COLUMNS[:6]},
            bits=int(row["bits"]),
            accuracy=float(row["accuracy"]),
            line=number,
        )
        for other in self.cells:
            if _key(other) == _key(cell):
                self.problems.append((number, f"the same cell stands in line {other.line}"))
                return
        self.cells.append(cell)


def _key(cell: ReferenceCell) -> tuple[str, str, str, str, str, int]:
    mix = cell.calibration_mix
    return cell.source, cell.corpus, cell.model, mix, cell.rounding, cell.bits


def _problems_of(row: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the values of one row."""
    found = []
    for name, value in row.items():
        if value != value.strip():
            found.append(f"{name}: leave out the blanks around {value!r}")
        elif not value and name not in ("calibration_mix", "policy"):
            found.append(f"{name} is empty")
    if found:
        return found
    if row["rounding"] not in _ROUNDINGS:
        found.append(f"rounding: {unknown_name('rounding', row['rounding'], _ROUNDINGS)}")
    bits = int(row["bits"]) if re.fullmatch(r"[0-9]{1,2}", row["bits"]) else 0
    if not 1 <= bits <= FLOAT_BITS:
        found.append(f"bits: {row['bits']!r} is no whole number from 1 to {FLOAT_BITS}")
    elif (bits == FLOAT_BITS) != (row["rounding"] == NO_ROUNDING):
        found.append(f"bits {bits} with rounding {row['rounding']}: {FLOAT_BITS} bits is a float")
        found[-1] += f" model, whose rounding is {NO_ROUNDING}, and nothing else is"
    elif bits == FLOAT_BITS and row["policy"]:
        found.append(f"policy: nothing calibrates a float model; leave {row['policy']!r} out")
    return found + _problems_of_accuracy(row["accuracy"])


def _problems_of_accuracy(text: str) -> list[str]:
    try:
        value = float(text)
    except ValueError:
        return [f"accuracy: {text!r} is no number"]
    if math.isfinite(value) and 0 <= value <= 1:
        return []
    hint = "; divide percent by 100" if 1 < value <= 100 else ""
    return [f"accuracy: {text} is no fraction in [0, 1]{hint}"]
