"""A recipe as the rest of calibkit sees it: typed, frozen, checked; and the cells it asks for."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from calibkit.identity import canonical, content_id
from calibkit.models.settings import Kind, ModelSettings
from calibkit.policies import AnyPolicy
from calibkit.quantize.schemes import (
    Rounding,
    Scheme,
    SchemeSettings,
    has_bits,
    resolve,
    rounding_name,
)
from calibkit.recipe.claims import Claim
from calibkit.recipe.model import CardKind, Distribution, Split


@dataclass(frozen=True)
class CorpusRef:
    """Which documents a recipe uses. ``source`` is where to ingest them from, if anywhere."""

    name: str
    source: str | None
    share: float
    pool: Split
    test: Split


@dataclass(frozen=True)
class ModelChoice:
    """A float classifier under its alias; ``seeds`` has one entry per model that is trained."""

    alias: str
    kind: Kind
    settings: ModelSettings
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class PolicyChoice:
    """A policy under its alias; ``name`` is its name in the registry."""

    alias: str
    name: str
    policy: AnyPolicy


@dataclass(frozen=True)
class Measure:
    """What is measured of every cell. ``documents`` is None when all test documents count."""

    noise: tuple[tuple[str, float], ...]
    """(kind, level) pairs by kind and level, without the clean one."""
    distributions: tuple[Distribution, ...]
    documents: int | None
    noise_seed: int = 0
    card: CardKind = "none"
    """Which coverage cards of the subsets are made."""

    @property
    def levels(self) -> tuple[tuple[str, float], ...]:
        """Every (kind, level) that is measured, the clean one ``('none', 0.0)`` first."""
        return (("none", 0.0), *self.noise)


@dataclass(frozen=True)
class Grid:
    """The axes in the order in which they were written; None for an axis that is absent."""

    model: tuple[str, ...]
    policy: tuple[str, ...]
    size: tuple[int, ...]
    seed: tuple[int, ...]
    bits: tuple[int, ...]
    rounding: tuple[Rounding, ...] | None = None
    preset: tuple[str, ...] | None = None
    """Presets, and aliases of the recipe's schemes."""


@dataclass(frozen=True)
class Exclusion:
    """Cells left out: those whose value on every given axis is one of those listed."""

    values: Mapping[str, tuple[Any, ...]]

    def covers(self, at: Mapping[str, Any]) -> bool:
        """Return whether a grid position (axis -> value) is left out by this entry."""
        return all(at[axis] in listed for axis, listed in self.values.items())


