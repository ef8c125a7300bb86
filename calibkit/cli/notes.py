"""What people read beside the data: lines on stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

from calibkit.cli.text import printable


def note(text: str = "") -> None:
    """Print text on stderr, without control sequences; a reader that left is no error."""
    try:
        click.echo(printable(text), err=True)
    except BrokenPipeError:
        let_go(sys.stderr)


def let_go(stream: TextIO) -> None:
    """Send the rest of a stream nowhere: its reader has left, and the work may go on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
