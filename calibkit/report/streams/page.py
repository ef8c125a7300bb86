"""A stream recipe's results as one HTML file that needs nothing else."""

from __future__ import annotations

from calibkit.recipe import StreamRecipe
from calibkit.report.elements import commands, section
from calibkit.report.html import Child, Markup, tag
from calibkit.report.page import document, facts_of, footer, navigation, top
from calibkit.report.sections.origin import provenance, recipe_text
from calibkit.report.sections.reproduce import ingesting, measured_with
from calibkit.report.streams.answers import answers, headline
from calibkit.report.streams.sections import (
    accuracy,
    cost,
    documents,
    forgetting,
    gains,
    left,
)
from calibkit.report.streams.study import StreamStudy, read_stream_study
from calibkit.report.wording import count, listed, percent
from calibkit.store import Store

SECTIONS = (
    ("answers", "Answers"),
    ("accuracy", "Accuracy"),
    ("gains", "Gains"),
    ("forgetting", "Forgetting"),
    ("cost", "Cost"),
    ("documents", "Documents"),
    ("left", "Not done"),
    ("provenance", "Provenance"),
    ("recipe", "Recipe"),
    ("reproduce", "Reproduce"),
)


def make_stream_page(store: Store, recipe: StreamRecipe) -> str:
    """Return the page of a stream's results, the same text whenever the store says the same.

    Raises Infeasible where the store has no run of the recipe, MissingExtra without matplotlib,
    and what a store raises.
    """
    return stream_page_of(read_stream_study(store, recipe))


def stream_page_of(study: StreamStudy) -> str:
    """Return the page of a stream that was read."""
    recipe = study.recipe
    undone = left(study)
    shown = [pair for pair in SECTIONS if pair[0] != "left" or undone is not None]
    return document(
        f"{recipe.name}: calibkit report",
        top(recipe.name, recipe.about, _warnings(study), headline(study), _facts(study)),
        navigation(shown),
        tag(
            "main", answers(study), accuracy(study), gains(study), forgetting(study), cost(study),
            documents(study), undone, provenance(study), recipe_text(study), _reproduce(study),
        ),
        footer(),
    )  # fmt: skip


def _warnings(study: StreamStudy) -> list[Markup]:
    said = []
    if not study.is_whole:
        progress = study.progress
        planned = count(progress["planned"], "trajectory", "trajectories")
        said.append(
            f"This study is not finished: {progress['done']:,} of {planned} have gone through all"
            f" batches, {progress['failed']:,} failed, {progress['missing']:,} are missing."
        )
    if not study.is_current:
        said.append(
            "The recipe file asks for something else than what was measured last under the name"
            f" {study.recipe.name}. This page shows what was measured, and the recipe of that."
        )
    return [tag("p", one, class_="warning", role="note") for one in said]


def _facts(study: StreamStudy) -> Markup:
    stream, progress = study.recipe.stream, study.progress
    measured = [row["last"] for row in study.rows("provenance") if row["last"] is not None]
    draws = sorted({one.level.draws for one in study.results})
    many = (
        "none" if not draws else f"{draws[0]}" if len(draws) == 1 else f"{draws[0]} to {draws[-1]}"
    )
    floats = {
        study.naming(one.setting): f"{percent(one.means['online_float_accuracy'])} %"
        for one in study.results
    }
    return facts_of(
        [
            ("Corpus", study.recipe.corpus.name,
             f"{stream.hold_out:,} hold-out documents for each phase"),
            ("Stream", f"{len(stream.steps):,} batches of {stream.batch:,}",
             f"in {count(len(stream.phases), 'phase')}"),
            ("Trajectories", f"{progress['done']:,} of {progress['planned']:,}",
             f"last on {max(measured):%Y-%m-%d}" if measured else "none yet"),
            ("Draws", many, "other batches and another first subset"),
            ("Float models", listed([f"{k} {v}" for k, v in floats.items()]) or "none measured",
             "accuracy on what comes"),
        ]
    )  # fmt: skip


def _reproduce(study: StreamStudy) -> Markup:
    recipe = study.recipe
    file = f"{recipe.name}.yaml"
    lines = [f"calibkit stream {file}"]
    if recipe.corpus.source is None:
        lines.insert(0, ingesting(recipe.corpus.name, study.rows("corpus")))
    parts: list[Child] = [
        tag("h3", "Measure it again"),
        tag("p", f"With calibkit {measured_with(study.rows('runs'))}, and the recipe above saved as"
            f" {file}:"),
        commands(*lines),
        tag("h3", "Ask more"),
        commands(
            f"calibkit ask keeps-up --recipe {recipe.name}",
            f"calibkit sql \"FROM stream_results WHERE recipe = '{recipe.name}'\"",
        ),
        tag("h3", "This page again"),
        commands(f"calibkit report {file} -o {recipe.name}.html"),
    ]  # fmt: skip
    return section("reproduce", "How to reproduce it", *parts)
