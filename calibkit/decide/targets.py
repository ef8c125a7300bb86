"""Which quantizers are looked at together, and how much of a network each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from calibkit.errors import BadInput
from calibkit.quantize.schemes import SchemeSettings, merged_settings
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES

Part = Literal["weights", "activations"]
PARTS: tuple[Part, ...] = ("weights", "activations")

GROUPS: tuple[tuple[Part, str, str], ...] = (
    ("weights", "lstm.weight_*", "lstm.weight_*"),
    ("weights", "all weights", "*"),
    ("activations", "lstm.acc_*", "lstm.acc_*"),
    ("activations", "lstm.sigmoid_*", "lstm.sigmoid_*"),
    ("activations", "lstm activations", "lstm.*"),
    ("activations", "all activations", "*"),
)
"""Quantizers that are also looked at together: part, name, and the pattern of their sites."""


@dataclass(frozen=True)
class Target:
    """Quantizers whose bits are changed together, by site name; most often a single one."""

    name: str
    part: Part
    sites: tuple[str, ...]

    @property
    def is_group(self) -> bool:
        """Whether it is more than one quantizer."""
        return len(self.sites) > 1


def sites_of(kind: str, part: Part) -> tuple[str, ...]:
    """Return the quantizers of one part of a model, in the order of the forward pass."""
    return (WEIGHT_SITES if part == "weights" else ACTIVATION_SITES)[kind]


def fixed_bits(kind: str, settings: SchemeSettings) -> dict[str, int]:
    """Return the bits of the quantizers to which the settings, or their preset, give a width."""
    patterns: Mapping[str, int] = merged_settings(settings)["bits"]
    found: dict[str, int] = {}
    for site in (site for part in PARTS for site in sites_of(kind, part)):
        bits = next((b for pattern, b in patterns.items() if fnmatchcase(site, pattern)), None)
        if bits is not None:
            found[site] = bits
    return found


def targets(kind: str, fixed: Mapping[str, int], only: Sequence[str] = ()) -> tuple[Target, ...]:
    """Return the single quantizers and then the groups of a model that can be looked at.

    fixed: quantizers whose width is given, which are left out. only: patterns of site names; those
    that match none are left out too. Groups are made of what remains; one that is a single
    quantizer, or the same as an earlier one, is no group of its own.

    Raises BadInput for a pattern that matches nothing, and where nothing remains.
    """
    every = [(part, site) for part in PARTS for site in sites_of(kind, part)]
    for pattern in only:
        if not any(fnmatchcase(site, pattern) for _, site in every):
            listed = ", ".join(site for _, site in every)
            raise BadInput(f"--only {pattern!r} matches no quantizer; there are: {listed}")
    free = [
        (part, site)
        for part, site in every
        if site not in fixed and (not only or any(fnmatchcase(site, p) for p in only))
    ]
    if not free:
        raise BadInput(
            "every quantizer that is asked for has its width from the scheme's `bits` "
            f"({', '.join(f'{site}: {bits}' for site, bits in fixed.items())}); nothing is left "
            "to compare: take those bits, or the preset, out"
        )
    singles = [Target(site, part, (site,)) for part, site in free]
    groups: dict[tuple[str, ...], Target] = {}
    for part, name, pattern in GROUPS:
        sites = tuple(s for p, s in free if p == part and fnmatchcase(s, pattern))
        if len(sites) > 1:
            groups.setdefault(sites, Target(name, part, sites))
    return (*singles, *groups.values())
