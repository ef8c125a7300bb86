"""Schemes, ranges, rounding and the Brevitas networks they produce."""
