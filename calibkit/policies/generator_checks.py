"""The contract of a generator as checks; calibkit.testing offers them with a pool to run on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibkit.errors import BadInput, Infeasible
from calibkit.identity import keyed_generator
from calibkit.policies.draw import Draw
from calibkit.policies.generators import Generator, Made, Source, make
from calibkit.policies.pool import Pool
from calibkit.policies.registry import AnyPolicy, find_policy, make_policy

SIZES = (1, 16, 64)
SEEDS = (0, 1, 2)


@dataclass
class ExampleSource:
    """A source without a corpus and without a model: what it gives depends on what is asked.

    vocabulary: how many types there are; at least those that the pool's tokens name.
    """

    pool: Pool
    vocabulary: int = 60

    def __post_init__(self) -> None:
        if self.pool.tokens is not None and len(self.pool.tokens.ids):
            self.vocabulary = max(self.vocabulary, int(self.pool.tokens.ids.max()) - 3)

    def texts(self, doc_ids: Sequence[str]) -> list[str]:
        """Return made-up texts, one for each id."""
        return [self._said("text", doc_id) for doc_id in doc_ids]

    def corrupted(self, doc_ids: Sequence[str], kind: str, level: float, seed: int) -> list[str]:
        """Return the texts with some of their words written backwards."""
        noisy = []
        for doc_id, text in zip(doc_ids, self.texts(doc_ids), strict=True):
            words = text.split()
            hit = keyed_generator(seed, kind, doc_id).random(len(words)) < level
            turned = [w[::-1] if h else w for w, h in zip(words, hit, strict=True)]
            noisy.append(" ".join(turned))
        return noisy

    def types(self) -> tuple[str, ...]:
        """Return made-up words."""
        return tuple(f"word{number}" for number in range(self.vocabulary))

    def text(self, types: Sequence[str]) -> str:
        """Return the types with spaces between them."""
        return " ".join(types)

    def prior(self) -> Mapping[str, float]:
        """Return falling shares of the labels."""
        weights = 1.0 / np.arange(1, len(self.pool.label_names) + 1)
        shares = (weights / weights.sum()).tolist()
        return dict(zip(self.pool.label_names, shares, strict=True))

    def write(
        self, labels: Sequence[str], seeds: Sequence[int], *, temperature: float, top_p: float
    ) -> list[str]:
        """Return made-up texts, one for each label and seed."""
        settings = f"{temperature:g} {top_p:g}"
        return [
            self._said(label, str(seed), settings)
            for label, seed in zip(labels, seeds, strict=True)
        ]

    def _said(self, *about: str) -> str:
        random = keyed_generator(0, "calibkit.testing", *about)
        drawn = random.integers(self.vocabulary, size=random.integers(3, 30))
        return self.text([f"word{number}" for number in drawn])


def check_declaration(generator: Generator, pool: Pool, source: Source) -> None:
    """The generator is registered, documented, and says what it needs and promises."""
    cls = type(generator)
    _expect(find_policy(generator.name) is cls, generator, "is not what its name finds")
    _expect(bool((cls.__doc__ or "").strip()), generator, "has no docstring")
    _expect(isinstance(generator.version, int), generator, "has a version that is no integer")
    _expect(
        isinstance(generator.needs, tuple) and all(isinstance(n, str) for n in generator.needs),
        generator,
        f"must declare needs as a tuple of names, not {generator.needs!r}",
    )


def check_parameters(generator: Generator, pool: Pool, source: Source) -> None:
    """Parameters are JSON, give the same generator back, and unknown ones are refused."""
    wrong = wrong_with_parameters(generator)
    _expect(not wrong, generator, wrong)


def wrong_with_parameters(choice: AnyPolicy) -> str:
    """Return what is wrong with how a policy or generator takes parameters, or nothing."""
    params = choice.params()
    if make_policy(choice.name, json.loads(json.dumps(params))) != choice:
        return f"is not what its own parameters make: {params}"
    try:
        make_policy(choice.name, {**params, "no_such_parameter": 1})
    except BadInput as error:
        return "" if "no_such_parameter" in str(error) else "does not name the unknown parameter"
    return "accepts a parameter that it does not have"


def check_made(generator: Generator, pool: Pool, source: Source) -> None:
    """As many documents as are asked for, with texts, of labels that the pool has."""
    for size in SIZES:
        for seed in SEEDS:
            _made(generator, pool, size, seed, source)


def check_determinism(generator: Generator, pool: Pool, source: Source) -> None:
    """The same draw gives the same documents, whatever numpy's global generator holds."""
    first = _made(generator, pool, 16, 0, source)
    before = repr(np.random.get_state())
    second = _made(generator, pool, 16, 0, source)
    left = repr(np.random.get_state()) == before
    _expect(left, generator, "draws from numpy's global generator")
    _expect(first == second, generator, "makes other documents when asked again")


