"""The corpus that a recipe or a command names: found in the store, or ingested first."""

from __future__ import annotations

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import Corpus, find_corpus
from calibkit.errors import BadInput, UnknownName
from calibkit.store.connection import Store


def stored_corpus(store: Store, name: str, source: str | None = None) -> Corpus | None:
    """Return the latest version of a corpus, or None where it is not there but has a source.

    Raises BadInput when it is neither in the store nor has a source to be ingested from.
    """
    problem = f"the store {store.path} does not exist yet"
    if store.exists():
        try:
            with store.reading() as con:
                return find_corpus(con, name)
        except UnknownName as error:
            problem = str(error)
    if source is None:
        raise BadInput(
            f"corpus {name!r} is not in the store and the recipe has no `corpus.from`: {problem}; "
            f"run `calibkit ingest {name} --train FILE --valid FILE --test FILE`, "
            "or add `from:` to the recipe"
        )
    return None


def ensure_corpus(store: Store, name: str, source: str | None) -> Corpus:
    """Return a corpus, ingesting it from its source where the store lacks it."""
    found = stored_corpus(store, name, source)
    if found is not None:
        return found
    ingest(store, name, source=source)
    with store.reading() as con:
        return find_corpus(con, name)
