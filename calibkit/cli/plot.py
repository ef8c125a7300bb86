"""``calibkit plot``: the answer to a named question as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from calibkit.cli.asking import parameter_options
from calibkit.cli.notes import note
from calibkit.cli.output import check_target, replace_file
from calibkit.cli.session import Session, pass_session
from calibkit.errors import BadInput

FORMS = (".svg", ".png")


@click.command()
@click.argument("question")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The picture, .svg or .png; a file that is there is replaced.",
)
@parameter_options
@pass_session
def plot(session: Session, *, question: str, output: Path, given: dict[str, str]) -> None:
    """Draw the answer to a named QUESTION.

    `calibkit ask` lists them. The same answer is always the same file, byte for byte, under one
    version of matplotlib, which draws it and comes with `pip install 'calibkit[report]'`. What the
    picture says is printed in words as well.

    \b
    Examples:
      calibkit plot best -o best.svg
      calibkit plot beats-random --bits 4 -o gains.png
      calibkit plot noise-curve --recipe quickstart --set policy=k-center -o noise.svg
    """
    form = output.suffix.lower()
    if form not in FORMS:
        raise BadInput(f"-o {output}: a plot is written as {' or '.join(FORMS)}")
    check_target(output, session)

    from calibkit.decide.answers import answer
    from calibkit.decide.questions import drawn_question
    from calibkit.report.plotting import draw

    spec = drawn_question(question)
    found = answer(session.store, question, {**spec.settings, **given})
    figure = draw(found)
    data = figure.standalone().encode() if form == ".svg" else figure.png()
    replace_file(output, data)
    if said := found.said():
        note(said)
    note(figure.alt)
    note(f"wrote {output}")
