"""Coverage cards in the store: made once, kept line by line, found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property

from calibkit.curate.card_inputs import CardInputs, CardSource
from calibkit.curate.encoding import Content, Library, artefacts_of, made_once
from calibkit.curate.features import Tell, untold
from calibkit.curate.float_models import ModelArtefact
from calibkit.errors import BadInput
from calibkit.identity import content_id
from calibkit.policies.card import (
    DRAWS,
    LEAST_DRAWS,
    MODEL_METRICS,
    OUTSIDE,
    OUTSIDE_ALL,
    TEXT_METRICS,
    Envelope,
    Line,
    Metric,
    envelope,
    in_short,
    in_words,
    line_of_all,
    lines_of,
    random_rows,
)
from calibkit.store.rows import insert

CARD = 1
"""Version of the metrics; raised whenever the same documents begin to have other numbers."""

NO_MODEL = ""
"""What stands for a model where a line takes none."""

TOO_LARGE = "the subset is larger than the pool, so no random draw has its size"


@dataclass(frozen=True)
class Card:
    """A subset's card, as it stands in the store.

    pool, share: what it was held against. model_id: of the float model, or '' for the card without
    the lines that take one. existed: whether the store had all of it before.
    """

    subset_id: str
    pool: str
    share: float
    model_id: str
    draws: int
    lines: tuple[Line, ...]
    existed: bool = False

    @property
    def words(self) -> str:
        """The card in one line."""
        return in_words(self.lines, self.draws)

    @property
    def short(self) -> str:
        """The card in a few words."""
        return in_short(self.lines)


@dataclass
class CardMaker:
    """Makes the cards of subsets of one corpus, share and pool; what they share is made once.

    draws: random draws that a subset is compared with. tell: is told what takes a while.
    """

    library: Library
    pool: str
    draws: int = DRAWS
    tell: Tell = untold
    _under: dict[str, CardInputs] = field(default_factory=dict)
    _envelopes: dict[tuple[str, int], Envelope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.draws < LEAST_DRAWS:
            raise BadInput(
                f"{self.draws} random draws have no 5th and 95th percentile; "
                f"take {LEAST_DRAWS} or more"
            )

    def known(self) -> set[tuple[str, str]]:
        """Return (subset_id, model_id) of the cards that the store has; '' for no model."""
        if not self.library.store.exists():
            return set()
        with self.library.store.reading() as con:
            return set(
                con.execute(
                    "SELECT DISTINCT subset_id, model_id FROM subset_cards"
                    " WHERE pool = ? AND share = ? AND draws = ? AND version = ?",
                    [self.pool, self.library.share, self.draws, CARD],
                ).fetchall()
            )

    def stored(self, subset_id: str, model: ModelArtefact | None = None) -> Card | None:
        """Return a card that the store has, or None."""
        model_id = NO_MODEL if model is None else model.id
        text = self._read(subset_id, NO_MODEL)
        lines = text if model is None or not text else self._read(subset_id, model_id)
        if not lines:
            return None
        both = text if model is None else (*text, *lines)
        return Card(subset_id, self.pool, self.library.share, model_id, self.draws, both, True)

    def card(self, subset_id: str, model: ModelArtefact | None = None) -> Card:
        """Return the card of a stored subset, under a float model if one is given; kept.

        Raises BadInput for a subset that the store does not have and for a model that was trained
        on other text, Infeasible where the pool has nothing to be held against.
        """
        found = self.stored(subset_id, model)
        if found is not None:
            return found
        doc_ids = self._documents_of(subset_id)
        text, draws = self._measured(doc_ids, TEXT_METRICS, self._source.text)
        every = (*text, line_of_all(OUTSIDE, text, draws))
        self._keep(subset_id, NO_MODEL, every)
        if model is not None:
            lines, more = self._measured(doc_ids, MODEL_METRICS, self._inputs(model))
            joint = {**draws, **more} if draws and more else {}
            lines = (*lines, line_of_all(OUTSIDE_ALL, (*text, *lines), joint))
            self._keep(subset_id, model.id, lines)
        card = self.stored(subset_id, model)
        assert card is not None
        return replace(card, existed=False)

    @cached_property
    def _source(self) -> CardSource:
        return CardSource(self.library, self.pool, self.tell)

    def _inputs(self, model: ModelArtefact) -> CardInputs:
        if model.id not in self._under:
            self._under.clear()  # a model's arrays are large
            self._under[model.id] = self._source.under(model)
        return self._under[model.id]

    def _measured(
        self, doc_ids: Sequence[str], metrics: Sequence[Metric], given: CardInputs
    ) -> tuple[tuple[Line, ...], Envelope]:
        subset, reasons = self._source.subset(doc_ids, given)
        draws: Envelope = {}
        if len(subset) <= len(given.documents):
            draws = self._envelope(len(subset), metrics, given)
        else:
            reasons = reasons | {"envelope": TOO_LARGE}
        lines = [
            line
            for metric in metrics
            for line in lines_of(
                metric, subset, given.reference, draws.get(metric.name), reasons=reasons
            )
        ]
        return tuple(lines), draws

    def _envelope(self, size: int, metrics: Sequence[Metric], given: CardInputs) -> Envelope:
        """Return the metrics of random draws; the same for every subset of a size, so kept."""
        model_id = NO_MODEL if given.model is None else given.model.id
        at = (model_id, size)
        if at not in self._envelopes:
            library = self.library
            source = [library.corpus.corpus_id, library.share, self.pool]
            made_from = ["envelope", CARD, *source, size, self.draws, model_id]

            def make() -> Content:
                self.tell(f"measuring {self.draws} random draws of {size:,} documents")
                there = [m for m in metrics if not _missing(m, given)]
                rows = random_rows(len(given.documents), size, self.draws)
                return envelope(there, given.documents, given.reference, rows), {}

            key = content_id("artefact", made_from)
            found = made_once(artefacts_of(library.store), "envelope", key, make)
            self._envelopes[at] = dict(found.tensors)
        return self._envelopes[at]

    # ------------------------------------------------------------------------------- the store

    def _documents_of(self, subset_id: str) -> tuple[str, ...]:
        with self.library.store.reading() as con:
            rows = con.execute(
                "SELECT doc_id FROM subset_documents WHERE subset_id = ? ORDER BY position",
                [subset_id],
            ).fetchall()
        if not rows:
            raise BadInput(
                f"the store has no subset {subset_id!r}; `calibkit list subsets` shows them"
            )
        return tuple(str(row[0]) for row in rows)

    def _read(self, subset_id: str, model_id: str) -> tuple[Line, ...]:
        names = ", ".join(f.name for f in fields(Line))
        with self.library.store.reading() as con:
            rows = con.execute(
                f"SELECT {names} FROM subset_cards WHERE subset_id = ? AND pool = ?"  # noqa: S608
                " AND share = ? AND model_id = ? AND draws = ? AND version = ? ORDER BY ordinal",
                [subset_id, self.pool, self.library.share, model_id, self.draws, CARD],
            ).fetchall()
        return tuple(Line(*row) for row in rows)

    def _keep(self, subset_id: str, model_id: str, lines: Sequence[Line]) -> None:
        shared = {
            "subset_id": subset_id,
            "pool": self.pool,
            "share": self.library.share,
            "model_id": model_id,
            "draws": self.draws,
            "version": CARD,
            "created_at": datetime.now(UTC).replace(tzinfo=None),
        }
        rows = [shared | {"ordinal": place} | asdict(line) for place, line in enumerate(lines)]
        with self.library.store.writing() as con:
            insert(con, "subset_cards", rows)


def _missing(metric: Metric, given: CardInputs) -> bool:
    return any(getattr(given.documents, need) is None for need in metric.needs)
