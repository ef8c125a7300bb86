"""How to reproduce the numbers, check one of them, and take the documents."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from calibkit._version import __version__
from calibkit.policies.pool import needs_model
from calibkit.report.elements import commands, section
from calibkit.report.html import Child, Markup, tag
from calibkit.report.study import Study


def reproduce(study: Study) -> Markup:
    """Return the section with the commands."""
    parts: list[Child] = [
        tag("h3", "Measure it again"),
        tag("p", f"With calibkit {measured_with(study.rows('runs'))}, and the recipe above saved as"
            f" {file_name(study)}:"),
        commands(*measuring(study)),
    ]  # fmt: skip
    cell = _some_cell(study)
    if cell is not None:
        parts += [
            tag("h3", "Check one number"),
            tag("p", "One cell: measured again and compared bit by bit, and the smallest recipe"
                " that gives it."),
            commands(f"calibkit verify {cell}", f"calibkit recipe {cell}"),
        ]  # fmt: skip
    shipped = shipping(study)
    if shipped is not None:
        policy, command = shipped
        parts += [
            tag("h3", f"Take the documents of {policy}"),
            tag("p", "One set, that of the recipe's first seed; another seed is another draw."),
            commands(command),
        ]  # fmt: skip
    parts += [
        tag("h3", "This page again"),
        commands(f"calibkit report {file_name(study)} -o {study.recipe.name}.html"),
    ]
    return section("reproduce", "How to reproduce it", *parts)


def file_name(study: Study) -> str:
    """Return the name that the recipe is saved under."""
    return f"{study.recipe.name}.yaml"


def measuring(study: Study) -> list[str]:
    """Return the commands that measure the study, with the ingest where the recipe has none."""
    lines = []
    corpus = study.recipe.corpus
    if corpus.source is None:
        lines.append(ingesting(corpus.name, study.rows("corpus")))
    lines.append(f"calibkit evaluate {file_name(study)}")
    return lines


def ingesting(corpus: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the command that ingests a corpus as it was, with the names of its files."""
    start = ["calibkit", "ingest", shlex.quote(corpus)]
    sources = [row["source"] for row in rows if row["source"]]
    source = json.loads(sources[0]) if sources else {}
    if source.get("kind") == "docstrings":
        return " ".join([*start, "--from docstrings"])
    if source.get("kind") == "hub":
        return " ".join([*start, "--from", shlex.quote(f"hub:{source.get('address', '')}")])
    splits = source.get("splits")
    for split, said in splits.items() if isinstance(splits, Mapping) else ():
        file = said.get("file") if isinstance(said, Mapping) else None
        if split in ("train", "valid", "test") and file:
            start += [f"--{split}", shlex.quote(PurePath(str(file)).name)]
    for column in ("text", "label"):
        called = source.get(f"{column}_column", column)
        if called != column:
            start += [f"--{column}-column", shlex.quote(str(called))]
    return " ".join(start if len(start) > 3 else [*start, "--train train.csv --test test.csv"])


def shipping(study: Study) -> tuple[str, str] | None:
    """Return a policy and the command that builds its set; None where nothing is measured.

    The policy is the one that is better in most settings; without one, the reference.
    """
    better: dict[str, int] = {}
    for one in study.comparisons:
        if one.standing == "better":
            better[one.policy] = better.get(one.policy, 0) + 1
    chosen = max(better, key=lambda p: better[p]) if better else study.reference
    if chosen is None or not study.conditions or chosen not in study.recipe.policies:
        return None
    choice = study.recipe.policies[chosen]
    corpus = study.recipe.corpus
    parts = ["calibkit", "build-subset", shlex.quote(corpus.name), "--policy"]
    parts += [shlex.quote(choice.name), "--size", str(study.recipe.grid.size[0])]
    parts += ["--seed", str(study.recipe.grid.seed[0])]
    if corpus.share != 1.0:
        parts += ["--share", f"{corpus.share:g}"]
    if corpus.pool != "train":
        parts += ["--pool", corpus.pool]
    for key, value in _written(choice.policy.params()).items():
        written = yaml.safe_dump(value, default_flow_style=True, width=10_000)
        written = written.removesuffix("\n").removesuffix("\n...").strip()
        parts += ["--param", shlex.quote(f"{key}={written}")]
    if needs_model(choice.policy.every_need):
        models = [row["model_id"] for row in study.rows("trained")]
        parts += ["--model", models[0] if models else "ID"]
    return chosen, " ".join(parts)


def _written(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in params.items() if value not in (None, {}, [])}


def _some_cell(study: Study) -> str | None:
    return min((str(row["cell_id"]) for row in study.clean), default=None)


def measured_with(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the version of calibkit that the latest run had."""
    versions = runs[-1]["versions"] if runs else None
    known = json.loads(versions) if isinstance(versions, str) else versions or {}
    return str(known.get("calibkit", __version__))
