"""How sure the model is: close calls of the float model, and what quantization changes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput, Infeasible
from calibkit.policies.candidates import CandidatePolicy, on_grid
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.pool import Pool
from calibkit.policies.widths import Bits


class Margin(CandidatePolicy, name="margin"):
    """Take the documents that the float model finds hardest, or easiest, to tell the label of.

    The margin is the best minus the second best log score of a label; small ones first with
    ``side: small``, large ones first with ``side: large``. Margin sampling: Scheffer, Decomain &
    Wrobel, "Active hidden Markov models for information extraction", 2001. O(n log n).

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    Margins are compared in steps of 2^-20 of the largest, ties go to the first document id. By
    default, when more than half of the pool is asked for, the rest follows in the order of the
    keyed draw. Margins that are all the same are Infeasible.
    """

    needs: ClassVar[tuple[str, ...]] = ("margins",)
    nested: ClassVar[bool] = True

    side: Literal["small", "large"] = "small"

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates in the order of their margins, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        margins = _steps(pool, "margins", self.name, candidates, size)
        order = np.argsort(margins if self.side == "small" else -margins, kind="stable")
        return self.filled(candidates[order], keyed, size)


class Disagreement(CandidatePolicy, name="disagreement"):
    """Take the documents on which quantization changes the label distribution most.

    Largest Kullback-Leibler divergence first, of the distribution of the model quantized to
    ``bits`` bits from that of the float model. The two stand for the committee of query by
    committee (Seung, Opper & Sompolinsky, 1992; by divergence: McCallum & Nigam, 1998). O(n log n).

    ``candidates``: the selection runs on so many documents of the keyed draw, by default on half
    the pool (rounded up); what differs between seeds is which documents are candidates.

    Divergences are compared in steps of 2^-20 of the largest, ties go to the first document id. By
    default, when more than half of the pool is asked for, the rest follows in the order of the
    keyed draw. Divergences that are all the same are Infeasible.
    """

    nested: ClassVar[bool] = True

    bits: Bits = 4

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on a parameter here
        """``disagreement:BITS``."""
        return (f"disagreement:{self.bits}",)

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the candidates in the order of their divergences, cut to ``size``."""
        candidates, keyed = self.keyed(pool, size, draw)
        divergences = _steps(pool, self.needs[0], self.name, candidates, size)
        order = np.argsort(-divergences, kind="stable")
        return self.filled(candidates[order], keyed, size)


def _steps(pool: Pool, array: str, policy: str, rows: Rows, size: int) -> NDArray[np.float64]:
    """Return one number per row, as whole steps of 2^-20 of the largest."""
    values = pool.need(array, policy)[rows]
    if values.ndim != 1:
        raise BadInput(f"{policy}: {array!r} must have one number per document, not {values.shape}")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise BadInput(f"{policy}: the {array!r} of {bad:,} documents are not finite numbers")
    if size > 1 and len(values) > 1 and not (values != values[0]).any():
        raise Infeasible(
            f"{policy}: the {array!r} of all {len(values):,} candidates are {values[0]:g}, so none "
            "comes before another; look through another model, or use policy random"
        )
    return on_grid(values)[:, 0]