@dataclass(frozen=True)
class GridPoint:
    """One cell as a recipe names it: aliases, numbers and the scheme they resolve to."""

    model: str
    model_seed: int
    policy: str
    size: int
    seed: int
    scheme: Scheme
    bits: int
    rounding: str
    preset: str


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a set of results. Made by `load_recipe`, which checks it."""

    name: str
    about: str
    corpus: CorpusRef
    models: Mapping[str, ModelChoice]
    policies: Mapping[str, PolicyChoice]
    quantize: SchemeSettings
    schemes: Mapping[str, SchemeSettings]
    grid: Grid
    exclude: tuple[Exclusion, ...]
    measure: Measure
    claims: tuple[Claim, ...] = ()
    """What it is to decide; part of no identity."""
    text: str = field(default="", compare=False)
    """The file as it was read."""

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Return the recipe in a file, checked; see `calibkit.recipe.load_recipe`."""
        from calibkit.recipe.load import load_recipe

        return load_recipe(Path(path))

    def _repr_html_(self) -> str:
        """Return the recipe for notebooks: its name, how many cells it asks for, its text."""
        count = sum(1 for _ in self.cells())
        about = f"<p>{html.escape(self.about)}</p>" if self.about else ""
        return (
            f"<h4>{html.escape(self.name)}: {count:,} cells</h4>{about}"
            f"<pre>{html.escape(self.text)}</pre>"
        )

    def cells(self) -> Iterator[GridPoint]:
        """Yield every cell that is not excluded; the seed changes slowest, then the model.

        So an interrupted run has whole draws of every policy, not all draws of the first one.
        """
        schemes = {at: self._scheme(*at) for at in self._scheme_positions()}
        for seed, model in product(self.grid.seed, self.grid.model):
            for model_seed, policy, size, (bits, rounding, preset) in product(
                self.models[model].seeds, self.grid.policy, self.grid.size, schemes
            ):
                at = dict(model=model, policy=policy, size=size, seed=seed, bits=bits)
                at.update(rounding=rounding, preset=preset)
                if any(entry.covers(at) for entry in self.exclude):
                    continue
                scheme = schemes[bits, rounding, preset]
                yield GridPoint(
                    model=model,
                    model_seed=model_seed,
                    policy=policy,
                    size=size,
                    seed=seed,
                    scheme=scheme,
                    bits=bits,
                    rounding=rounding_name(scheme),
                    preset=preset or self.quantize.preset,
                )

    def scheme_set(self) -> frozenset[Scheme]:
        """Return the schemes of the grid."""
        return frozenset(self._scheme(*at) for at in self._scheme_positions())

    def at(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with its grid narrowed to one value on each of the given axes."""
        narrow = {axis: (value,) for axis, value in values.items()}
        return replace(self, grid=replace(self.grid, **narrow))

    def id(self, limit_documents: int | None = None) -> str:
        """Return the content id of what the recipe asks for, name included.

        Comments, ``about``, claims, key and list order and unused aliases are not part of it.
        ``limit_documents`` is the command line's limit, which makes it another set of results.
        """
        used = sorted(set(self.grid.model))
        models = {
            alias: {
                "settings": self.models[alias].settings.as_dict(),
                "seeds": sorted(self.models[alias].seeds),
            }
            for alias in used
        }
        policies = {
            alias: {
                "name": self.policies[alias].name,
                "version": self.policies[alias].policy.version,
                "params": self.policies[alias].policy.params(),
            }
            for alias in sorted(set(self.grid.policy))
        }
        corpus = self.corpus
        payload = {
            "calibkit": 1,
            "name": self.name,
            "corpus": [corpus.name, corpus.source, corpus.share, corpus.pool, corpus.test],
            "models": models,
            "policies": policies,
            "size": sorted(self.grid.size),
            "seed": sorted(self.grid.seed),
            "schemes": sorted(self._scheme_labels()),
            "exclude": sorted(
                canonical({axis: sorted(listed) for axis, listed in entry.values.items()})
                for entry in self.exclude
            ),
            "noise": sorted([kind, level] for kind, level in self.measure.noise),
            "noise_seed": self.measure.noise_seed,
            "distributions": sorted(self.measure.distributions),
            "documents": self.measure.documents,
        }
        if limit_documents is not None:
            payload["limit_documents"] = limit_documents
        return content_id("recipe", payload)

    def _scheme_positions(self) -> list[tuple[int, Rounding | None, str | None]]:
        """Return the grid's places that have a scheme; cells at others are all excluded."""
        grid = self.grid
        places = product(grid.bits, grid.rounding or (None,), grid.preset or (None,))
        named = {name: self._settings(name) for name in grid.preset or (None,)}
        return [at for at in places if has_bits(named[at[2]], at[0])]

    def _scheme_labels(self) -> Iterator[str]:
        for bits, rounding, preset in self._scheme_positions():
            scheme = self._scheme(bits, rounding, preset)
            named = [bits, rounding_name(scheme), preset or self.quantize.preset, scheme.id]
            yield canonical(named)

    def _scheme(self, bits: int, rounding: Rounding | None, preset: str | None) -> Scheme:
        return resolve(self._settings(preset), bits=bits, rounding=rounding)

    def _settings(self, preset: str | None) -> SchemeSettings:
        return settings_under(preset, self.quantize, self.schemes)


def settings_under(
    name: str | None, quantize: SchemeSettings, schemes: Mapping[str, SchemeSettings]
) -> SchemeSettings:
    """Return the settings of one value of the axis ``preset``: a preset, an alias, or no axis."""
    if name is None:
        return quantize
    own = schemes.get(name)
    if own is None:
        return quantize.model_copy(update={"preset": name})
    return quantize.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
