"""From what people type (an id, the start of one, a name) to the one thing that it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibkit.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import duckdb

_ID = re.compile(r"[a-z][0-9]+-[0-9a-f]*")
MOST_SHOWN = 8


@dataclass(frozen=True)
class Thing:
    """Something that can be shown: its kind, its id (or name), and what it is called."""

    kind: str
    id: str
    called: str = ""


_BY_ID = {
    "corpus": "SELECT DISTINCT corpus_id, name FROM corpora WHERE starts_with(corpus_id, $1)",
    "subset": "SELECT DISTINCT subset_id, '' FROM subsets WHERE starts_with(subset_id, $1)",
    "model": "SELECT DISTINCT model_id, kind FROM models WHERE starts_with(model_id, $1)",
    "model key": "SELECT DISTINCT model_key, kind FROM models WHERE starts_with(model_key, $1)",
    "cell": "SELECT DISTINCT cell_id, '' FROM cells WHERE starts_with(cell_id, $1)",
    "trajectory": "SELECT DISTINCT trajectory_id, '' FROM stream_trajectories"
    " WHERE starts_with(trajectory_id, $1)",
    "run": "SELECT DISTINCT run_id, coalesce(recipe, '') FROM runs WHERE starts_with(run_id, $1)",
    "recipe": "SELECT DISTINCT recipe_id, recipe FROM runs WHERE starts_with(recipe_id, $1)",
}
_BY_NAME = {
    "corpus": "SELECT arg_max(corpus_id, CAST(version AS INTEGER)), name FROM corpora"
    " WHERE name = $1 GROUP BY name",
    "recipe": "SELECT arg_max(recipe_id, (started_at, run_id)), recipe FROM runs"
    " WHERE recipe = $1 GROUP BY recipe",
}
_NAMES = "SELECT name FROM corpora UNION SELECT recipe FROM runs WHERE recipe IS NOT NULL"


def find(con: duckdb.DuckDBPyConnection | None, text: str) -> Thing:
    """Return the one thing that ``text`` is the id, the start of the id, or the name of.

    con: None where there is no store; then only policies are known. Raises BadInput when several
    things are meant, UnknownName when none is.
    """
    from calibkit.policies import policy_names

    found = [Thing("policy", text, text)] if text in policy_names() else []
    if con is not None:
        found += _found(con, _BY_NAME, text)
        if _ID.fullmatch(text):
            found += _found(con, _BY_ID, text)
    exact = [thing for thing in found if thing.id == text]
    if len(found) > 1 and len(exact) == 1 and exact[0].kind != "policy":
        found = exact
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{t.kind} {t.id}" for t in found[:MOST_SHOWN])
        more = "" if len(found) <= MOST_SHOWN else f" and {len(found) - MOST_SHOWN:,} more"
        raise BadInput(f"{text!r} may be {listed}{more}; say more of the id")
    names = [] if con is None else [str(row[0]) for row in con.execute(_NAMES).fetchall()]
    if _ID.fullmatch(text):
        raise BadInput(
            f"nothing in the store has an id that starts with {text!r}; `calibkit list"
            " corpora|subsets|models|recipes|runs` shows ids, the view results has cells, and"
            " stream_progress has trajectories"
        )
    raise UnknownName("corpus, recipe or policy", text, {*names, *policy_names()})


def _found(con: duckdb.DuckDBPyConnection, queries: dict[str, str], text: str) -> list[Thing]:
    return [
        Thing(kind, str(identity), str(called))
        for kind, query in queries.items()
        for identity, called in sorted(con.execute(query, [text]).fetchall())
    ]
