"""The paired measurements that a store has of two arms, group by group.

A pair has the same corpus, recipe, model, float model, size, seed, scheme and noise, and differs
in one axis. Everything is read from the view ``results``, so the latest version of a recipe counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from calibkit.decide.contrast import Paired
from calibkit.decide.evidence_rows import AXES, FLOAT, Row, float_rows, read_rows
from calibkit.decide.measures import Measure, find_measure
from calibkit.decide.noise_curve import areas
from calibkit.decide.unpaired import explain
from calibkit.errors import BadInput, UnknownName
from calibkit.store import Store

KEYS = (
    "corpus", "recipe", "model", "policy", "size", "bits", "rounding", "scheme_id", "preset",
    "noise_kind", "noise", "site",
)  # fmt: skip
"""What may tell groups apart, in the order in which groups are sorted and shown."""


@dataclass(frozen=True)
class Group:
    """The pairs of one setting.

    keys: the setting, without the axis. floor: what two random draws differ by (``noise_floor``).
    """

    keys: dict[str, Any]
    pairs: tuple[Paired, ...]
    floor: float | None
    measure: Measure


def pairs_of(
    store: Store,
    a: str,
    b: str,
    *,
    recipe: str | None = None,
    where: str | None = None,
    measure: str = "accuracy",
    axis: str = "policy",
    by_site: bool = False,
) -> list[Group]:
    """Return the pairs of the arms ``a`` and ``b``, sorted by their settings.

    axis: what a and b are values of: policy (the recipe's alias), size, bits, rounding, preset or
    model. As a policy, ``float`` is the float model itself, unless a recipe has an alias of that
    name. where: an SQL condition over the columns of ``results`` (and site), met by both arms.
    by_site: one group per weight tensor or quantizer, for measures of distributions.

    Raises UnknownName for a measure, axis, recipe or arm that there is not, BadInput where arms
    cannot be paired (naming what each has) or the condition is no SQL, and what a store raises.
    """
    wanted = find_measure(measure)
    if axis not in AXES:
        raise UnknownName("axis", axis, AXES)
    if by_site and not wanted.has_sites:
        raise BadInput(f"{measure} is of whole networks; by site there are ks_* and wasserstein_*")
    if a == b:
        raise BadInput(f"{a!r} is compared with itself; name two")
    rows = read_rows(store, wanted, axis, (a, b), recipe, where, by_site=by_site)
    if axis == "policy" and FLOAT in (a, b) and all(row.arm != FLOAT for row in rows):
        rows += float_rows(store, wanted, b if a == FLOAT else a, rows)
    if wanted.rows == "curve":
        rows = areas(rows)
    groups = _grouped(rows, a, b, axis, wanted)
    if not groups:
        raise explain(store, wanted, axis, (a, b), recipe, where, rows, by_site=by_site)
    return groups


def noise_floor(draws: Iterable[Row]) -> float | None:
    """Return what two random draws differ by: the mean |difference| of two distinct subsets.

    Pairs are of the same float model, and all of them are taken (Gini's mean difference), averaged
    over the float models. None where no float model has two draws.
    """
    by_model: dict[int, dict[str, float]] = defaultdict(dict)
    for row in draws:
        by_model[row.model_seed][row.subset] = row.value
    means = []
    for of_model in (by_model[seed] for seed in sorted(by_model)):
        values = [of_model[subset] for subset in sorted(of_model)]
        apart = [abs(x - y) for x, y in combinations(values, 2)]
        if apart:
            means.append(sum(apart) / len(apart))
    return sum(means) / len(means) if means else None


def _grouped(rows: Sequence[Row], a: str, b: str, axis: str, measure: Measure) -> list[Group]:
    names = [name for name in KEYS if name not in _free(rows, axis, a, b)]
    arms: dict[tuple[Any, ...], dict[str, dict[tuple[int, int], Row]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    presets: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    random: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    reference = _random_aliases(rows, a, b, axis)
    for row in rows:
        key = (*(row.keys.get(name) for name in names), row.levels)
        if row.arm in (a, b):
            arms[key][row.arm].setdefault((row.model_seed, row.seed), row)
            presets[key].add(str(row.keys.get("preset")))
        if row.keys["policy"] == reference.get(row.keys["recipe"]):
            without_policy = tuple(row.keys.get(name) for name in names if name != "policy")
            random[(*without_policy, row.levels)].append(row)
    groups = []
    for key, by_arm in arms.items():
        if not (by_arm[a].keys() & by_arm[b].keys()):
            continue
        keys: dict[str, Any] = dict(zip(names, key, strict=False))
        keys.setdefault("preset", "+".join(sorted(presets[key])))
        if axis == "preset":
            del keys["preset"]
        pairs = [
            Paired(model_seed, seed, x.subset, y.subset, x.value, y.value)
            for (model_seed, seed), x in sorted(by_arm[a].items())
            if (y := by_arm[b].get((model_seed, seed))) is not None
        ]
        without_policy = tuple(keys[name] for name in names if name != "policy")
        floor = _floor(random[(*without_policy, key[-1])], axis)
        groups.append(Group(_shown(keys), tuple(pairs), floor, measure))
    return sorted(groups, key=_place)


def _free(rows: Sequence[Row], axis: str, a: str, b: str) -> set[str]:
    """Return the settings that may differ inside a group."""
    free = set(AXES[axis])
    if axis == "preset":  # presets may say how to round; where the grid does, roundings are paired
        roundings: dict[tuple[Any, ...], set[str]] = defaultdict(set)
        for row in rows:
            if row.arm in (a, b):
                roundings[row.keys["recipe"], row.arm].add(row.keys["rounding"])
        if any(len(found) > 1 for found in roundings.values()):
            free.discard("rounding")
    return free


def _random_aliases(rows: Sequence[Row], a: str, b: str, axis: str) -> dict[str, str]:
    """Return each recipe's alias of random draws: an arm if it is one, ``random``, or the first."""
    aliases: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.policy_kind == "random":
            aliases[row.keys["recipe"]].add(row.keys["policy"])
    arms = (b, a) if axis == "policy" else ()
    return {
        recipe: next((name for name in (*arms, "random") if name in found), min(found))
        for recipe, found in aliases.items()
    }


def _floor(draws: Sequence[Row], axis: str) -> float | None:
    """Return the noise floor; where random draws stand on both sides, the larger of the two."""
    sides = {row.arm for row in draws} if axis != "policy" else {None}
    floors = [noise_floor(r for r in draws if side in (None, r.arm)) for side in sides]
    return max((floor for floor in floors if floor is not None), default=None)


def _shown(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in their order; a site only where there is one."""
    return {
        name: keys[name]
        for name in KEYS
        if name in keys and not (name in ("site", "policy") and keys[name] is None)
    }


def _place(group: Group) -> tuple[Any, ...]:
    return tuple(_rank(name, group.keys.get(name)) for name in KEYS)


def _rank(name: str, value: Any) -> tuple[Any, ...]:
    if value is None:
        return (False,)
    if name == "noise_kind":
        return (True, value != "none", value)
    return (True, -value if name == "bits" else value)
