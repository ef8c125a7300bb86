"""The colours of figures, by role; in an SVG each is a CSS variable that a page may set.

Series colours start from Okabe & Ito (2008), which people with colour-blindness can tell apart,
moved in lightness until each has a contrast of at least 3:1 against white and against #14181d.
"""

from __future__ import annotations

FG = "#1b1f24"
MUTED = "#5a646e"
GRID = "#d5dae0"
BAND = "#b4bcc6"
BACKGROUND = "#fefefe"
SERIES = (
    "#0b78b8",  # blue
    "#d05f05",  # vermilion
    "#0a9170",  # green
    "#b4609a",  # purple
    "#a97a08",  # ochre
    "#7467c4",  # violet
    "#6d7883",  # grey
    "#9b6242",  # brown
)
HEAT = (
    "#f1f6fa",
    "#dbe8f3",
    "#c1d8eb",
    "#a1c4e0",
    "#7cadd3",
    "#5692c3",
    "#3677af",
    "#1d5b97",
    "#0c3f78",
)
"""From little to much, one hue, so that it also prints in grey."""
SIDES = (
    "#b34f04",
    "#d8792f",
    "#eda96f",
    "#f8d6b8",
    "#f2f2f1",
    "#c4dcee",
    "#85b6da",
    "#4389bf",
    "#12609d",
)
"""From below zero to above, orange to blue."""
_ON_DARK, _ON_LIGHT = "#fdfdfe", "#14181d"


def text_on(fill: str) -> str:
    """Return the text colour, dark or light, that has more contrast on ``fill``."""
    lightness = _luminance(fill)
    on_light = (lightness + 0.05) / (_luminance(_ON_LIGHT) + 0.05)
    on_dark = (_luminance(_ON_DARK) + 0.05) / (lightness + 0.05)
    return _ON_LIGHT if on_light >= on_dark else _ON_DARK


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it, from 1 to 21."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


VARIABLES = {
    FG: "--fg",
    MUTED: "--muted",
    GRID: "--grid",
    BAND: "--band",
    BACKGROUND: "--bg",
    _ON_DARK: "--heat-text-light",
    _ON_LIGHT: "--heat-text-dark",
    **{colour: f"--series-{n}" for n, colour in enumerate(SERIES, 1)},
    **{colour: f"--heat-{n}" for n, colour in enumerate(HEAT, 1)},
    **{colour: f"--sides-{n}" for n, colour in enumerate(SIDES, 1)},
}
"""Colour -> name of the CSS variable that stands for its role."""

DARK = {
    "--fg": "#e7eaee",
    "--muted": "#9ba5b0",
    "--grid": "#363d46",
    "--band": "#565f6a",
    "--bg": "#14181d",
    **dict(
        zip(
            (f"--series-{n}" for n in range(1, 9)),
            (
                "#4aa8e0",
                "#f08a3c",
                "#2fb992",
                "#d68abd",
                "#d3a233",
                "#9d92e6",
                "#97a2ae",
                "#c58c69",
            ),
            strict=True,
        )
    ),
}
"""Variable -> colour on a dark page; cells of heat maps bring their own ground and stay."""


def stylesheet(selector: str = ":root") -> str:
    """Return CSS that sets every variable of figures for light pages, and for dark ones."""
    light = "".join(f"{name}:{colour};" for colour, name in VARIABLES.items())
    dark = "".join(f"{name}:{colour};" for name, colour in DARK.items())
    return (
        f"{selector}{{{light}}}\n@media screen and (prefers-color-scheme: dark)"
        f"{{{selector}{{{dark}}}}}\n"
    )
