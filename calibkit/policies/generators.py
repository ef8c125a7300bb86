"""Generators: ways to make calibration documents that no corpus has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from calibkit.errors import BadInput
from calibkit.policies.base import Choice, origin
from calibkit.policies.draw import Draw
from calibkit.policies.pool import Pool


@dataclass(frozen=True)
class NewDocument:
    """A document that no corpus has: its text, the label it stands for, and what it is made from.

    ``made_from`` is the id of a document of the pool, or empty.
    """

    text: str
    label: str
    made_from: str = ""


@dataclass(frozen=True)
class PoolDocument:
    """A document of the pool as it stands there, among new ones."""

    doc_id: str


Made = NewDocument | PoolDocument


class Generator(Choice):
    """A way to make calibration documents; an instance is nothing but its parameters.

    Registered by its class statement like a policy, and named in recipes in the same way. New
    documents enter the store as documents of the split ``synthetic``, with their provenance.
    ``calibkit.testing.check_generator`` checks the contract.
    """

    @abstractmethod
    def documents(self, pool: Pool, size: int, draw: Draw, source: Source) -> Sequence[Made]:
        """Return ``size`` documents in calibration order, of labels that the pool has.

        pool: the documents of the split that stands model, in order of id. source: their texts,
        the vocabulary, and a generative model where ``needs`` has ``writer``. Equal texts may
        occur, a document of the pool only once. Raises Infeasible, with the numbers, when that
        many cannot be made.
        """

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return what is open about whether the documents could be made; empty: they could.

        Raises Infeasible where they surely could not, BadInput for a size below 1; makes none.
        """
        if size < 1:
            raise BadInput(f"{self.name}: size is {size}; it must be at least 1")
        return f"{self.name} makes documents; whether it can is known when it does"


class Source(Protocol):
    """What a generator may read, and have done for it."""

    def texts(self, doc_ids: Sequence[str]) -> Sequence[str]:
        """Return the texts of documents of the pool."""

    def corrupted(self, doc_ids: Sequence[str], kind: str, level: float, seed: int) -> list[str]:
        """Return the texts of documents of the pool with noise of a kind; some may be empty."""

    def types(self) -> Sequence[str]:
        """Return the types of the training vocabulary, the most frequent first."""

    def text(self, types: Sequence[str]) -> str:
        """Return a text that is read as exactly these types."""

    def prior(self) -> Mapping[str, float]:
        """Return the probability of each label, by the generative float model."""

    def write(
        self, labels: Sequence[str], seeds: Sequence[int], *, temperature: float, top_p: float
    ) -> Sequence[str]:
        """Return one text per label name, written by the float model, each from its own seed."""


def make(
    generator: Generator, pool: Pool, size: int, draw: Draw, source: Source
) -> tuple[Made, ...]:
    """Return what ``generator`` makes, after checking that it kept its promises.

    Raises BadInput for a size below 1, Infeasible for what cannot be made or an array that is not
    there, and BadInput, naming the generator, when what it returned is not ``size`` documents with
    texts and with labels of the pool.
    """
    for array in generator.every_need:
        if array != "writer":
            pool.require_array(array, generator.name)
    if size < 1:
        raise BadInput(f"{generator.name}: size is {size}; it must be at least 1")
    made = tuple(generator.documents(pool, size, draw, source))
    own = [document.doc_id for document in made if isinstance(document, PoolDocument)]
    new = [document for document in made if isinstance(document, NewDocument)]
    named = {*own, *(document.made_from for document in new if document.made_from)}
    foreign = sorted(named.difference(pool.doc_ids)) if named else []
    labels = sorted({document.label for document in new} - set(pool.label_names))
    if len(made) != size:
        wrong = f"{len(made):,} documents where {size:,} were asked for"
    elif len(set(own)) < len(own):
        wrong = f"{len(own) - len(set(own)):,} documents of the pool a second time"
    elif foreign:
        wrong = f"the document {foreign[0]!r}, which the pool does not have"
    elif labels:
        wrong = f"the label {labels[0]!r}, which the pool does not have"
    elif not all(document.text.strip() for document in new):
        wrong = "a document without text"
    else:
        return made
    raise BadInput(
        f"the generator {generator.name!r} ({origin(type(generator))}) returned {wrong}; this is "
        "a defect of the generator"
    )
