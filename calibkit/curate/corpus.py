"""The corpus that a recipe or a command names: found in the store, or ingested first."""

from __future__ import annotations

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import Corpus, find_corpus
from calibkit.errors import BadInput, UnknownName
from calibkit.store.connection import Store


def recipe_corpus(store: Store, name: str, source: str | None) -> Corpus | None:
    """Return the latest version of a recipe's corpus, or None where it has yet to be ingested.

    Raises BadInput when it is neither in the store nor has a source to be ingested from.
    """
    problem = f"there is no store at {store.path} yet"
    if store.exists():
        try:
            with store.reading() as con:
                return find_corpus(con, name)
        except UnknownName as error:
            problem = str(error)
    if source is None:
        raise BadInput(
            f"the recipe's corpus {name!r} is not in the store, and the recipe has no "
            f"`corpus.from` to take it from: {problem}; run "
            f"`calibkit ingest {name} --train FILE --valid FILE --test FILE`, or add `from:`"
        )
    return None


def ensure_corpus(store: Store, name: str, source: str | None) -> tuple[Corpus, tuple[str, ...]]:
    """Return a corpus, ingested from its source where the store lacks it, and what ingest noted."""
    found = recipe_corpus(store, name, source)
    if found is not None:
        return found, ()
    notes = ingest(store, name, source=source).notes
    with store.reading() as con:
        return find_corpus(con, name), tuple(notes)
