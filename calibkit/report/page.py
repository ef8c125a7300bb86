"""A recipe's results as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from calibkit._version import __version__
from calibkit.recipe import Recipe
from calibkit.report.answers import (
    headline,
    how_sure,
    quantizer_first,
    what_it_costs,
    where_it_fails,
    which_policy,
)
from calibkit.report.elements import behind, commands, points_list
from calibkit.report.figures.colours import DARK, VARIABLES
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.sections.accuracy import accuracy
from calibkit.report.sections.claims import claims
from calibkit.report.sections.costs import costs
from calibkit.report.sections.decisions import decisions
from calibkit.report.sections.failures import failures
from calibkit.report.sections.gains import gains
from calibkit.report.sections.noise import noise
from calibkit.report.sections.origin import provenance, recipe_text
from calibkit.report.sections.reproduce import file_name, measuring, reproduce
from calibkit.report.sections.sets import sets
from calibkit.report.sections.shifts import shifts
from calibkit.report.study import Study, read_study
from calibkit.report.wording import count, listed, percent
from calibkit.store import Store

LIGHT_OWN = {
    "--link": "#0b5f97",
    "--wash": "#f3f6f8",
    "--rule": "#dce2e8",
    "--good": "#0a7558",
    "--bad": "#a94703",
    "--warn": "#a97a08",
}
DARK_OWN = {
    "--link": "#72bdec",
    "--wash": "#1c222a",
    "--rule": "#323a44",
    "--good": "#43cba5",
    "--bad": "#f4a062",
    "--warn": "#d9b24a",
}
"""Colours of the page beside those of its figures."""
SECTIONS = (
    ("answers", "Answers"),
    ("accuracy", "Accuracy"),
    ("gains", "Gains"),
    ("claims", "Claims"),
    ("noise", "Noise"),
    ("shifts", "Shifts"),
    ("sets", "Sets"),
    ("cost", "Cost"),
    ("failures", "Failures"),
    ("provenance", "Provenance"),
    ("recipe", "Recipe"),
    ("reproduce", "Reproduce"),
)


def make_page(store: Store, recipe: Recipe) -> str:
    """Return the page of a recipe's results, the same text whenever the store says the same.

    Raises Infeasible where the store has no run of the recipe, MissingExtra without matplotlib,
    and what a store raises.
    """
    return page_of(read_study(store, recipe))


def page_of(study: Study) -> str:
    """Return the page of a study that was read."""
    return document(
        f"{study.recipe.name}: calibkit report",
        _header(study),
        navigation(SECTIONS),
        tag("main", _answers(study), *_sections(study)),
        footer(),
    )


def document(title: str, *body: Child) -> str:
    """Return a whole page with its style and script, which are all that may run in it."""
    style, script = stylesheet(), _packaged("sort.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"calibkit {__version__}"),
        tag("title", title),
        Markup(f"<style>{style}</style>"),
    )
    whole = tag("body", *body, Markup(f"<script>{script}</script>"))
    return f"<!doctype html>\n{tag('html', head, whole, lang='en')}\n"


def stylesheet() -> str:
    """Return the page's style sheet: colours for light and dark, then the rest."""
    light = {name: colour for colour, name in VARIABLES.items()} | LIGHT_OWN
    dark = DARK | DARK_OWN
    said, said_dark = (
        "".join(f"{name}:{colour};" for name, colour in colours.items())
        for colours in (light, dark)
    )
    return (
        f":root{{{said}}}\n@media screen{{:root[data-theme=dark]{{{said_dark}}}}}\n"
        "@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{{said_dark}}}}}\n{_packaged('style.css')}"
    )


def policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy: nothing is loaded, and only these two texts count."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _packaged(file: str) -> str:
    return files("calibkit.report").joinpath(file).read_text(encoding="utf-8")


def _header(study: Study) -> Markup:
    recipe = study.recipe
    return top(recipe.name, recipe.about, _warnings(study), headline(study), _facts(study))


def top(name: str, about: str, warnings: Sequence[Markup], headline: str, facts: Markup) -> Markup:
    """Return the head of a page: what it is about, and what came of it in one sentence."""
    toggle = tag("button", "Dark", id="theme", type="button", hidden=True)
    bar = tag("div", tag("p", "calibkit report"), toggle, class_="bar")
    return tag(
        "header",
        bar,
        tag("h1", name),
        tag("p", about, class_="about") if about else None,
        *warnings,
        tag("p", headline, class_="headline"),
        facts,
        class_="top",
    )


def _warnings(study: Study) -> list[Markup]:
    said = []
    if not study.is_whole:
        progress = study.progress
        said.append(
            f"This study is not finished: {progress['done']:,} of"
            f" {count(progress['planned'], 'cell')} are measured, {progress['failed']:,} failed,"
            f" {progress['missing']:,} are missing."
        )
    if not study.is_current:
        said.append(
            f"The recipe file asks for something else than what was measured last under the name"
            f" {study.recipe.name}. This page shows what was measured, and the recipe of that."
        )
    return [tag("p", one, class_="warning", role="note") for one in said]


