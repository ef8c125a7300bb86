"""Read a recipe: the file, every problem it has at once, and the typed `Recipe` it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from calibkit.errors import BadInput, RecipeError
from calibkit.models.settings import KINDS, settings_from
from calibkit.policies import make_policy
from calibkit.recipe.checks import check, kind_of
from calibkit.recipe.claim_plan import undecidable
from calibkit.recipe.claims import CLAIMED_AXES, MEASURES, Claim
from calibkit.recipe.model import (
    AXES,
    ClaimEntry,
    ModelSection,
    PolicySection,
    RecipeDocument,
    keys_of,
)
from calibkit.recipe.reading import (
    STREAM_KEYS,
    Grammar,
    lines,
    says_stream,
    text_of,
    validated,
)
from calibkit.recipe.recipe import (
    CorpusRef,
    Exclusion,
    Grid,
    Measure,
    ModelChoice,
    PolicyChoice,
    Recipe,
)
from calibkit.recipe.writers import without_writers
from calibkit.recipe.yaml_source import Source, read_source

RECIPE = Grammar(RecipeDocument, check, keys_of)


def load_recipe(path: FilePath | str) -> Recipe:
    """Read and check a recipe file.

    Raises RecipeError with every problem as ``file:line:column: path: message``, and BadInput for
    a file that cannot be read. A recipe of a stream is refused by name.
    """
    return parse_recipe(text_of(FilePath(path)), str(path))


def parse_recipe(text: str, file: str = "recipe.yaml") -> Recipe:
    """Check recipe text; ``file`` is what problems call it. Raises RecipeError."""
    source = read_source(text, file)
    if says_stream(source):
        key = next(key for key in STREAM_KEYS if key in source.value)
        message = f"this recipe describes a stream; run it with `calibkit stream {file}`"
        raise RecipeError(lines(file, [source.problem((key,), message)]))
    recipe = _recipe(validated(source, RECIPE), text)
    try_schemes(recipe, source)
    lacking = [source.problem(("policies", a), text) for a, text in without_writers(recipe)]
    lacking += [source.problem(("claims", n), text) for n, text in undecidable(recipe)]
    if lacking:
        raise RecipeError(lines(file, lacking))
    return recipe


def try_schemes(recipe: Recipe, source: Source) -> None:
    """Raise RecipeError for settings that are right one by one but not together."""
    try:
        next(recipe.cells())
    except BadInput as error:
        place = source.problem(("quantize",), "")
        raise RecipeError([f"{source.file}:{place.line}:{place.column}: {error}"]) from error


def _recipe(document: RecipeDocument, text: str) -> Recipe:
    corpus, grid, measure = document.corpus, document.grid, document.measure
    return Recipe(
        name=document.name,
        about=document.about,
        corpus=CorpusRef(corpus.name, corpus.source, corpus.share, corpus.pool, corpus.test),
        models={alias: model_choice(alias, section) for alias, section in document.models.items()},
        policies={
            alias: policy_choice(alias, section) for alias, section in document.policies.items()
        },
        quantize=document.quantize,
        schemes=dict(document.schemes),
        grid=Grid(
            model=tuple(grid.model),
            policy=tuple(grid.policy),
            size=tuple(grid.size),
            seed=tuple(grid.seed),
            bits=tuple(grid.bits),
            rounding=tuple(grid.rounding) if grid.rounding else None,
            preset=tuple(grid.preset) if grid.preset else None,
        ),
        exclude=tuple(Exclusion(dict(_excluded(entry))) for entry in document.exclude),
        measure=Measure(
            noise=tuple(
                (kind, level)
                for kind in sorted(measure.noise)
                for level in sorted(float(x) for x in measure.noise[kind])
            ),
            distributions=tuple(measure.distributions),
            documents=None if measure.documents == "all" else measure.documents,
            card=measure.card,
        ),
        claims=tuple(_claim(entry) for entry in document.claims),
        text=text,
    )


def _excluded(entry: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for axis in AXES:
        values = getattr(entry, axis)
        if values is not None:
            yield axis, tuple(values)


def _claim(entry: ClaimEntry) -> Claim:
    def written(section: BaseModel | None) -> dict[str, Any]:
        values = {axis: getattr(section, axis, None) for axis in CLAIMED_AXES}
        return {axis: value for axis, value in values.items() if value is not None}

    axis, (a, b) = next(iter(written(entry.compare).items()), (None, (None, None)))
    noise: tuple[str, float | None] = ("none", 0.0)
    if isinstance(entry.noise, str):
        noise = (entry.noise, None)
    elif entry.noise is not None:
        noise = next(iter(entry.noise.items()))
    usual = MEASURES[entry.measure].within if entry.expect == "equal" else None
    return Claim(
        id=entry.id,
        says=entry.says,
        measure=entry.measure,
        expect=entry.expect,
        where=written(entry.where),
        axis=next((known for known in CLAIMED_AXES if known == axis), None),
        a=a,
        b=b,
        noise_kind=noise[0],
        noise=noise[1],
        by=entry.by,
        within=usual if entry.within is None else entry.within,
        family=entry.family,
    )


def model_choice(alias: str, section: ModelSection) -> ModelChoice:
    """Return the float classifier that an entry of ``models`` names."""
    extra = section.model_extra or {}
    name = kind_of(alias, {"use": section.use} if section.use is not None else {})
    kind = next(known for known in KINDS if known == name)
    return ModelChoice(alias, kind, settings_from(kind, extra), tuple(section.seeds))


def policy_choice(alias: str, section: PolicySection) -> PolicyChoice:
    """Return the policy that an entry of ``policies`` names."""
    return PolicyChoice(alias, section.use, make_policy(section.use, section.model_extra))
