"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from calibkit.report import wording as w


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (w.percent(0.7834), "78.3"),
        (w.percent(None), "–"),
        (w.percent(math.nan), "–"),
        (w.points(0.1234), "+12.3"),
        (w.points(-0.0021), "−0.21"),
        (w.points(0.00996), "+1.0"),
        (w.points(0.0), "0.00"),
        (w.points(-0.000001), "0.00"),
        (w.points(0.000001), "0.00"),
        (w.span(-0.002, 0.0061), "[−0.20, +0.61]"),
        (w.span(0.08, 0.271), "[+8.0, +27.1]"),
        (w.span(0.74, 0.758, signed=False), "[74.0, 75.8]"),
        (w.span(None, 0.1), "no interval"),
        (w.with_half(0.5, 0.4, 0.6), "50.0 ± 10.0"),
        (w.with_half(0.5, None, None), "50.0"),
        (w.p_value(0.03125), "p = .031"),
        (w.p_value(0.0002), "p < .001"),
        (w.p_value(1.0), "p = 1"),
        (w.p_value(None), "no p value"),
        (w.fixed(-0.04, 1), "0.0"),
        (w.fixed(-1234.5, 1), "−1,234.5"),
        (w.count(1, "draw"), "1 draw"),
        (w.count(1200, "draw"), "1,200 draws"),
        (w.duration(0.5), "0.50 s"),
        (w.duration(9.44), "9.4 s"),
        (w.duration(80), "80 s"),
        (w.duration(600), "10 min"),
        (w.duration(7200), "2.0 h"),
        (w.listed([]), ""),
        (w.listed(["a"]), "a"),
        (w.listed(["a", "b", "c"]), "a, b and c"),
        (w.listed(list("abcdef"), 3), "a, b and 4 more"),
        (w.between([0.002, 0.014], "points"), "0.2 to 1.4 points"),
        (w.between([0.002], "points"), "0.20 points"),
    ],
)
def test_numbers_are_written_so(said, expected):
    assert said == expected
