"""Bit widths as parameters of a policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Bits = Annotated[int, Field(ge=2, le=8)]
"""The type of a parameter that is one bit width."""


def _falling(widths: list[int]) -> list[int]:
    repeated = sorted({bits for bits in widths if widths.count(bits) > 1}, reverse=True)
    if repeated:
        raise ValueError(f"{', '.join(map(str, repeated))} stands there more than once")
    return sorted(widths, reverse=True)


BitWidths = Annotated[list[Bits], Field(min_length=1), AfterValidator(_falling)]
"""The type of a parameter that is several bit widths; any order of them is the same policy."""


def option(widths: list[int]) -> str:
    """Return the widths as the option of a need: ``8,4,2``."""
    return ",".join(map(str, widths))
