"""What a recipe may say: one pydantic model per section. The JSON Schema is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from calibkit.quantize.schemes import Bits, Rounding, SchemeSettings
from calibkit.recipe.claims import USUAL_FAMILY, Expectation, MeasureName

Split = Literal["train", "valid", "test"]
Distribution = Literal["weights", "activations", "token-nll"]
CardKind = Literal["none", "text", "model"]

DISTRIBUTIONS: tuple[Distribution, ...] = ("weights", "activations", "token-nll")
"""What distribution statistics are kept of, when a recipe does not choose."""

AXES = ("model", "policy", "size", "seed", "bits", "rounding", "preset")
"""Axes that ``grid:`` may have; the last two are optional."""

MOST_CELLS = 1_000_000
"""Largest number of cells that one recipe may ask for."""


def _documents(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value == "all" or whole:
        return value
    raise PydanticCustomError("documents", "expected 'all' or a whole number above 0")


def _level(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
        message = "level 0 is always measured (the clean documents); leave it out"
        raise PydanticCustomError("clean_level", message)
    return value


def whole_number(value: Any) -> Any:
    """Keep what is equal to 1 without being the whole number from passing for it."""
    return value if type(value) is int else None


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def pair(value: Any) -> Any:
    """Keep a list of two values."""
    if isinstance(value, list) and len(value) == 2:
        return value
    raise PydanticCustomError("pair", "expected two values, [A, B]")


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,63}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*$", max_length=400)]
CorpusSource = Annotated[str, StringConstraints(pattern=r"^(docstrings|hub:\S.*)$")]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Size = Annotated[int, Field(gt=0, lt=2**31)]
Level = Annotated[float, Field(gt=0, le=1), BeforeValidator(_level)]
Documents = Annotated[int | Literal["all"], BeforeValidator(_documents)]


class Strict(BaseModel):
    """No unknown keys, no conversions between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


class Named(BaseModel):
    """A section whose further keys belong to what it names with ``use``."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class PlainCorpusSection(Strict):
    """Which documents: a corpus of the store, or where to get it when it is not there yet."""

    name: Slug
    source: CorpusSource | None = Field(default=None, alias="from")
    """``docstrings`` or ``hub:ORG/DATASET[:CONFIG]``."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Deterministic keyed share of every split."""
    pool: Split = "train"


class CorpusSection(PlainCorpusSection):
    """A corpus, and the split of it that is measured on."""

    test: Split = "test"


class ModelSection(Named):
    """A kind of float classifier, its settings, and how many of it are trained."""

    use: str | None = None
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]


class PolicySection(Named):
    """A policy of the registry and its parameters."""

    use: str


class GridSection(Strict):
    """Every list is crossed with every other."""

    model: Annotated[list[str], Field(min_length=1)]
    policy: Annotated[list[str], Field(min_length=1)]
    size: Annotated[list[Size], Field(min_length=1)]
    seed: Annotated[list[Seed], Field(min_length=1)]
    bits: Annotated[list[Bits], Field(min_length=1)]
    rounding: Annotated[list[Rounding], Field(min_length=1)] | None = None
    """An absent axis takes its value from ``quantize``, then from the preset."""
    preset: Annotated[list[str], Field(min_length=1)] | None = None
    """Presets, and aliases of ``schemes``."""


def _one_or_more(kind: str) -> Any:
    one = {"type": kind}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})


Texts = Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list), _one_or_more("string")]
Numbers = Annotated[
    list[int], Field(min_length=1), BeforeValidator(_as_list), _one_or_more("integer")
]


class ExcludeEntry(Strict):
    """Cells left out of the grid: those that have one of the given values on every given axis."""

    model: Texts | None = None
    policy: Texts | None = None
    size: Numbers | None = None
    seed: Numbers | None = None
    bits: Numbers | None = None
    rounding: Texts | None = None
    preset: Texts | None = None


class MeasureSection(Strict):
    """What is measured of every cell, besides accuracy on the clean test documents."""

    noise: dict[str, Annotated[list[Level], Field(min_length=1)]] = {}
    """Noise kind -> levels, in fractions of the eligible characters (or words). Those of
    ``unk-match`` and ``unk-match-KIND`` are levels of keyboard and of KIND, whose unknown words
    they match. All kinds: `calibkit.corpora.noise`."""
    distributions: list[Distribution] = list(DISTRIBUTIONS)
    documents: Documents = "all"
    """How many test documents."""
    card: CardKind = "none"
    """Coverage cards of the subsets: ``text`` has the metrics that take no model, ``model`` those
    under each float model of the grid as well. They change no result."""


