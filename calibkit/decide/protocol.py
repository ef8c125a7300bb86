"""What a recipe's numbers are measured under, in the words that published protocols use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import duckdb

from calibkit.corpora.reading import find_corpus
from calibkit.decide.reference import SUBJECTS, Reference
from calibkit.errors import CalibkitError, UnknownName
from calibkit.quantize.schemes import Scheme
from calibkit.recipe.load import parse_recipe
from calibkit.recipe.recipe import Recipe

OURS = "here"
"""What the recipe's own protocol is called."""


@dataclass(frozen=True)
class Told:
    """One subject: what each source says of it, the recipe first; silent sources are left out."""

    subject: str
    by: Mapping[str, str]


def protocols(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, reference: Reference, sources: Iterable[str]
) -> tuple[Told, ...]:
    """Return, subject by subject, what the recipe and the sources measured under."""
    ours = {
        "corpus": _corpus(con, recipe),
        "words": _words(recipe),
        "models": _models(recipe),
        "calibration": _calibration(recipe),
        "draws": f"seeds {_listed(recipe.grid.seed)}",
        "observer": _per_preset(recipe, _observer),
        "rounding": _per_preset(recipe, _rounding),
    }
    published = {source: reference.protocols.get(source, {}) for source in sources}
    return tuple(
        Told(
            subject,
            {OURS: ours[subject]}
            | {source: told[subject] for source, told in published.items() if subject in told},
        )
        for subject in SUBJECTS
    )


def is_of_this_recipe(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> bool:
    """Say whether the clean results that the store shows under a recipe's name are of this content.

    The latest run of the name decides. Comments, order, unused aliases, and what is measured
    besides clean accuracy make no difference.
    """
    found = con.execute(
        "SELECT recipe_text FROM runs WHERE recipe = ? AND recipe_id IS NOT NULL"
        " ORDER BY started_at DESC, run_id DESC LIMIT 1",
        [recipe.name],
    ).fetchone()
    if found is None or not found[0]:
        return True
    try:
        return _of_clean(parse_recipe(str(found[0]), recipe.name)) == _of_clean(recipe)
    except CalibkitError:  # what an earlier version of calibkit could read
        return False


def _of_clean(recipe: Recipe) -> str:
    return replace(recipe, measure=replace(recipe.measure, noise=(), distributions=())).id()


def _corpus(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> str:
    wanted = recipe.corpus
    try:
        corpus = find_corpus(con, wanted.name)
    except UnknownName:
        size = "not in the store"
    else:
        counts = [f"{n:,} {split}" for split, n in corpus.documents.items()]
        size = f"{_listed(counts)} documents, {len(corpus.labels)} labels"
    if wanted.share < 1:
        size += f", of which a share of {wanted.share:g} is used"
    (measured,) = con.execute(
        "SELECT list_sort(list(DISTINCT documents)) FROM results"
        " WHERE recipe = ? AND noise_kind = 'none'",
        [recipe.name],
    ).fetchall()[0]
    on = f"measured on {_listed(f'{n:,}' for n in measured)} of {wanted.test}" if measured else ""
    return ", ".join(part for part in (f"{wanted.name}: {size}", on) if part)


def _words(recipe: Recipe) -> str:
    told = {
        alias: f"those seen {s.min_count} times, at most {s.most_types:,} types, documents cut to"
        f" {s.most_tokens} tokens"
        for alias in recipe.grid.model
        for s in [recipe.models[alias].settings]
    }
    return f"lower case, calibkit's own tokens, {_by_name(told)}"


def _models(recipe: Recipe) -> str:
    told = {
        alias: f"seeds {_listed(choice.seeds)}, the best of {choice.settings.epochs} epochs"
        for alias in recipe.grid.model
        for choice in [recipe.models[alias]]
    }
    return _by_name(told)


def _calibration(recipe: Recipe) -> str:
    sizes = _listed(f"{size:,}" for size in recipe.grid.size)
    return f"{sizes} documents of {recipe.corpus.pool}, for ranges and rounding alike"


def _per_preset(recipe: Recipe, words: Callable[[Scheme], str]) -> str:
    told: dict[str, list[str]] = {}
    for point in recipe.cells():
        said = told.setdefault(point.preset, [])
        one = words(point.scheme)
        if one not in said:
            said.append(one)
    return _by_name({preset: " or ".join(said) for preset, said in told.items()})


def _observer(scheme: Scheme) -> str:
    who = "calibkit's, over real tokens"
    if scheme.observer == "brevitas":
        who = f"Brevitas's, batches of {scheme.observer_batch}"
    names = dict.fromkeys(estimator for _, estimator in scheme.ranges)
    estimators = [f"percentile {scheme.percentile:g}" if n == "percentile" else n for n in names]
    weights = f"weights by {scheme.weight_ranges} {scheme.weights}"
    return f"{who}, activations by {' and '.join(estimators)}, {weights}"


def _rounding(scheme: Scheme) -> str:
    by_kind: dict[str, list[str]] = {}
    for kind, rounding in scheme.rounding:
        by_kind.setdefault(rounding, []).append(kind)
    others = {r: kinds for r, kinds in by_kind.items() if r != "nearest"}
    if not others:
        return "nearest"
    return ", ".join(f"{rounding} on {_listed(kinds)}" for rounding, kinds in others.items())


def _by_name(told: Mapping[str, str]) -> str:
    """Return what each says, once where all say the same."""
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name}: {text}" for name, text in told.items())


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
