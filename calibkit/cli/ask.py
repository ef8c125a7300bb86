"""``calibkit ask``: named questions to a study."""

from __future__ import annotations

import click

from calibkit.cli.asking import parameter_options
from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Table


@click.command()
@click.argument("question", required=False)
@parameter_options
@click.option("--show", is_flag=True, help="Print the SQL with these parameters; ask nothing.")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Stop the query after S seconds.",
)
@data_options
@pass_session
def ask(
    session: Session,
    *,
    question: str | None,
    given: dict[str, str],
    show: bool,
    timeout: float,
    output: Output,
) -> None:
    """Answer a named QUESTION; without one, list them.

    Each is an SQL file with parameters; --show prints it, with what its columns mean, and what it
    prints can be run by `calibkit sql -`. Rankings have their intervals. Fractions are in [0, 1];
    drops are positive when worse.

    \b
    Examples:
      calibkit ask
      calibkit ask best --bits 4
      calibkit ask beats-random --recipe quickstart --model generative --format markdown
      calibkit ask cheapest --set loss=0.02
      calibkit ask bits --show | calibkit sql - --json
    """
    from calibkit.decide.questions import find_question, questions

    if question is None:
        if given or show:
            raise click.UsageError("name a question, or leave out its parameters and --show")
        rows = [
            {
                "question": q.name,
                "asks": q.asks,
                "parameters": [p.name for p in q.parameters],
                "plot": None if q.plot is None else q.plot.kind,
            }
            for q in questions()
        ]
        if output.is_for_people:
            rows = [{k: row[k] for k in ("question", "asks")} for row in rows]
        output.table(Table.of(rows))
        return
    found = find_question(question)
    if show and not session.store.exists():
        for name in given:
            found.parameter(name)
        output.text(found.sql)
        note("there is no store yet, so that parameters keep their names")
        return

    from calibkit.decide.answers import answer, asked

    if show:
        output.text(asked(session.store, question, given))
        return
    answered = answer(session.store, question, given, timeout_s=timeout)
    output.table(answered.table)
    if said := answered.said():
        note(said)
