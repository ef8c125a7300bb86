"""Values of a question's parameters: what was given, what is usual, what a recipe has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibkit.errors import BadInput, UnknownName, nearest
from calibkit.store import Store, query

Value = str | int | float | None
_KINDS = {"VARCHAR": "text", "INTEGER": "a whole number", "DOUBLE": "a number"}
_OF_RECIPE = {
    "model": "model",
    "policy": "policy",
    "against": "policy",
    "size": "size",
    "bits": "bits",
    "preset": "preset",
    "rounding": "rounding",
    "method": "method",
    "than": "method",
}
"""Parameter -> the column of a recipe's cells that knows its values."""
_LATEST = {
    "latest": """
        SELECT recipe FROM runs WHERE recipe IS NOT NULL AND recipe_id IS NOT NULL
        ORDER BY recipe_id IN (SELECT recipe_id FROM stream_trajectories), started_at DESC,
                 run_id DESC
        LIMIT 1
    """,
    "latest-stream": """
        SELECT recipe FROM runs
        WHERE recipe_id IN (SELECT recipe_id FROM stream_trajectories)
        ORDER BY started_at DESC, run_id DESC LIMIT 1
    """,
}
"""Default of the parameter recipe -> how it is found; of several kinds, one without a stream."""
_PLANNED = """(
    SELECT recipe, model, policy, size, bits, preset, rounding, NULL AS method FROM core.planned
    UNION ALL
    SELECT recipe, model, policy, size, bits, preset, NULL, method FROM core.stream_state
)"""
_BASELINE = """
    SELECT policy FROM core.planned
    WHERE recipe = $recipe AND (policy_kind = 'random' OR $any_kind)
    ORDER BY policy_kind <> 'random', policy <> 'random', ordinal LIMIT 1
"""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a question.

    kind: VARCHAR, INTEGER or DOUBLE, or the words to choose from (``a|b``). default: its value if
    none is given: ``any`` (no restriction), ``latest`` (the recipe of the latest run),
    ``latest-stream`` (that of the latest run of a stream recipe), ``baseline`` (the recipe's random
    policy; for ``policy`` its first one where it has none), or a value.
    """

    name: str
    kind: str
    default: str
    about: str

    @property
    def expects(self) -> str:
        """What a value has to be, in words."""
        return _KINDS.get(self.kind) or " or ".join(self.kind.split("|"))

    def read(self, text: str) -> Value:
        """Return a value from text; raises BadInput that says what it has to be."""
        if text == "any" and self.default in ("any", *_LATEST):
            return None
        try:
            if self.kind == "INTEGER":
                return int(text)
            if self.kind == "DOUBLE":
                number = float(text)
                if math.isfinite(number):
                    return number
                raise ValueError
        except ValueError:
            raise BadInput(f"{self.name} is {text!r}; it takes {self.expects}") from None
        if self.kind != "VARCHAR" and text not in self.kind.split("|"):
            raise BadInput(f"{self.name} is {text!r}; it takes {self.expects}")
        return text


def values_of(
    store: Store, parameters: Sequence[Parameter], given: Mapping[str, str]
) -> dict[str, Value]:
    """Return a value for each parameter: what is given, else the usual one.

    Raises BadInput and UnknownName for values that cannot be, and for models, policies, sizes, bit
    widths, presets and roundings that the recipe does not have. A recipe is None in a store
    without recipes, and a baseline is None where a recipe has no random policy.
    """
    values: dict[str, Value] = {}
    for parameter in parameters:
        text = given.get(parameter.name, parameter.default)
        if text == parameter.default and text in _LATEST:
            rows = query(store, _LATEST[text]).rows
            values[parameter.name] = str(rows[0][0]) if rows else None
        elif text == "baseline" and parameter.default == "baseline":
            # documents may be anybody's; what others are held against is random
            asked = {"recipe": values["recipe"], "any_kind": parameter.name != "against"}
            rows = query(store, _BASELINE, parameters=asked).rows
            values[parameter.name] = str(rows[0][0]) if rows else None
        elif text == "any" and parameter.default == "any":
            values[parameter.name] = None
        else:
            values[parameter.name] = parameter.read(text)
    _check(store, values, given)
    return values


def _check(store: Store, values: Mapping[str, Value], given: Mapping[str, str]) -> None:
    recipe = values.get("recipe")
    if recipe is not None and "recipe" in given:
        known = [str(row[0]) for row in query(store, "SELECT recipe FROM core.latest_recipes").rows]
        if recipe not in known:
            raise UnknownName("recipe of this store", str(recipe), known)
    named = [name for name in _OF_RECIPE if name in given and values.get(name) is not None]
    if recipe is None or not named:
        return
    columns = [_OF_RECIPE[name] for name in named]
    lists = ", ".join(f"list(DISTINCT {column} ORDER BY {column} DESC)" for column in columns)
    sql = f"SELECT {lists} FROM {_PLANNED} WHERE recipe = $recipe"
    (known_values,) = query(store, sql, parameters={"recipe": recipe}).rows
    for name, column, there in zip(named, columns, known_values, strict=True):
        value = values[name]
        if value not in there:
            near = nearest(str(value), map(str, there))
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(map(str, there))}"
            raise BadInput(f"the recipe {recipe!r} has no {column} {value!r}; {hint}")
