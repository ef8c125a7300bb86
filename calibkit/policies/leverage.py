"""Documents as often as the linear layer's inputs depend on them."""

from __future__ import annotations

from typing import ClassVar

from calibkit.errors import Infeasible
from calibkit.policies.base import Policy
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.grams import document_grams, traces
from calibkit.policies.mass import weighted_order
from calibkit.policies.pool import Pool


class Leverage(Policy, name="leverage"):
    """Draw with probability proportional to the leverage score, without replacement.

    The score of a document is the trace of its whitened Gram matrix: the sum of the leverage
    scores of its tokens among all tokens of the pool, as inputs of the linear layer that GPFQ
    rounds (a discriminative model has one input a document, the pooled one), in the pool's at most
    32 strongest directions. Scores rise with length, where tokens are the inputs, and with unusual
    inputs.

    Sampling rows by leverage keeps least-squares problems intact: Drineas, Mahoney &
    Muthukrishnan, "Sampling algorithms for l2 regression and applications", SODA 2006; by those of
    the leading directions: Mahoney & Drineas, "CUR matrix decompositions", PNAS 2009. Drawn as in
    Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006. O(n k + n log n) for n
    documents in k directions.
    """

    needs: ClassVar[tuple[str, ...]] = ("gram",)
    nested: ClassVar[bool] = True

    def pick(self, pool: Pool, size: int, draw: Draw) -> Rows:
        """Return the first ``size`` rows of the weighted draw."""
        pool.require_size(size, self.name)
        order = weighted_order(pool, traces(document_grams(pool, self.name)), draw)
        if len(order) < size:
            raise Infeasible(
                f"{self.name}: asked for {size:,} documents, {len(order):,} of the pool's "
                f"{len(pool):,} have a leverage score above 0; ask for at most {len(order):,}"
            )
        return order[:size]
