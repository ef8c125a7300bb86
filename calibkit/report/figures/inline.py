"""From matplotlib's SVG document to an element that can stand in a page beside others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from calibkit.report.figures.colours import BACKGROUND, VARIABLES

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font: (?:(?P<weight>\d+|bold) )?(?P<size>\d[\d.]*px) [^;]*")
_FAMILY = re.compile(r"font-family: [^;]*(?:; )?")
_DIGITS = re.compile(r"\d+\.\d{3,}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_SYSTEM = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inlined(document: str, name: str, title: str, alt: str) -> str:
    """Return ``<svg role="img">`` with ids of its own and colours as CSS variables.

    name: what the ids begin with; they also carry a hash of the drawing and its words. title, alt:
    become ``<title>`` and ``<desc>``.
    """
    root = _parsed(document)
    _restyle(root, lambda colour: f"var({VARIABLES[colour]}, {colour})", "inherit")
    _rename_ids(root, "id")  # matplotlib's own name clip paths by their addresses in memory
    content = ET.tostring(root, encoding="unicode") + title + alt
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    prefix = f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{digest}"
    _rename_ids(root, prefix)
    _shorten(root)
    _describe(root, prefix, title, alt)
    width = root.get("viewBox", "0 0 0 0").split()[2]
    root.set("style", f"width: 100%; max-width: {float(width):g}px; height: auto")
    return _text(root)


def plain_colours(document: str, words: tuple[str, str]) -> str:
    """Return an SVG file with plain colours on a ground; ``words`` are its title and description.

    Programs that draw SVG outside of a browser know no CSS variables.
    """
    root = _parsed(document)
    _restyle(root, lambda colour: colour, _SYSTEM)
    _rename_ids(root, "figure")
    _shorten(root)
    _describe(root, "figure", *words)
    left, top, width, height = root.get("viewBox", "0 0 0 0").split()
    root.attrib.update(width=width, height=height)
    ground = ET.Element(f"{{{_SVG}}}rect", x=left, y=top, width=width, height=height)
    ground.set("fill", BACKGROUND)
    root.insert(2, ground)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_text(root)}\n'


def _parsed(document: str) -> ET.Element:
    """Parse matplotlib's document and take out what is not drawing."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
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


def _restyle(root: ET.Element, colour_as: Callable[[str], str], family: str) -> None:
    """Set colours by role, and one font for the whole drawing."""

    def coloured(found: re.Match[str]) -> str:
        colour = found[0].lower()
        return colour_as(colour) if colour in VARIABLES else colour

    for element in root.iter():
        for name in ("style", "fill", "stroke"):
            value = element.get(name)
            if value is not None:
                element.set(name, _COLOUR.sub(coloured, _FAMILY.sub("", _FONT.sub(_font, value))))
    root.set("font-family", family)


def _font(found: re.Match[str]) -> str:
    """Keep size and weight of a font, and leave its family to the drawing."""
    size, weight = found["size"], found["weight"]
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")


def _shorten(root: ET.Element) -> None:
    """Take out what does not show: groups around one thing, blank paths, digits below 0.01 px."""
    for parent in list(root.iter()):
        kept: list[ET.Element] = []
        for child in parent:
            kept += _unwrapped(child)
        parent[:] = kept
        parent.text = (parent.text or "").strip() or None
    for element in root.iter():
        element.tail = "\n" if element.tag == f"{{{_SVG}}}g" else None
        for name, value in element.attrib.items():
            if name in ("d", "x", "y", "transform", "width", "height", "viewBox"):
                element.set(name, " ".join(_DIGITS.sub(_rounded, value).split()))
        if element.get("transform", "").startswith(("rotate(-0 ", "rotate(0 ")):
            del element.attrib["transform"]


def _unwrapped(element: ET.Element) -> list[ET.Element]:
    tag = element.tag.removeprefix(f"{{{_SVG}}}")
    if tag == "path" and element.get("style") == "fill: none":
        return []
    if tag == "g" and not element.attrib.keys() - {"id"}:
        return [part for child in element for part in _unwrapped(child)]
    return [element]


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


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
    return ET.tostring(root, encoding="unicode", short_empty_elements=True).strip()
