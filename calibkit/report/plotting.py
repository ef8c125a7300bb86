"""The drawing of an answer, as its question says how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calibkit.decide.answers import Answer
from calibkit.decide.questions import PlotSpec, drawn_question
from calibkit.errors import BadInput
from calibkit.report.figures import Figure, bars, curves, heat_map, intervals, shifts
from calibkit.report.figures.words import label_of

MOST_PANELS = 48
"""More plots than this on one sheet cannot be read."""

_DRAW: dict[str, Callable[..., Figure]] = {
    "bars": bars,
    "curves": curves,
    "heat_map": heat_map,
    "intervals": intervals,
    "shifts": shifts,
}
_GROUPING = ("x", "y", "label", "line", "panel", "site", "series")
"""Options that tell rows apart; several columns there are put into words."""
_NAMES = {
    "accuracy_drop": "accuracy lost",
    "excess": "accuracy lost beyond the float model's loss",
    "gain": "gain in accuracy",
    "ks": "Kolmogorov-Smirnov distance",
    "more": "accuracy lost beyond random's loss",
    "spearman": "Spearman's rank correlation",
}
"""Column -> what an axis calls it."""


def draw(answer: Answer) -> Figure:
    """Return the figure of an answer.

    Raises BadInput for a question that has none, or for more panels than can be read; MissingExtra
    without matplotlib.
    """
    spec = drawn_question(answer.question.name)
    records = list(answer.table)
    options = dict(spec.options)
    for column in reversed(options.pop("sort", ())):
        records.sort(key=lambda record: str(record[column]))
    said = {
        key: _words(records, columns, keep=key != "panel")
        for key, columns in options.items()
        if key in _GROUPING and not _is_scaled(key, spec)
    }
    panels = len(set(said.get("panel", {}).values()))
    if panels > MOST_PANELS:
        named = [f"--{p.name}" for p in answer.question.parameters if p.name in options["panel"]]
        raise BadInput(
            f"{answer.question.name} would be drawn as {panels} plots, and {MOST_PANELS} are the"
            f" most that can be read on one sheet; ask for less with {', '.join(named)}"
        )
    rows = [
        {**record, **{f"{key} in words": texts[place] for key, texts in said.items()}}
        for place, record in enumerate(records)
    ]
    arguments: dict[str, Any] = {}
    for key, columns in options.items():
        if key in said:
            if key == "panel" and panels < 2:
                continue
            arguments[key] = f"{key} in words"
        elif key in ("better", "worse", "envelope_name"):
            arguments[key] = columns[0].replace("_", " ")
        else:
            arguments[key] = columns[0]
    measured = options.get("value", options.get("y", ("",)))[0]
    name = "y_name" if spec.kind == "curves" else "value_name"
    arguments[name] = _NAMES.get(measured, measured.replace("_", " "))
    if spec.kind == "curves":
        arguments["x_name"] = options["x"][0].replace("_", " ")
    if spec.kind == "heat_map":
        arguments |= {f"{key}_name": _joined(options[key]) for key in ("x", "y")}
        if _is_wide(rows):
            swapped = {"x": "y", "y": "x", "x_name": "y_name", "y_name": "x_name"}
            arguments = {swapped.get(key, key): value for key, value in arguments.items()}
    if spec.kind == "intervals":
        rows = [row for row in rows if row[measured] is not None]
    return _DRAW[spec.kind](
        rows,
        title=spec.title,
        caption=_caption(answer, records, options),
        sql=answer.sql,
        name=answer.question.name,
        **arguments,
    )


def _is_scaled(key: str, spec: PlotSpec) -> bool:
    """Say whether an option is a column of numbers along an axis."""
    return spec.kind == "curves" and key in ("x", "y")


def _is_wide(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a heat map is better laid on its side: many columns, few rows."""
    columns, lines = (len({row[f"{key} in words"] for row in rows}) for key in ("x", "y"))
    return columns > 8 and columns > lines


def _joined(columns: Sequence[str]) -> str:
    names = [column.replace("_", " ") for column in columns]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _words(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, keep: bool
) -> dict[int, str]:
    """Return, for each record, the columns in words; those that never differ are left out.

    keep: one column at least stays.
    """
    told = [c for c in columns if len({record[c] for record in records}) > 1]
    if not told and keep:
        told = [columns[0]]
    return {
        place: ", ".join(in_words(column, record[column]) for column in told)
        for place, record in enumerate(records)
    }


def in_words(column: str, value: Any) -> str:
    """Return a value so that one sees what it counts: ``4 bits``, ``256 documents``."""
    if value is None:
        return label_of(value)
    if column == "bits":
        return f"{value} bits"
    if column == "size":
        return f"{value:,} documents"
    if column == "noise":
        return f"noise {value:g}"
    if column == "model_seed":
        return f"seed {value}"
    return label_of(value)


def _caption(
    answer: Answer,
    records: Sequence[Mapping[str, Any]],
    options: Mapping[str, tuple[str, ...]],
) -> str:
    """Return the question, and what is the same in all of the figure."""
    grouping = [c for key in _GROUPING for c in options.get(key, ())]
    same = [
        in_words(column, records[0][column])
        for column in dict.fromkeys(grouping)
        if records and len({record[column] for record in records}) == 1
    ]
    recipe = answer.values.get("recipe")
    against = answer.values.get("against")
    parts = [] if recipe is None else [f"recipe {recipe}"]
    parts += [] if against is None else [f"against {against}"]
    return f"{answer.question.asks} ({', '.join([*parts, *same])})"
