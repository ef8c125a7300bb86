"""The card of an exported cell: where it is from, what it scores, and what the artefact is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from calibkit.errors import CalibkitError
from calibkit.export.cell import Cell
from calibkit.export.subset_card import code, rounded
from calibkit.export.subset_content import read_content
from calibkit.store.connection import Store
from calibkit.sweep.cell_recipe import cell_recipe

_CURVE = """
SELECT e.noise_kind, e.noise, count(*) AS noise_seeds, avg(e.accuracy) AS accuracy,
       avg(b.accuracy) AS float_accuracy, avg(e.nll) AS nll, avg(b.nll) AS float_nll
FROM evaluations AS e
JOIN cells AS c ON c.cell_id = e.cell_id
LEFT JOIN baseline_evaluations AS b
       ON b.model_id = c.model_id AND b.test_id = c.test_id AND b.stage = 'float'
      AND b.noise_kind = e.noise_kind AND b.noise = e.noise AND b.noise_seed = e.noise_seed
WHERE e.cell_id = ?
GROUP BY e.noise_kind, e.noise
ORDER BY e.noise_kind <> 'none', e.noise_kind, e.noise
"""


def card_facts(store: Store, cell: Cell) -> dict[str, Any]:
    """Return what a card says of a cell, as JSON can say it; nothing of the artefact yet.

    recipe: the text of the smallest recipe that gives the cell, or None with the reason in
    ``no_recipe``. noise_curve: one row a kind and level of noise, the clean one first.
    """
    origin, frozen = cell.origin, cell.frozen
    training = origin.trainings[0]
    recipe, no_recipe = _recipe(store, origin.cell_id)
    with store.reading() as con:
        curve = _rows(con, _CURVE, origin.cell_id)
    subset = read_content(store, origin.subset_id).facts()
    return {
        "cell_id": origin.cell_id,
        "kind": origin.kind,
        "labels": list(frozen.labels),
        "corpus": subset["corpus"],
        "float_model": {
            "model_id": origin.model_id,
            "seed": training.seed,
            "share": training.share,
            "settings": training.settings.as_dict(),
            "vocabulary_id": training.vocabulary_id,
            "vocabulary_size": len(frozen.vocabulary),
            "most_tokens": frozen.most_tokens,
        },
        "scheme_id": origin.scheme.id,
        "scheme": origin.scheme.as_dict(),
        "subset": subset,
        "measured": {
            **cell.stored,
            "arithmetic": origin.scheme.arithmetic,
            "test_id": origin.test.id,
            "split": origin.test.split,
        },
        "noise_curve": curve,
        "recipe": recipe,
        "no_recipe": no_recipe,
    }


def _recipe(store: Store, cell_id: str) -> tuple[str | None, str | None]:
    try:
        return cell_recipe(store, cell_id).text, None
    except CalibkitError as error:
        return None, str(error)


def _rows(con: duckdb.DuckDBPyConnection, query: str, value: str) -> list[dict[str, Any]]:
    found = con.execute(query, [value])
    columns = [str(column[0]) for column in found.description or []]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def card_text(facts: Mapping[str, Any]) -> str:
    """Return CARD.md: what people read of a card's facts, with those of the artefact."""
    artefact, measured = facts["artefact"], facts["measured"]
    return f"""# {facts["kind"].capitalize()} text classifier, {code(facts["cell_id"])}

{artefact["what"]}

## What it scores

On {measured["documents"]:,} documents of the split {code(measured["split"])}:

{_table(("", "accuracy", "NLL of the true label"), _scores(facts))}

{artefact["parity"]}

With noise in the text ({code(measured["arithmetic"])}; the mean over seeds of the noise):

{_table(("noise", "level", "accuracy", "float", "NLL", "float"), _noise(facts["noise_curve"]))}

## Where it is from

{_table(("", ""), _origin(facts))}

{_recipe_text(facts)}
## Files

{_table(("file", "bytes"), [(code(name), f"{size:,}") for name, size in artefact["bytes"].items()])}

{artefact["use"]}

## Licence

The weights were learned from the corpus, and the vocabulary is words of it; its licence may have
conditions for what was made of it. calibkit does not know that licence.
"""


def _scores(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    measured, clean = facts["measured"], facts["noise_curve"][0]
    found: list[tuple[str, ...]] = [
        ("float", _percent(clean["float_accuracy"]), _number(clean["float_nll"]))
    ]
    said = f"the cell, as measured ({measured['arithmetic']})"
    found.append((said, _percent(measured["accuracy"]), _number(measured["nll"])))
    exact = facts["artefact"]["integer"]
    found.append(("in whole numbers", _percent(exact["accuracy"]), _number(exact["nll"])))
    return found


def _noise(curve: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            "clean" if row["noise_kind"] == "none" else row["noise_kind"],
            f"{row['noise']:g}",
            _percent(row["accuracy"]),
            _percent(row["float_accuracy"]),
            _number(row["nll"]),
            _number(row["float_nll"]),
        )
        for row in curve
    ]


def _origin(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    subset, model = facts["subset"], facts["float_model"]
    profile = subset["profile"] or {}
    found = [
        ("cell", facts["cell_id"]),
        ("scheme", facts["scheme_id"]),
        ("bits", facts["scheme"]["bits"]),
        ("rounding", dict(facts["scheme"]["rounding"])),
        ("float model", model["model_id"]),
        ("its seed", model["seed"]),
        ("vocabulary", model["vocabulary_size"]),
        ("corpus", f"{subset['corpus']['name']}, version {subset['corpus']['version']}"),
        ("share of the corpus", f"{model['share']:g}"),
        ("calibration subset", subset["subset_id"]),
        ("hash of its ordered ids", subset["ordered_hash"]),
        ("chosen by", subset["policy"]),
        ("documents", subset["size"]),
        ("labels", profile.get("label_mix")),
        ("tokens", profile.get("tokens")),
        ("types of the vocabulary covered", profile.get("vocabulary_coverage")),
        ("labels of the classifier", ", ".join(facts["labels"])),
        ("written by calibkit", facts["calibkit"]),
    ]
    return [(name, code(rounded(value))) for name, value in found if value is not None]


def _recipe_text(facts: Mapping[str, Any]) -> str:
    if facts["recipe"] is None:
        return f"No recipe gives this cell: {facts['no_recipe']}\n"
    return (
        f"The smallest recipe that gives this cell:\n\n```yaml\n{facts['recipe'].rstrip()}\n```\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
