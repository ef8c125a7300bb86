"""Where the numbers come from: corpus, models, runs, versions, and the recipe itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Protocol

from calibkit.report.elements import Cell, Column, behind, facts, section, table
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.queries import Asked
from calibkit.report.wording import NOTHING, count, duration, listed, percent


class Measured(Protocol):
    """What was measured and asked of the store: an ordinary study, or one of a stream."""

    @property
    def asked(self) -> Mapping[str, Asked]:
        """Queries and their answers, by name."""
        ...

    @property
    def text(self) -> str:
        """The recipe as it was run."""
        ...

    def rows(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return what the query of that name says."""
        ...

    def sql(self, name: str) -> str:
        """Return the query of that name."""
        ...


def provenance(study: Measured) -> Markup:
    """Return the section on provenance."""
    parts: list[Child] = [facts(_facts(study))]
    if study.rows("provenance"):
        parts.append(behind(study.sql("provenance")))
    if study.rows("trained"):
        parts.append(_models(study))
    parts.append(_runs(study))
    return section("provenance", "Provenance", *parts)


def recipe_text(study: Measured) -> Markup:
    """Return the section with the recipe's text."""
    version = study.asked["text"].rows[0]["recipe_id"]
    lede = join("Everything that decides the numbers. Version ", tag("code", str(version)), ".")
    text = tag("pre", tag("code", study.text.rstrip()), tabindex=0)
    return section("recipe", "The recipe", text, lede=lede)


def _facts(study: Measured) -> list[tuple[Child, Child]]:
    said: list[tuple[Child, Child]] = []
    for row in study.rows("corpus"):
        version = f", version {row['version']}" if row["version"] else ""
        about = row["provenance"] or "source not recorded"
        said.append(
            (
                "Corpus",
                join(
                    tag("b", row["name"]),
                    f"{version}: {row['documents'] or 0:,} documents, {row['labels'] or 0:,}"
                    f" labels; {about}; ",
                    tag("code", row["corpus_id"]),
                ),
            )
        )
        said += [(f"File of {split}", shown) for split, shown in _files(row["source"])]
    rows = study.rows("provenance")
    if rows:
        first, last = min(row["first"] for row in rows), max(row["last"] for row in rows)
        said.append(("Measured", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"))
        if "test_id" in rows[0]:
            said += [
                ("Test documents", _codes(rows, "test_id")),
                ("Arithmetic", f"{_names(rows, 'arithmetic')}, on {_names(rows, 'device')}"),
                ("Harness", f"version {_names(rows, 'harness')}"),
            ]
        said.append(("Machine", _names(rows, "host")))
    versions: dict[str, set[str]] = {}
    for run in study.rows("runs"):
        for package, version in _loaded(run["versions"]).items():
            versions.setdefault(package, set()).add(str(version))
    if versions:
        shown = [f"{package} {' or '.join(sorted(versions[package]))}" for package in versions]
        said.append(("Versions", ", ".join(sorted(shown))))
    return said


def _files(source: str | None) -> list[tuple[str, Child]]:
    """Return the source files of a corpus, split by split: names and hashes, no folders."""
    splits = _loaded(source).get("splits")
    found: list[tuple[str, Child]] = []
    for split, said in splits.items() if isinstance(splits, Mapping) else ():
        if isinstance(said, Mapping) and said.get("sha256"):
            file = PurePath(str(said.get("file", split))).name
            found.append((split, join(f"{file}, sha256 ", tag("code", str(said["sha256"])))))
    return found


def _codes(rows: Any, column: str) -> Markup:
    values = sorted({str(row[column]) for row in rows if row[column] is not None})
    return join(*(join(", " if place else "", tag("code", v)) for place, v in enumerate(values)))


def _names(rows: Any, column: str) -> str:
    return listed(sorted({str(row[column]) for row in rows if row[column] is not None})) or NOTHING


def _loaded(written: object) -> Mapping[str, Any]:
    found = json.loads(written) if isinstance(written, str) else written
    return found if isinstance(found, Mapping) else {}


def _models(study: Measured) -> Markup:
    columns = [
        Column("float model"), Column("seed", is_number=True), Column("kind"),
        Column("test accuracy, %", is_number=True), Column("validation, %", is_number=True),
        Column("best epoch"), Column("vocabulary", is_number=True), Column("training"),
        Column("id"),
    ]  # fmt: skip
    tested = {
        (row["model"], row["model_seed"]): row["accuracy"]
        for row in study.rows("floats")
        if row["stage"] == "float" and row["noise_kind"] == "none"
    }
    rows: list[list[Child | Cell]] = []
    for row in study.rows("trained"):
        accuracy = tested.get((row["model"], row["model_seed"]))
        rows.append(
            [
                row["model"],
                row["model_seed"],
                row["kind"],
                Cell(percent(accuracy), accuracy),
                Cell(percent(row["valid_accuracy"]), row["valid_accuracy"]),
                f"{row['best_epoch']} of {row['epochs']}",
                row["vocabulary_size"],
                Cell(duration(row["seconds"]), row["seconds"]),
                tag("code", row["model_id"]),
            ]
        )
    return table("Float models", columns, rows, study.sql("trained"))


def _runs(study: Measured) -> Markup:
    columns = [
        Column("started (UTC)", is_whole=True), Column("command"),
        Column("workers", is_number=True), Column("host"), Column("commit of the folder"),
        Column("recipe version"),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = [
        [
            Cell(f"{run['started_at']:%Y-%m-%d %H:%M}" if run["started_at"] else NOTHING,
                 str(run["started_at"])),
            tag("div", tag("code", run["command"] or NOTHING), class_="wide"),
            run["workers"],
            run["host"] or NOTHING,
            _commit(run),
            tag("code", run["recipe_id"] or NOTHING),
        ]
        for run in study.rows("runs")
    ]  # fmt: skip
    runs = count(len(rows), "run")
    return table(f"{runs} of this recipe", columns, rows, study.sql("runs"))


def _commit(run: Mapping[str, Any]) -> Child:
    if not run["git_commit"]:
        return NOTHING
    changed = " with uncommitted changes" if run["git_dirty"] else ""
    return join(tag("code", str(run["git_commit"])[:12]), changed)
