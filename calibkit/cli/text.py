"""Text of strangers on a terminal: what a document says, without what it makes a terminal do."""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements, clearing
    # OSC, DCS, SOS, PM, APC: titles, links, clipboard; an unfinished one loses its start only.
    # Its text ends where the next one may begin, so that no character is looked at twice
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
    r"(?:[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\|\x9c))?"
    r"|\x1b[ -/]*[0-~]"  # two-character sequences: reset, character sets
)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of a line
    r"\u2028\u2029\ufeff\ud800-\udfff]"
)
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def printable(text: str) -> str:
    """Return ``text`` without control sequences and control characters; lines and tabs stay."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """Return ``text`` printable, with a space for every line break and tab."""
    return _CONTROLS.sub("", _BREAKS.sub(" ", _SEQUENCES.sub("", text)))
