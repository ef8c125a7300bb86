"""From matplotlib's SVG document to an element that can stand in a page beside others."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from xml.etree import ElementTree as ET

from calibkit.report.figures.colours import BACKGROUND, VARIABLES

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font: ([^;]*?)(\d[\d.]*px) [^;]*|font-family: [^;]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_SYSTEM = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inlined(document: str, name: str, title: str, alt: str) -> str:
    """Return ``<svg role="img">`` with ids of its own and colours as CSS variables.

    name: what the ids begin with; they also carry a hash of the drawing and its words. title, alt:
    become ``<title>`` and ``<desc>``.
    """
    root = _parsed(document)
    _restyle(root, lambda colour: f"var({VARIABLES[colour]}, {colour})", "var(--figure-font, %s)")
    content = ET.tostring(root, encoding="unicode") + title + alt
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    prefix = f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{digest}"
    _rename_ids(root, prefix)
    _describe(root, prefix, title, alt)
    width = root.get("viewBox", "0 0 0 0").split()[2]
    root.set("style", f"width: 100%; max-width: {float(width):g}px; height: auto")
    return _text(root)


def plain_colours(document: str, words: tuple[str, str]) -> str:
    """Return an SVG file with plain colours on a ground; ``words`` are its title and description.

    Programs that draw SVG outside of a browser know no CSS variables.
    """
    root = _parsed(document)
    _restyle(root, lambda colour: colour, "%s")
    _describe(root, "figure", *words)
    left, top, width, height = root.get("viewBox", "0 0 0 0").split()
    root.attrib.update(width=width, height=height)
    ground = ET.Element(f"{{{_SVG}}}rect", x=left, y=top, width=width, height=height)
    ground.set("fill", BACKGROUND)
    root.insert(2, ground)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_text(root)}\n'


def _parsed(document: str) -> ET.Element:
    """Parse matplotlib's document and take out what is not drawing."""
    root = ET.fromstring(document)
    for name in ("metadata", "defs"):
        for found in [child for child in root if child.tag == f"{{{_SVG}}}{name}"]:
            styles = [part for part in found if part.tag == f"{{{_SVG}}}style"]
            if name == "metadata" or len(styles) == len(found):
                root.remove(found)  # a style in an inlined SVG would hold for the whole page
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    return root


def _restyle(root: ET.Element, colour_as: Any, family_as: str) -> None:
    def coloured(found: re.Match[str]) -> str:
        colour = found[0].lower()
        return str(colour_as(colour)) if colour in VARIABLES else colour

    family = family_as % _SYSTEM
    for element in root.iter():
        for attribute in ("style", "fill", "stroke"):
            value = element.get(attribute)
            if value is None:
                continue
            if attribute != "style":
                element.set(attribute, _COLOUR.sub(coloured, value))
                continue
            value = _FONT.sub(
                lambda found: (
                    f"font: {found[1]}{found[2]} {family}" if found[2] else f"font-family: {family}"
                ),
                value,
            )
            element.set("style", _COLOUR.sub(coloured, value))


def _rename_ids(root: ET.Element, prefix: str) -> None:
    """Give short ids, unique in a page, to what is referred to; take the others away."""
    used: dict[str, str] = {}

    def renamed(old: str) -> str:
        return used.setdefault(old, f"{prefix}-{len(used) + 1}")

    for element in root.iter():
        href = element.get(f"{{{_XLINK}}}href")
        if href is not None and href.startswith("#"):
            element.set(f"{{{_XLINK}}}href", f"#{renamed(href[1:])}")
        for attribute, value in list(element.attrib.items()):
            if "url(#" in value:
                element.set(
                    attribute, _REFERENCE.sub(lambda found: f"url(#{renamed(found[1])})", value)
                )
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used:
            element.set("id", used[old])


def _describe(root: ET.Element, prefix: str, title: str, alt: str) -> None:
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    for place, (name, text) in enumerate((("title", title), ("desc", alt))):
        element = ET.Element(f"{{{_SVG}}}{name}", id=f"{prefix}-{name}")
        element.text = text
        root.insert(place, element)


def _text(root: ET.Element) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True).strip()
