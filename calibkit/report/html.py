"""HTML as text that is escaped unless it was made here.

``tag("p", "a < b")`` is ``<p>a &lt; b</p>``: children that are plain strings are text from outside,
children that are Markup stand as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "col", "hr", "link", "meta"})
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks that turn the direction of what follows: text could read as other text than it is."""


class Markup(str):
    """HTML that is known to be well-formed."""

    __slots__ = ()


Child = str | int | Iterable["Child"] | None


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element.

    children: Markup as it is, other strings escaped, None left out, sequences one after another.
    attributes: ``class_`` means class and ``aria_label`` aria-label; None and False are left out,
    True is a bare attribute, everything else is escaped.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element; use lower-case letters")
    opened = "".join([f"<{name}", *(_attribute(*pair) for pair in attributes.items()), ">"])
    if name in VOID:
        return Markup(opened)
    return Markup(f"{opened}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return children one after another, escaped where they are not Markup."""
    return Markup("".join(_pieces(children)))


def text(value: object) -> Markup:
    """Return any value as escaped text.

    Control characters become U+FFFD; marks that turn the direction of writing are written as
    their code, so that nothing reads as something that it is not.
    """
    cleaned = _NOT_TEXT.sub("\ufffd", str(value).replace("\r\n", "\n"))
    cleaned = _TURNS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", cleaned)
    return Markup(escape(cleaned, quote=True))


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str | int):
            yield text(child)
        else:
            yield from _pieces(child)


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    called = name.rstrip("_").replace("_", "-")
    return f" {called}" if value is True else f' {called}="{text(value)}"'
