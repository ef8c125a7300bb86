"""What is known of a subset before it is built: whether the pool can give it, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from calibkit.corpora.vectors import has_vectors
from calibkit.curate.encoding import Library
from calibkit.curate.features import Features
from calibkit.curate.needs import MAKERS, Asked, positions_in
from calibkit.curate.seen_at_bits import require_checkpoints
from calibkit.curate.selection import whole_pool
from calibkit.errors import CalibkitError, Infeasible, StoreError, UnknownName
from calibkit.models.settings import ModelSettings
from calibkit.policies import AnyPolicy, Draw, Policy, Pool, foreseen
from calibkit.policies.base import labels_gone


@dataclass(frozen=True)
class Verdict:
    """Whether a pool can give a subset; None where only building it tells, ``reason`` says why."""

    feasible: bool | None
    reason: str = ""


@dataclass
class Foresight:
    """Looks at the documents of one corpus, share and pool: at labels and lengths, at no text.

    Nothing is trained, computed through a model, or kept.
    """

    library: Library
    pool_split: str = "train"

    def of(
        self, policy: AnyPolicy, size: int, seed: int, *, through: ModelSettings | None = None
    ) -> Verdict:
        """Return what is known of the subset that ``policy`` would choose or make.

        through: settings of the float model that it looks through, where it needs one. Raises what
        the store raises; whatever a policy raises is why it cannot be had.
        """
        try:
            with labels_gone(self.library.corpus.labels, f"{policy.name}: the pool has"):
                still_open = self._open(policy, size, seed, through)
        except StoreError:
            raise
        except CalibkitError as error:
            return Verdict(False, str(error))
        except Exception as error:  # noqa: BLE001 - a policy may be anybody's
            return Verdict(False, f"{policy.name}: {type(error).__name__}: {error}")
        return Verdict(None if still_open else True, still_open)

    def _open(self, policy: AnyPolicy, size: int, seed: int, through: ModelSettings | None) -> str:
        pool = self._with_stored(policy.every_need)
        if through is not None:
            for need in policy.every_need:
                require_checkpoints(need, f"a {through.kind} model", through.epochs)
        if isinstance(policy, Policy):
            return foreseen(policy, pool, size, Draw(seed))
        return policy.foresee(pool, size, Draw(seed))

    def _with_stored(self, needs: Iterable[str]) -> Pool:
        """Return the pool with those arrays that are read from the store as they stand there.

        Raises Infeasible, BadInput or UnknownName for those that can never be had.
        """
        pool = self._pool
        for need in needs:
            name, _, option = need.partition(":")
            if name not in MAKERS and name not in ("tokens", "writer"):
                raise UnknownName("need of a policy", name, [*MAKERS, "tokens"])
            if name == "subset":
                features = Features(self.library, self.pool_split)
                asked = Asked(features, pool, option, None)
                pool = pool.with_arrays(**{need: positions_in(asked)})
            elif name == "given" and not self._has_vectors:
                raise Infeasible(
                    f"`features: given` takes vectors that came with the documents, and corpus "
                    f"{self.library.corpus.name!r} has none; `calibkit ingest "
                    f"{self.library.corpus.name} ... --vectors COLUMN` brings them"
                )
        return pool

    @cached_property
    def _pool(self) -> Pool:
        return whole_pool(self.library, self.pool_split)

    @cached_property
    def _has_vectors(self) -> bool:
        with self.library.store.reading() as con:
            return has_vectors(con, self.library.corpus)
