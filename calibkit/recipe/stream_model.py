"""What a recipe of a stream may say, beyond what every recipe has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from calibkit.quantize.schemes import Bits, SchemeSettings
from calibkit.recipe.model import (
    Alias,
    Line,
    ModelSection,
    PlainCorpusSection,
    PolicySection,
    Seed,
    Size,
    Slug,
    Split,
    Strict,
    keys_of,
    pair,
    whole_number,
)
from calibkit.recipe.yaml_source import Path

SubsetUpdate = Literal[
    "frozen", "fifo", "reservoir", "herding", "range-cover", "miss-pmf", "everything"
]
"""How a subset follows a stream; ``everything`` has no budget and is a reference."""

ModelUpdate = Literal[
    "frozen",
    "ranges",
    "gpfq",
    "greedy-flips",
    "learned-flips",
    "random-flips",
    "recalibrate",
    "fine-tune",
]
"""How a quantized model follows its subset."""

PARAMETERS: Mapping[ModelUpdate, tuple[str, ...]] = {
    "frozen": (),
    "ranges": (),
    "gpfq": ("layers", "ranges"),
    "greedy-flips": ("layers", "ranges", "most_flips"),
    "learned-flips": ("layers", "ranges", "most_flips", "without"),
    "random-flips": ("layers", "ranges", "most_flips", "without"),
    "recalibrate": (),
    "fine-tune": ("epochs", "learning_rate"),
}
"""The parameters that each way to update a model has."""

Feature = Literal[
    "residual",
    "optimum",
    "correlation",
    "share",
    "need",
    "power",
    "redundancy",
    "step",
    "position",
    "layer",
]
"""Features of `calibkit.quantize.flip_features`, which needs torch; a test holds them together."""

UpdatedLayer = Literal["gates", "linear"]
"""Layers whose codes an update may change: the LSTM's gates, and the classifier or decoder."""

Column = Literal["tokens", "rarity", "label"]
"""Columns of documents that a stream may be ordered by."""

STREAM_AXES = ("model", "method", "policy", "size", "seed", "bits", "preset")
"""Axes that ``grid:`` may have; the last one is optional."""

Amount = Annotated[int, Field(gt=0, le=1_000_000)]
Few = Annotated[int, Field(gt=0, le=1_000)]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
NoiseLevel = Annotated[float, Field(ge=0, le=1)]
Quantiles = Annotated[
    list[Annotated[float, Field(ge=0, le=1)]],
    Field(min_length=2, max_length=2),
    BeforeValidator(pair),
]


class ContentSection(Strict):
    """Which documents come, and what happens to them on the way."""

    corpus: Slug | None = None
    """Another corpus of the store. Its labels must be among those of the recipe's corpus."""
    labels: Annotated[dict[str, Weight], Field(min_length=1)] | None = None
    """Label -> weight; those that are not named do not come. Without it, labels come as they do
    in the split."""
    noise: dict[str, NoiseLevel] = {}
    """One noise kind and its level, as in ``{keyboard: 0.1}``."""
    between: dict[Column, Quantiles] = {}
    """Column -> the two quantiles, in [0, 1], that documents stand between: ``tokens`` their
    length, ``rarity`` the mean of -log(share of training documents that have the token),
    ``label`` the place of their label in the corpus."""


class PhaseSection(ContentSection):
    """A stretch of the stream in which nothing changes."""

    name: Slug
    batches: Few


class DriftSection(Strict):
    """Phases ``drift-1``, ``drift-2``, ... on a straight line from one content to another."""

    phases: Annotated[int, Field(ge=2, le=1_000)]
    batches: Few
    """Of every phase."""
    first: ContentSection
    last: ContentSection


class OrderSection(Strict):
    """Phases by a column: the i-th has the i-th part of its quantiles."""

    by: Column
    phases: Annotated[int, Field(ge=2, le=1_000)]
    batches: Few
    """Of every phase."""


class StreamSection(Strict):
    """What comes, in which batches, and on what the network is measured."""

    batch: Amount
    """Documents of a batch."""
    hold_out: Amount
    """Documents on which each phase is measured; the same ones for every draw."""
    batches_from: Split = "valid"
    hold_out_from: Split = "test"
    noise_seed: Seed = 0
    phases: Annotated[list[PhaseSection], Field(min_length=1)] | None = None
    """One of this, ``drift`` and ``order``."""
    drift: DriftSection | None = None
    order: OrderSection | None = None


class MethodSection(Strict):
    """How the subset follows the stream and how the network follows the subset."""

    subset: SubsetUpdate
    model: ModelUpdate
    layers: Annotated[list[UpdatedLayer], Field(min_length=1)] | None = None
    """Whose codes are chosen anew. Default [linear]: on noisy states, gates whose outputs come
    nearer to the float model's make for a worse network."""
    ranges: bool | None = None
    """Whether activation ranges are estimated from the subset first. Default false: few documents
    tell too little of them."""
    most_flips: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest share of the codes of a matrix that one update moves. Default 0.3."""
    without: Annotated[list[Feature], Field(min_length=1)] | None = None
    """Features that the flip predictor does not see."""
    epochs: Few | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None


class StreamGridSection(Strict):
    """Every list is crossed with every other."""

    model: Annotated[list[str], Field(min_length=1)]
    method: Annotated[list[str], Field(min_length=1)]
    policy: Annotated[list[str], Field(min_length=1)]
    """What draws the subset that a trajectory starts with."""
    size: Annotated[list[Size], Field(min_length=1)]
    seed: Annotated[list[Seed], Field(min_length=1)]
    """Each is a draw of its own: of the start subset and of the batches."""
    bits: Annotated[list[Bits], Field(min_length=1)]
    preset: Annotated[list[str], Field(min_length=1)] | None = None


class StreamDocument(Strict):
    """A whole recipe of a stream."""

    calibkit: Annotated[Literal[1], BeforeValidator(whole_number)]
    """Version of the recipe format."""
    name: Slug
    about: Line = ""
    corpus: PlainCorpusSection
    models: Annotated[dict[Alias, ModelSection], Field(min_length=1)]
    policies: Annotated[dict[Alias, PolicySection], Field(min_length=1)]
    quantize: SchemeSettings = SchemeSettings()
    schemes: dict[Alias, SchemeSettings] = {}
    stream: StreamSection
    methods: Annotated[dict[Alias, MethodSection], Field(min_length=1)]
    grid: StreamGridSection


def stream_keys_of(path: Path) -> list[str] | None:
    """Return the keys that the mapping at ``path`` may have; None where they are free."""
    fixed: dict[Path, type[BaseModel]] = {
        (): StreamDocument,
        ("corpus",): PlainCorpusSection,
        ("grid",): StreamGridSection,
        ("stream",): StreamSection,
        ("stream", "drift"): DriftSection,
        ("stream", "drift", "first"): ContentSection,
        ("stream", "drift", "last"): ContentSection,
        ("stream", "order"): OrderSection,
    }
    model = fixed.get(path)
    if path[:2] == ("stream", "phases") and len(path) == 3:
        model = PhaseSection
    elif path[:1] == ("methods",) and len(path) == 2:
        model = MethodSection
    if model is None:
        return keys_of(path)
    return [info.alias or name for name, info in model.model_fields.items()]
