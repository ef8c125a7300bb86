"""SVG that a page with a strict Content-Security-Policy shows as it was drawn.

Such a page allows no ``style`` attributes, so they become presentation attributes, which mean the
same (SVG 2, section 6.6). ``font`` has none and is taken apart.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from calibkit.report.html import Markup

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(
    r"(?P<words>[a-z0-9 ]*?)\s*(?P<size>[\d.]+(?:px|pt|em))(?:/\S+)?\s+(?P<family>.+)"
)
_WEIGHTS = re.compile(r"bold|bolder|lighter|[1-9]00")


def strict(svg: str) -> Markup:
    """Return an SVG element without ``style`` attributes, and with its width and height.

    A page's style sheet may shrink it. Elements that could run or load something are refused with
    ValueError: figures have none.
    """
    root = ET.fromstring(svg)
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name in ("script", "style", "foreignObject", "image", "a", "animate", "set"):
            raise ValueError(f"an SVG element {name!r} has no place in a figure")
        style = element.attrib.pop("style", "")
        for key, value in _declarations(style):
            if key not in ("width", "max-width", "height"):
                element.set(key, value)
        for key in element.attrib:
            if key.lower().startswith("on"):
                raise ValueError(f"an SVG attribute {key!r} has no place in a figure")
        for key in [k for k in element.attrib if k == f"{{{_XLINK}}}href"]:
            element.set("href", element.attrib.pop(key))
        href = element.get("href", "#")
        if not href.startswith("#"):
            raise ValueError(f"a figure refers to itself only, not to {href!r}")
    width, height = root.get("viewBox", "0 0 0 0").split()[2:]
    root.attrib.update(width=f"{float(width):g}", height=f"{float(height):g}")
    ET.register_namespace("", _SVG)
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=True).strip())


def _declarations(style: str) -> list[tuple[str, str]]:
    found = []
    for declaration in style.split(";"):
        key, colon, value = declaration.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            continue
        found += _font(value) if key == "font" else [(key, value)]
    return found


def _font(value: str) -> list[tuple[str, str]]:
    parts = _FONT.fullmatch(value)
    if parts is None:
        raise ValueError(f"a font is written as 'weight size family', not {value!r}")
    found = [("font-size", parts["size"]), ("font-family", parts["family"])]
    for word in parts["words"].split():
        if _WEIGHTS.fullmatch(word):
            found.append(("font-weight", word))
        elif word in ("italic", "oblique"):
            found.append(("font-style", word))
    return found
