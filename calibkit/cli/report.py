"""``calibkit report``: a recipe's results as one page for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibkit.cli.notes import note
from calibkit.cli.output import check_target, replace_file
from calibkit.cli.session import Session, pass_session
from calibkit.errors import MissingExtra

if TYPE_CHECKING:
    from calibkit.recipe import Recipe, StreamRecipe
    from calibkit.report.streams.study import StreamStudy
    from calibkit.report.study import Study
    from calibkit.store import Store


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The page, one HTML file; a file that is there is replaced.",
)
@pass_session
def report(session: Session, *, recipe: Path, output: Path) -> None:
    """Write what RECIPE measured as one HTML page.

    The page needs no network and no other file, follows light and dark, and can be printed. It
    says which policy to take, how sure that is, what it costs, where it fails and how to reproduce
    it; of a stream recipe, which methods keep up, at what cost, and what they forget. Then come
    figures and sortable tables, each with its SQL. A study that is half measured is shown as far as
    it is. Nothing is measured here: `calibkit evaluate RECIPE` (or `calibkit stream RECIPE`) does
    that. Figures are drawn by matplotlib, which comes with `pip install 'calibkit[report]'`.

    \b
    Examples:
      calibkit report recipes/quickstart.yaml -o page.html
      calibkit report recipes/stream-drift.yaml -o drift.html
      calibkit --store elsewhere.duckdb report news.yaml -o news.html
    """
    from importlib.util import find_spec

    from calibkit.recipe import is_stream, load_recipe, load_stream_recipe

    check_target(output, session)
    loaded = load_stream_recipe(recipe) if is_stream(recipe) else load_recipe(recipe)
    if find_spec("matplotlib") is None:
        raise MissingExtra(
            "figures are drawn by matplotlib, which is not installed; it comes with"
            " `pip install 'calibkit[report]'`, or alone with `pip install matplotlib`"
        )
    study, page, units = _made(session.store, loaded)
    replace_file(output, page.encode())
    if not study.is_whole:
        progress = study.progress
        note(
            f"{progress['done']:,} of {progress['planned']:,} {units} are measured,"
            f" {progress['failed']:,} failed; the page says what is missing"
        )
    if not study.is_current:
        note(
            f"{recipe} is not what was measured last as {loaded.name}; the page shows what was"
            " measured, with its recipe"
        )
    note(f"wrote {output} ({len(page.encode()) / 1e6:.1f} MB)")


def _made(store: Store, recipe: Recipe | StreamRecipe) -> tuple[Study | StreamStudy, str, str]:
    """Return what was read, its page, and what is counted in it."""
    from calibkit.recipe import StreamRecipe

    if isinstance(recipe, StreamRecipe):
        from calibkit.report.streams.page import stream_page_of
        from calibkit.report.streams.study import read_stream_study

        streamed = read_stream_study(store, recipe)
        return streamed, stream_page_of(streamed), "trajectories"
    from calibkit.report.page import page_of
    from calibkit.report.study import read_study

    study = read_study(store, recipe)
    return study, page_of(study), "cells"