TextPair = Annotated[list[str], Field(min_length=2, max_length=2), BeforeValidator(pair)]
NumberPair = Annotated[list[int], Field(min_length=2, max_length=2), BeforeValidator(pair)]
Amount = Annotated[float, Field(ge=0, le=1_000_000)]
Margin = Annotated[float, Field(gt=0, le=1_000_000)]


class CompareSection(Strict):
    """The two values, [A, B], of the one axis that a claim compares along."""

    model: TextPair | None = None
    policy: TextPair | None = None
    size: NumberPair | None = None
    bits: NumberPair | None = None
    rounding: TextPair | None = None
    preset: TextPair | None = None


class WhereSection(Strict):
    """The values of the other axes. One that is left out must have a single value in the grid."""

    model: str | None = None
    policy: str | None = None
    size: int | None = None
    bits: int | None = None
    rounding: str | None = None
    preset: str | None = None


class ClaimEntry(Strict):
    """A statement that is declared before it is measured; `calibkit claims` judges it."""

    id: Slug
    says: Annotated[Line, Field(min_length=1)]
    """The claim in a sentence."""
    family: Slug = USUAL_FAMILY
    """Claims of one family share one error rate (Holm)."""
    compare: CompareSection | None = None
    """A and B; without it, the measure itself is held against 0."""
    where: WhereSection = WhereSection()
    measure: MeasureName
    noise: dict[str, Level] | str | None = None
    """Noise kind and level, as in ``{keyboard: 0.1}``; for ``noise_auc`` the kind alone."""
    expect: Expectation
    """How the measure of A is to that of B."""
    by: Amount = 0.0
    """With lower and higher: by at least so many points of accuracy, nats, or what it counts."""
    within: Margin | None = None
    """With equal: no further apart than so many of these; 0.5 points where it is an accuracy."""


class RecipeDocument(Strict):
    """A whole recipe."""

    calibkit: Annotated[Literal[1], BeforeValidator(whole_number)]
    """Version of the recipe format."""
    name: Slug
    about: Line = ""
    corpus: CorpusSection
    models: Annotated[dict[Alias, ModelSection], Field(min_length=1)]
    policies: Annotated[dict[Alias, PolicySection], Field(min_length=1)]
    quantize: SchemeSettings = SchemeSettings()
    schemes: dict[Alias, SchemeSettings] = {}
    """Alias -> settings that override those of ``quantize``, key by key; ``grid.preset`` names
    aliases like presets."""
    grid: GridSection
    exclude: list[ExcludeEntry] = []
    measure: MeasureSection = MeasureSection()
    claims: list[ClaimEntry] = []
    """What the recipe is to decide; part of its text, and of the identity of nothing."""


def keys_of(path: tuple[str | int, ...]) -> list[str] | None:
    """Return the keys that the mapping at ``path`` may have; None where they are free."""
    sections: dict[str, type[BaseModel]] = {
        "corpus": CorpusSection,
        "quantize": SchemeSettings,
        "grid": GridSection,
        "exclude": ExcludeEntry,
        "measure": MeasureSection,
        "claims": ClaimEntry,
    }
    inner: dict[str, type[BaseModel]] = {"compare": CompareSection, "where": WhereSection}
    if path == ("quantize", "rounding") or (path[:1] == ("schemes",) and path[2:] == ("rounding",)):
        return ["linear", "gates", "embedding"]
    depth = 2 if path[:1] in (("exclude",), ("claims",)) else 1
    if not path:
        model: type[BaseModel] = RecipeDocument
    elif len(path) == 2 and path[0] == "schemes":
        model = SchemeSettings
    elif len(path) == 3 and path[0] == "claims" and path[2] in inner:
        model = inner[str(path[2])]
    elif len(path) == depth and path[0] in sections:
        model = sections[str(path[0])]
    else:
        return None
    return [info.alias or name for name, info in model.model_fields.items()]
