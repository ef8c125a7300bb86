"""The only writer to stdout: data in the format that was asked for, to stdout or to a file."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from calibkit.cli.notes import let_go, note
from calibkit.cli.session import Session
from calibkit.cli.table import Tabular
from calibkit.cli.text import printable
from calibkit.errors import BadInput

FORMATS = ("table", "csv", "json", "jsonl", "markdown", "parquet")
PAGE = 120
"""Records are wrapped to lines of at most so many cells."""
SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".md": "markdown",
    ".parquet": "parquet",
}

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Output:
    """Where a command's data goes, and in which format."""

    form: str = "table"
    file: Path | None = None

    @property
    def is_for_people(self) -> bool:
        """Whether the format is the one to be read, where numbers are rounded."""
        return self.form == "table"

    def table(self, table: Tabular, *, below: str = "") -> None:
        """Write rows; ``below`` is text that only people get, under the table."""
        if self.is_for_people:
            from calibkit.cli.layout import lay_out

            self._text(lay_out(table, self._width()) + below)
        else:
            self._encoded(table)
        if self.file is not None:
            rows = len(table.rows)
            note(f"wrote {rows:,} row{'' if rows == 1 else 's'} to {self.file}")

    def text(self, text: str) -> None:
        """Write text as it stands, for people: a recipe, a script."""
        self._text(text)
        if self.file is not None:
            note(f"wrote {self.file}")

    def records(self, table: Tabular, *, below: str = "") -> None:
        """Write rows of which people want to see every value: one line per value."""
        if not self.is_for_people:
            self.table(table)
            return
        from calibkit.cli.layout import lay_out_records

        width = min(self._width() or PAGE, PAGE)
        self._text(lay_out_records(table, width) + below)
        if self.file is not None:
            note(f"wrote {self.file}")

    def _width(self) -> int | None:
        if self.file is None and stdout_is_terminal():
            return shutil.get_terminal_size().columns
        return None

    def _encoded(self, table: Tabular) -> None:
        from calibkit.cli import formats

        encode = {
            "csv": formats.as_csv,
            "json": formats.as_json,
            "jsonl": formats.as_jsonl,
            "markdown": formats.as_markdown,
            "parquet": formats.as_parquet,
        }[self.form]
        data = encode(table)
        if self.form == "csv" and self.file is None and stdout_is_terminal():
            data = printable(data.decode()).encode()
        self._write(data)

    def _text(self, text: str) -> None:
        shown = printable(text) if self.file is None else text
        self._write(shown.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        if self.file is None:
            write_bytes(data)
        else:
            replace_file(self.file, data)


def write_line(text: str) -> None:
    """Write one line to stdout: an id, a script."""
    write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Write to stdout; a reader that has seen enough is no error."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        let_go(sys.stdout)


def stdout_is_terminal() -> bool:
    """Say whether a person is looking at stdout."""
    return sys.stdout.isatty()


def data_options(command: Command) -> Command:
    """Add ``--format``, ``--json`` and ``-o`` to a command, which gets them as ``output``."""

    @click.option(
        "--format",
        type=click.Choice(FORMATS),
        help="How data is written. [default: by the suffix of -o, else table]",
    )
    @click.option("--json", is_flag=True, help="Short for --format jsonl.")
    @click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write the data to FILE instead of stdout; a file that is there is replaced.",
    )
    @click.pass_context
    @functools.wraps(command)
    def with_output(
        context: click.Context,
        /,
        *args: Any,
        **options: Any,
    ) -> Any:
        form: str | None = options.pop("format")
        as_jsonl: bool = options.pop("json")
        file: Path | None = options.pop("output")
        if as_jsonl and form not in (None, "jsonl"):
            raise click.UsageError(f"--json means --format jsonl; leave out one of them ({form})")
        if as_jsonl:
            form = "jsonl"
        if form is None:
            form = SUFFIXES.get(file.suffix.lower(), "table") if file else "table"
        if form == "parquet" and file is None and stdout_is_terminal():
            raise click.UsageError("parquet is no text for a terminal; add -o FILE, or pipe it on")
        if file is not None:
            check_target(file, context.find_object(Session) or Session())
        return context.invoke(command, *args, output=Output(form, file), **options)

    return with_output  # type: ignore[return-value]


def check_target(file: Path, session: Session, option: str = "-o") -> None:
    """Refuse, before any work, a file that cannot be written or must not be."""
    target = Path(os.path.realpath(file))
    if target.is_dir():
        raise BadInput(f"{option} {file}: this is a folder; name a file in it")
    if not target.parent.is_dir():
        raise BadInput(f"{option} {file}: there is no folder {target.parent}; make it first")
    place = target if target.exists() else target.parent
    if not os.access(place, os.W_OK):
        raise BadInput(f"{option} {file}: {place} cannot be written; choose another place")
    store = session.store
    names = (store.path.name, store.path.name + ".wal", store.path.name + ".lock")
    mine = target.parent == store.path.parent and target.name in names
    if mine or target.is_relative_to(store.folder):
        raise BadInput(
            f"{option} {file}: this belongs to the store {store.path}; choose another name"
        )


def replace_file(file: Path, data: bytes) -> None:
    """Write a file whole or not at all; devices and pipes are written straight."""
    target = Path(os.path.realpath(file))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".tmp", delete=False
        ) as draft:
            part = Path(draft.name)
            try:
                draft.write(data)
                draft.flush()
                os.fsync(draft.fileno())
                part.chmod(target.stat().st_mode & 0o777 if target.exists() else _usual_mode())
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInput(f"-o {file}: cannot be written: {error.strerror}") from error


def _usual_mode() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
