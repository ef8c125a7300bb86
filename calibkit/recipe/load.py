"""Read a recipe: the file, every problem it has at once, and the typed `Recipe` it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from calibkit.errors import BadInput, RecipeError, nearest
from calibkit.models.settings import KINDS, settings_from
from calibkit.policies import make_policy
from calibkit.recipe.checks import check, kind_of
from calibkit.recipe.claim_plan import undecidable
from calibkit.recipe.claims import CLAIMED_AXES, MEASURES, Claim
from calibkit.recipe.model import AXES, ClaimEntry, ModelSection, PolicySection, RecipeDocument
from calibkit.recipe.recipe import (
    CorpusRef,
    Exclusion,
    Grid,
    Measure,
    ModelChoice,
    PolicyChoice,
    Recipe,
)
from calibkit.recipe.wording import found, problems_of
from calibkit.recipe.writers import without_writers
from calibkit.recipe.yaml_source import MOST_BYTES, Problem, Source, read_source


def load_recipe(path: FilePath | str) -> Recipe:
    """Read and check a recipe file.

    Raises RecipeError with every problem as ``file:line:column: path: message``, and BadInput for
    a file that cannot be read.
    """
    file = FilePath(path)
    return parse_recipe(_text_of(file), str(path))


def parse_recipe(text: str, file: str = "recipe.yaml") -> Recipe:
    """Check recipe text; ``file`` is what problems call it. Raises RecipeError."""
    source = read_source(text, file)
    problems = set(source.problems)
    document = None
    if isinstance(source.value, dict):
        document, more = _validate(source)
        problems.update(more)
    elif source.was_read(()):
        problems.add(source.problem((), f"expected a mapping, found {found(source.value)}"))
    if problems or document is None:
        raise RecipeError(_lines(file, problems))
    recipe = _recipe(document, text)
    try:
        next(recipe.cells())
    except BadInput as error:  # settings that are right one by one but not together
        raise RecipeError([f"{file}:{_line(source, 'quantize')}: {error}"]) from error
    lacking = [source.problem(("policies", a), text) for a, text in without_writers(recipe)]
    lacking += [source.problem(("claims", n), text) for n, text in undecidable(recipe)]
    if lacking:
        raise RecipeError(_lines(file, lacking))
    return recipe


def _text_of(file: FilePath) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"{file}: there is no such recipe{_similar(file)}") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES // 1024} KiB; it is no recipe"
        raise RecipeError([f"{file}:1:1: recipe: {message}"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8-sig")) + 1
        message = f"byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise RecipeError([f"{file}:{line}:{column}: recipe: {message}"]) from None


def _similar(file: FilePath) -> str:
    """Return what a missing file was probably meant to be, as the end of a sentence."""
    folder = file.parent
    there = sorted(p.name for p in folder.glob("*.yaml")) if folder.is_dir() else []
    near = nearest(file.name, there)
    if near is not None:
        return f"; did you mean {folder / near}?"
    return f"; {folder} has {', '.join(there)}" if there else ""


def _lines(file: str, problems: Iterable[Problem]) -> list[str]:
    return [f"{file}:{p.line}:{p.column}: {p.path}: {p.message}" for p in sorted(problems)]


def _line(source: Source, section: str) -> str:
    problem = source.problem((section,), "")
    return f"{problem.line}:{problem.column}"


def _validate(source: Source) -> tuple[RecipeDocument | None, set[Problem]]:
    """Return the validated document, or None, and what is wrong beyond the text itself."""
    document = None
    problems: set[Problem] = set()
    said: set[tuple[str | int, ...]] = set()
    for path, message in check(source.value):
        if source.was_read(path):
            problems.add(source.problem(path, message))
            said.add(path)
    try:
        document = RecipeDocument.model_validate(source.value)
    except ValidationError as error:
        for path, message in problems_of(error.errors(), source.value):
            if source.was_read(path) and path not in said:
                problems.add(source.problem(path, message))
    return document, problems


def _recipe(document: RecipeDocument, text: str) -> Recipe:
    corpus, grid, measure = document.corpus, document.grid, document.measure
    return Recipe(
        name=document.name,
        about=document.about,
        corpus=CorpusRef(corpus.name, corpus.source, corpus.share, corpus.pool, corpus.test),
        models={alias: _model(alias, section) for alias, section in document.models.items()},
        policies={alias: _policy(alias, section) for alias, section in document.policies.items()},
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


def _model(alias: str, section: ModelSection) -> ModelChoice:
    extra = section.model_extra or {}
    name = kind_of(alias, {"use": section.use} if section.use is not None else {})
    kind = next(known for known in KINDS if known == name)
    return ModelChoice(alias, kind, settings_from(kind, extra), tuple(section.seeds))


def _policy(alias: str, section: PolicySection) -> PolicyChoice:
    return PolicyChoice(alias, section.use, make_policy(section.use, section.model_extra))
