"""A recipe of a stream as the rest of calibkit sees it: phases, methods and trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibkit.identity import content_id
from calibkit.quantize.schemes import Scheme, SchemeSettings
from calibkit.recipe.model import Split
from calibkit.recipe.recipe import (
    CorpusRef,
    Grid,
    Measure,
    ModelChoice,
    PolicyChoice,
    Recipe,
)
from calibkit.recipe.stream_model import (
    PARAMETERS,
    Column,
    ModelUpdate,
    SubsetUpdate,
    UpdatedLayer,
)

MOST_FLIPS = 0.3
"""Share of a matrix's codes that one update moves at most, when a method does not say."""

EPOCHS = 3
LEARNING_RATE = 0.0005


@dataclass(frozen=True)
class Phase:
    """A stretch of a stream in which nothing changes.

    corpus: None for the recipe's own. labels: weights of the labels that come, None for all as they
    come. noise_kind: 'none' where texts come as they are. between: column -> two quantiles.
    """

    name: str
    batches: int
    corpus: str | None = None
    labels: Mapping[str, float] | None = None
    noise_kind: str = "none"
    noise: float = 0.0
    between: Mapping[Column, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything that it says, for ids."""
        return {
            "name": self.name,
            "batches": self.batches,
            "corpus": self.corpus,
            "labels": None if self.labels is None else dict(self.labels),
            "noise": [self.noise_kind, self.noise],
            "between": {column: list(ends) for column, ends in self.between.items()},
        }


@dataclass(frozen=True)
class Stream:
    """What comes, in which batches, and on what each phase is measured.

    batch, hold_out: numbers of documents. batches_from, hold_out_from: splits.
    """

    batch: int
    hold_out: int
    batches_from: Split
    hold_out_from: Split
    noise_seed: int
    phases: tuple[Phase, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """The place of its phase for every batch, in the order in which they come."""
        return tuple(place for place, phase in enumerate(self.phases) for _ in range(phase.batches))

    def as_dict(self) -> dict[str, Any]:
        """Return everything that it says, for ids."""
        return {
            "batch": self.batch,
            "hold_out": self.hold_out,
            "batches_from": self.batches_from,
            "hold_out_from": self.hold_out_from,
            "noise_seed": self.noise_seed,
            "phases": [phase.as_dict() for phase in self.phases],
        }


@dataclass(frozen=True)
class MethodChoice:
    """How a subset follows the stream, and how a quantized network follows the subset.

    Of what stands behind ``model``, only `params` has a meaning for this model update.
    """

    alias: str
    subset: SubsetUpdate
    model: ModelUpdate
    layers: tuple[UpdatedLayer, ...] = ("linear",)
    ranges: bool = False
    most_flips: float = MOST_FLIPS
    without: tuple[str, ...] = ()
    epochs: int = EPOCHS
    learning_rate: float = LEARNING_RATE

    @property
    def is_frozen(self) -> bool:
        """Whether neither subset nor network ever changes."""
        return self.subset == "frozen" and self.model == "frozen"

    def params(self) -> dict[str, Any]:
        """Return the parameters that its model update has."""
        values = {name: getattr(self, name) for name in PARAMETERS[self.model]}
        for name in values.keys() & {"layers", "without"}:
            values[name] = sorted(values[name])
        return values

    def as_dict(self) -> dict[str, Any]:
        """Return everything that decides what it does, for ids; not its alias."""
        return {"subset": self.subset, "model": self.model, "params": self.params()}


@dataclass(frozen=True)
class StreamGrid:
    """The axes in the order in which they were written; None for an axis that is absent."""

    model: tuple[str, ...]
    method: tuple[str, ...]
    policy: tuple[str, ...]
    size: tuple[int, ...]
    seed: tuple[int, ...]
    bits: tuple[int, ...]
    preset: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TrajectoryPoint:
    """One network with its subset going through the stream by one method, as a recipe names it."""

    model: str
    model_seed: int
    method: str
    policy: str
    size: int
    seed: int
    scheme: Scheme
    bits: int
    preset: str


@dataclass(frozen=True)
class StreamRecipe:
    """Everything that determines what happens on a stream. Made by `load_stream_recipe`."""

    name: str
    about: str
    corpus: CorpusRef
    """``test`` is the split of the hold-outs."""
    models: Mapping[str, ModelChoice]
    policies: Mapping[str, PolicyChoice]
    """What draws the subsets that trajectories start with."""
    quantize: SchemeSettings
    schemes: Mapping[str, SchemeSettings]
    stream: Stream
    methods: Mapping[str, MethodChoice]
    grid: StreamGrid
    text: str = field(default="", compare=False)
    """The file as it was read."""

    @property
    def frozen(self) -> MethodChoice:
        """The method that everything is compared with."""
        return next(method for method in self.methods.values() if method.is_frozen)

    def start(self) -> Recipe:
        """Return the ordinary recipe whose cells are the networks that trajectories start with."""
        grid = self.grid
        return Recipe(
            name=self.name,
            about=self.about,
            corpus=self.corpus,
            models=self.models,
            policies=self.policies,
            quantize=self.quantize,
            schemes=self.schemes,
            grid=Grid(grid.model, grid.policy, grid.size, grid.seed, grid.bits, None, grid.preset),
            exclude=(),
            measure=Measure(noise=(), distributions=(), documents=None),
            text=self.text,
        )

    def trajectories(self) -> Iterator[TrajectoryPoint]:
        """Yield every trajectory; the seed changes slowest, then the model, the method fastest."""
        for at in self.start().cells():
            for method in self.grid.method:
                yield TrajectoryPoint(
                    model=at.model,
                    model_seed=at.model_seed,
                    method=method,
                    policy=at.policy,
                    size=at.size,
                    seed=at.seed,
                    scheme=at.scheme,
                    bits=at.bits,
                    preset=at.preset,
                )

    def id(self) -> str:
        """Return the content id of what the recipe asks for, name included.

        Comments, ``about``, key and list order and unused aliases are not part of it.
        """
        methods = {alias: self.methods[alias].as_dict() for alias in sorted(self.grid.method)}
        payload = {"start": self.start().id(), "stream": self.stream.as_dict(), "methods": methods}
        return content_id("recipe", payload)
