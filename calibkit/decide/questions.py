"""Named questions to a study: SQL files with parameters, and what their heads say about them.

A question is ``calibkit/store/questions/NAME.sql``. The comment that it begins with names it, asks
it in one sentence, and lists parameters (``name type = default  about``), columns, how the answer
is drawn, and what it means when there are no rows. Values are bound to its ``$parameters``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from calibkit.decide.question_values import Parameter, Value
from calibkit.errors import BadInput, UnknownName

_LINE = re.compile(r"--   (?P<left>\S.*?)(?: {2,}(?P<about>\S.*))?")
_PARAMETER = re.compile(r"--   (?P<name>\w+) +(?P<kind>\S+) = (?P<default>\S+) +(?P<about>\S.*)")
_FIELD = re.compile(r"-- (?P<name>Parameters|Columns|Plot|Title|Empty):(?: (?P<rest>.*))?")
_NAMES = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\$(?P<name>[a-z_]+)")


@dataclass(frozen=True)
class PlotSpec:
    """How an answer is drawn.

    kind: heat_map, intervals, curves, shifts or bars. options: what that takes, columns by name
    (several where they tell rows apart together) and words. settings: values of parameters that
    the drawing wants unless they are given, such as all rows instead of the first.
    """

    kind: str
    title: str
    options: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """A named question.

    asks: the question in one sentence. about: what the answer is, and what it is not. columns:
    names (several may share a line) and what they mean. empty: what no rows mean. body: the SQL
    without its head.
    """

    name: str
    asks: str
    about: str
    parameters: tuple[Parameter, ...]
    columns: tuple[tuple[str, str], ...]
    plot: PlotSpec | None
    empty: str
    sql: str
    body: str

    def parameter(self, name: str) -> Parameter:
        """Return a parameter; raises UnknownName, with the ones that there are."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise UnknownName(
            f"parameter of the question {self.name!r}", name, (p.name for p in self.parameters)
        )

    def runnable(self, values: Mapping[str, Value]) -> str:
        """Return the SQL without its head and with literals for parameters, to be read and run.

        Not what is run here: there values are bound.
        """

        def literal(found: re.Match[str]) -> str:
            return found[0] if found["name"] is None else _literal(values[found["name"]])

        return _NAMES.sub(literal, self.body)


@cache
def questions() -> tuple[Question, ...]:
    """Return every question, by name."""
    folder = files("calibkit.store").joinpath("questions")
    return tuple(
        read_question(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    )


def find_question(name: str) -> Question:
    """Return the question of that name; raises UnknownName with the nearest one."""
    for question in questions():
        if question.name == name:
            return question
    raise UnknownName(
        "question",
        name,
        (question.name for question in questions()),
        "(`calibkit ask` lists them)",
    )


def drawn_question(name: str) -> PlotSpec:
    """Return how a question is drawn; raises UnknownName, or BadInput for one that is not."""
    spec = find_question(name).plot
    if spec is None:
        drawn = ", ".join(question.name for question in questions() if question.plot)
        raise BadInput(f"{name} is not drawn; `calibkit ask {name}` shows its rows. Drawn: {drawn}")
    return spec


def read_question(name: str, text: str) -> Question:
    """Return the question that a file's text is; raises ValueError where its head is malformed."""
    lines = text.splitlines()
    size = next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head, body = lines[:size], "\n".join(lines[size:]).strip() + "\n"
    first = head[0] if head else ""
    asks = first.removeprefix(f"-- {name}: ")
    if asks == first:
        raise ValueError(f"{name}.sql: it begins with '-- {name}: ' and the question")
    fields = dict(_fields(head))
    if missing := {"Parameters", "Columns", "Plot", "Title", "Empty"} - fields.keys():
        raise ValueError(f"{name}.sql: its head lacks {', '.join(sorted(missing))}")
    parameters = tuple(_parameter(name, line) for line in _joined(fields["Parameters"][1]))
    return Question(
        name=name,
        asks=asks,
        about=_paragraph(head[1 : next(n for n, line in enumerate(head) if _is_field(line))]),
        parameters=parameters,
        columns=tuple(_column(name, line) for line in _joined(fields["Columns"][1])),
        plot=_plot(fields["Plot"][0], fields["Title"][0]),
        empty=fields["Empty"][0],
        sql=text,
        body=body,
    )


def _is_field(line: str) -> bool:
    return _FIELD.fullmatch(line) is not None


def _fields(head: list[str]) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """Yield each field of a head: its name, what stands on its line, and the lines below."""
    current: tuple[str, tuple[str, list[str]]] | None = None
    for line in head:
        found = _FIELD.fullmatch(line)
        if found is not None:
            if current is not None:
                yield current
            current = (found["name"], (found["rest"] or "", []))
        elif current is not None:
            current[1][1].append(line)
    if current is not None:
        yield current


def _joined(lines: list[str]) -> list[str]:
    """Return entries, each with the lines that go on with it, which are indented further."""
    entries: list[str] = []
    for line in lines:
        if line.startswith("--       ") and entries:
            entries[-1] += f" {line.removeprefix('--').strip()}"
        else:
            entries.append(line)
    return entries


def _parameter(name: str, line: str) -> Parameter:
    found = _PARAMETER.fullmatch(line)
    if found is None:
        raise ValueError(f"{name}.sql: no parameter, type, default and meaning: {line!r}")
    return Parameter(**found.groupdict())


def _column(name: str, line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None or found["about"] is None:
        raise ValueError(f"{name}.sql: no column and meaning: {line!r}")
    return found["left"], found["about"]


def _paragraph(lines: list[str]) -> str:
    return " ".join(line.removeprefix("--").strip() for line in lines).strip()


def _plot(text: str, title: str) -> PlotSpec | None:
    if text == "none":
        return None
    kind, *pairs = text.split()
    options = {}
    settings = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key == "set":
            name, _, setting = value.partition(":")
            settings[name] = setting
        else:
            options[key] = tuple(value.split(","))
    return PlotSpec(kind, title, options, settings)


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"({value!r})" if value < 0 else repr(value)