def _facts(study: Study) -> Markup:
    progress = study.progress
    models = list(dict.fromkeys(c.model for c in study.conditions))
    floats = [f"{model} {percent(study.float_accuracy(model))} %" for model in models]
    draws = sorted({int(row["draws"]) for row in study.accuracies().values()})
    measured = [row["last"] for row in study.rows("provenance") if row["last"] is not None]
    documents = sorted({int(row["documents"]) for row in study.clean})
    pairs: list[tuple[str, str, str]] = [
        ("Corpus", study.recipe.corpus.name,
         f"{listed([f'{n:,}' for n in documents])} test documents" if documents else ""),
        ("Cells measured", f"{progress['done']:,} of {progress['planned']:,}",
         f"last on {max(measured):%Y-%m-%d}" if measured else "none yet"),
        ("Policies", f"{len(study.policies):,}",
         f"in {count(len(study.conditions), 'setting')}"),
        ("Draws of each", f"{draws[0]}" if len(draws) == 1 else
         f"{draws[0]} to {draws[-1]}" if draws else "none", "distinct calibration sets"),
        ("Float models", listed(floats) or "none measured", "accuracy on clean documents"),
    ]  # fmt: skip
    return facts_of(pairs)


def facts_of(pairs: Sequence[tuple[str, str, str]]) -> Markup:
    """Return facts as a row of names, what they say, and what is to be added."""
    return tag(
        "dl",
        *(
            tag("div", tag("dt", key), tag("dd", said, tag("small", more) if more else None))
            for key, said, more in pairs
        ),
        class_="facts",
    )


def navigation(sections: Sequence[tuple[str, str]]) -> Markup:
    """Return links to the sections."""
    links = [tag("li", tag("a", called, href=f"#{name}")) for name, called in sections]
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _answers(study: Study) -> Markup:
    """Return the five questions that a reader has, answered."""
    asked: list[tuple[str, list[Child], Sequence[tuple[str, str]]]] = [
        ("Which policy?", [*quantizer_first(study), *which_policy(study), *_claimed(study)],
         [("gains", "all gains"), ("accuracy", "accuracy")]),
        ("How sure?", how_sure(study), [("gains", "verdicts"), ("claims", "claims")]),
        ("What does it cost?", what_it_costs(study), [("cost", "cost by setting")]),
        ("Where does it fail?", where_it_fails(study),
         [("failures", "failures"), ("noise", "noise")]),
        ("How do I reproduce it?",
         [join(f"Save the recipe below as {file_name(study)}, then:", commands(*measuring(study)))],
         [("reproduce", "all commands"), ("provenance", "versions"), ("recipe", "recipe")]),
    ]  # fmt: skip
    rows = [
        tag(
            "div",
            tag("h3", question),
            tag("div", points_list(said), _more(links)),
            class_="answer",
        )
        for question, said, links in asked
    ]
    return tag(
        "section",
        tag("h2", "Answers", id="answers-title"),
        tag("div", *rows, class_="answers"),
        tag("h3", "Setting by setting") if study.comparisons else None,
        decisions(study),
        behind(study.sql("accuracy"), "The SQL behind these sentences: accuracy"),
        behind(study.sql("cells"), "The SQL behind these sentences: cells, paired by seed"),
        id="answers",
        aria_labelledby="answers-title",
    )


def _claimed(study: Study) -> list[Child]:
    if not study.claims:
        return []
    verdicts = [one.verdict for one in study.claims]
    parts = [
        f"{verdicts.count(verdict):,} {verdict}"
        for verdict in ("supported", "contradicted", "undecided")
        if verdict in verdicts
    ]
    return [f"Of {count(len(verdicts), 'declared claim')}: {listed(parts)}."]


def _more(links: Sequence[tuple[str, str]]) -> Markup:
    shown = [
        join(" · " if place else "", tag("a", called, href=f"#{name}"))
        for place, (name, called) in enumerate(links)
    ]
    return tag("p", "More: ", *shown, class_="more")


def _sections(study: Study) -> list[Markup]:
    makers = (
        accuracy, gains, claims, noise, shifts, sets, costs, failures, provenance, recipe_text,
        reproduce,
    )  # fmt: skip
    return [maker(study) for maker in makers]


def footer() -> Markup:
    """Return what stands below a page."""
    said = (
        f"Made by calibkit {__version__} from the store alone; the same store gives the same page."
        " It loads nothing and sends nothing. Fractions in the SQL are in [0, 1]; queries run with"
        " calibkit sql."
    )
    return tag("footer", tag("p", said))