def check_storage_order(generator: Generator, pool: Pool, source: Source) -> None:
    """The order in which the pool's documents were stored makes no difference."""
    order = np.arange(len(pool))[::-1]
    stored = Pool(
        pool.ids(order),
        tuple(pool.labels[int(row)] for row in order),
        pool.lengths[order],
        {name: array[order] for name, array in pool.arrays.items()},
        None if pool.tokens is None else pool.tokens.take(order),
    )
    _expect(
        _made(generator, stored, 16, 0, source) == _made(generator, pool, 16, 0, source),
        generator,
        "depends on the order in which documents are stored",
    )


def check_nesting(generator: Generator, pool: Pool, source: Source) -> None:
    """A generator that promises nesting makes prefixes."""
    if not generator.nested:
        return
    largest = _made(generator, pool, max(SIZES), 0, source)
    for size in SIZES:
        _expect(
            _made(generator, pool, size, 0, source) == largest[:size],
            generator,
            f"is not nested: its {size} documents do not begin its {max(SIZES)}",
        )


def check_seeds(generator: Generator, pool: Pool, source: Source) -> None:
    """Another seed makes other documents exactly when the generator says that it uses the seed."""
    sets = {frozenset(_made(generator, pool, 16, seed, source)) for seed in SEEDS}
    if generator.uses_seed:
        _expect(len(sets) == len(SEEDS), generator, "makes the same documents for several seeds")
    else:
        _expect(len(sets) == 1, generator, "says that it ignores the seed, and does not")


def check_too_many(generator: Generator, pool: Pool, source: Source) -> None:
    """More documents than the pool has are made, or Infeasible with the number; none is BadInput.

    What a generator makes of nothing is not limited by the pool.
    """
    size = len(pool) + 1
    try:
        _made(generator, pool, size, 0, source)
    except Infeasible as error:
        said = str(error).replace(",", "")
        _expect(str(size) in said, generator, f"must say that {size} were asked for: {said!r}")
    try:
        make(generator, pool, 0, Draw(0), source)
    except BadInput:
        return
    _expect(False, generator, "claims to make no documents at all")


GENERATOR_CHECKS: tuple[Callable[[Generator, Pool, Source], None], ...] = (
    check_declaration,
    check_parameters,
    check_made,
    check_determinism,
    check_storage_order,
    check_nesting,
    check_seeds,
    check_too_many,
)
"""Every clause of the contract: functions of (generator, pool, source), raising AssertionError."""


def _made(
    generator: Generator, pool: Pool, size: int, seed: int, source: Source
) -> tuple[Made, ...]:
    try:
        return make(generator, pool, size, Draw(seed), source)
    except BadInput as error:
        raise AssertionError(str(error)) from error


def _expect(kept: bool, generator: Generator, otherwise: str) -> None:
    if not kept:
        raise AssertionError(f"the generator {generator.name!r} {otherwise}")
