"""Class mixes that differ from the pool's on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from calibkit.errors import UnknownName
from calibkit.identity import share_out
from calibkit.policies.draw import Draw
from calibkit.policies.draw_plan import DrawnPolicy, DrawPlan
from calibkit.policies.pool import Pool, require_quotas


def _names_as_text(weights: Any) -> Any:
    """Read ``{1: 2}`` as ``{'1': 2}``: YAML turns labels that look like numbers into numbers."""
    if not isinstance(weights, Mapping):
        return weights
    return {
        str(label) if isinstance(label, int) and not isinstance(label, bool) else label: weight
        for label, weight in weights.items()
    }


class Skewed(DrawnPolicy, name="skewed"):
    """Draw at random within labels, in the given proportions.

    ``weights`` (label -> positive number): labels left out get no documents, so ``{World: 1}`` is
    the 1:0:0:0 mix. ``alpha``: the proportions themselves are drawn, from the symmetric Dirichlet
    distribution over the pool's labels, once per seed; the smaller alpha, the more lopsided (Hsu,
    Qi & Brown, arXiv 1909.06335, 2019). ``zipf``: the label of rank r gets a share proportional to
    r^-zipf (Zipf, "Human behavior and the principle of least effort", 1949); the ranks are drawn
    once per seed. Exactly one of the three. Counts by largest remainder.
    """

    weights: Annotated[
        dict[str, PositiveFloat] | None, BeforeValidator(_names_as_text), Field(min_length=1)
    ] = None
    alpha: PositiveFloat | None = None
    zipf: PositiveFloat | None = None

    @model_validator(mode="after")
    def _one_of_the_three(self) -> Self:
        given = [n for n in ("weights", "alpha", "zipf") if getattr(self, n) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} are" if given else "none is"
            raise ValueError(
                f"exactly one of 'weights', 'alpha' and 'zipf' must be given, here {said}; for "
                "example weights: {LABEL: 1}, alpha: 0.5 or zipf: 1"
            )
        return self

    @classmethod
    def example(cls) -> Self:
        """Return the policy that draws its proportions uniformly."""
        return cls(alpha=1.0)

    def labels_named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels that have a weight."""
        return tuple(("weights", label) for label in self.weights or ())

    def draw_plan(self, counts: Mapping[str, int], size: int, draw: Draw) -> DrawPlan:
        """Return the plan that shuffles the labels' quotas together.

        Raises UnknownName for a label that the pool does not have.
        """
        quotas = share_out(size, self._shares(tuple(counts), draw))
        remedy = "ask for fewer documents, or for another mix"
        require_quotas(quotas, counts, self.name, remedy)
        return DrawPlan(size, quotas)

    def proportions(self, pool: Pool, draw: Draw) -> dict[str, float]:
        """Return the weight of each label of a pool that may get documents."""
        return self._shares(pool.label_names, draw)

    def _shares(self, labels: Sequence[str], draw: Draw) -> dict[str, float]:
        if self.zipf is not None:
            order = draw.about(f"{draw.purpose}-zipf").order(labels).tolist()
            rank = {labels[i]: place for place, i in enumerate(order, start=1)}
            return {name: rank[name] ** -self.zipf for name in labels}
        if self.weights is None:
            alphas = np.full(len(labels), self.alpha, dtype=np.float64)
            drawn = draw.generator("dirichlet").dirichlet(alphas)
            return {name: float(p) for name, p in zip(labels, drawn, strict=True)}
        for label in self.weights:
            if label not in labels:
                raise UnknownName("label of the pool", label, labels, "(skewed: weights)")
        return self.weights
