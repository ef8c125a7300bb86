"""How many bits a part of a network may have, counted exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from calibkit.decide.subject import Subject
from calibkit.decide.targets import Part, sites_of
from calibkit.engine.statistics import values_per_site
from calibkit.errors import BadInput
from calibkit.quantize.networks import site_weight


@dataclass(frozen=True)
class Budget:
    """The most bits that the quantizers of a part may have together.

    sizes: site -> values that it quantizes, of all sites of the part; most: bits in total, a whole
    number: the largest that keeps the mean over values at or below what was asked for.
    """

    part: Part
    sizes: Mapping[str, int]
    most: int

    @classmethod
    def of(
        cls,
        part: Part,
        sizes: Mapping[str, int],
        mean: float | None,
        lowest: Mapping[str, int],
        highest: Mapping[str, int],
    ) -> Budget:
        """Return the budget of a mean number of bits; None stands for one bit above the lowest.

        lowest, highest: the assignments between which the mean has to lie.
        Raises BadInput where it does not.
        """
        low, high = (mean_bits(sizes, bits) for bits in (lowest, highest))
        if mean is None:
            mean = min(low + 1, high)
        option = "--budget" if part == "weights" else "--activation-budget"
        unit = "weight" if part == "weights" else "activation value"
        if not low <= mean <= high:
            raise BadInput(
                f"{option} {mean:g}: the schemes to choose from have {low:.5g} to {high:.5g} bits "
                f"per {unit} (all of its quantizers at --low, and at --high, but for those whose "
                "bits the base scheme fixes); give a number between these"
            )
        allowed = Fraction(repr(mean)) * sum(sizes.values())  # 4.1 means 41/10
        return cls(part, sizes, max(math.floor(allowed), used(sizes, lowest)))

    def fits(self, bits: Mapping[str, int]) -> bool:
        """Say whether an assignment stays within the budget."""
        return used(self.sizes, bits) <= self.most


def used(sizes: Mapping[str, int], bits: Mapping[str, int]) -> int:
    """Return the bits of all values together."""
    return sum(size * bits[site] for site, size in sizes.items())


def mean_bits(sizes: Mapping[str, int], bits: Mapping[str, int]) -> float:
    """Return the mean bits of a value."""
    return used(sizes, bits) / sum(sizes.values())


def sizes_of(subject: Subject, part: Part) -> dict[str, int]:
    """Return how many values each quantizer of a part is responsible for.

    Weights: their number; the biases, which have 32 bits, are not counted. Activations: the values
    that pass through on the calibration documents, so that a site counts as often as it is used; a
    generative decoder's input counts for every label.
    """
    if part == "activations":
        return values_per_site(subject.kind, subject.arrays, subject.subset)
    weights = sites_of(subject.kind, "weights")
    return {site: int(site_weight(subject.arrays, site).size) for site in weights}
