"""Answers to named questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibkit.decide.question_values import Value, values_of
from calibkit.decide.questions import Question, find_question
from calibkit.store import Store, query
from calibkit.table import Table


@dataclass(frozen=True)
class Answer:
    """What a store says to a question.

    values: what its parameters were. sql: the query with these values in it, as it can be run.
    """

    question: Question
    values: dict[str, Value]
    table: Table
    sql: str

    def said(self) -> str:
        """Return which study and baseline were asked, where nobody named them, and why no rows."""
        chosen = [
            f"{name} {value}"
            for name, value in self.values.items()
            if name in ("recipe", "policy", "against") and value is not None
        ]
        if self.table.rows:
            return ", ".join(chosen)
        why = self.question.empty
        defaults = {p.name: p.default for p in self.question.parameters}
        if "latest" in defaults.values() and self.values["recipe"] is None:
            why = "no recipe has been run against this store"
        elif "latest-stream" in defaults.values() and self.values["recipe"] is None:
            why = "no stream recipe has been run against this store"
        elif defaults.get("against") == "baseline" and self.values["against"] is None:
            why += "; the recipe has no policy of kind random: name another, --set against=POLICY"
        return f"no rows: {why}" + (f" ({', '.join(chosen)})" if chosen else "")


def asked(store: Store, name: str, parameters: Mapping[str, str]) -> str:
    """Return the SQL of a question with its head, and with what would be asked as literals.

    Raises what ``answer`` raises.
    """
    question = find_question(name)
    values = _values(store, question, parameters)
    head = question.sql[: question.sql.index(question.body)]
    return head + question.runnable(values)


def answer(
    store: Store,
    name: str,
    parameters: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 60.0,
) -> Answer:
    """Return the answer to a question, read in the sandbox with its parameters bound.

    parameters: texts by name; the others take their defaults. Raises UnknownName for a question or
    parameter that there is not, BadInput for a value that cannot be, and what a store raises.
    """
    question = find_question(name)
    values = _values(store, question, parameters or {})
    table = query(store, question.body, parameters=values, timeout_s=timeout_s)
    return Answer(question, values, table, question.runnable(values))


def _values(store: Store, question: Question, given: Mapping[str, str]) -> dict[str, Value]:
    for key in given:
        question.parameter(key)
    return values_of(store, question.parameters, given)
