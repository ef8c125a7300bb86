"""Collect garbage: what the store's cells, models, subsets and corpora have no use for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from calibkit.errors import StoreBusy
from calibkit.store.connection import Store
from calibkit.store.garbage import (
    Note,
    Waste,
    artefact_waste,
    is_old,
    leftovers,
    quarantined,
    remove,
)
from calibkit.store.merged import merged_waste
from calibkit.store.presence import users
from calibkit.words import counted

TRAINED = ("model", "checkpoint")
"""Kinds of artefacts that take a training to get back."""

REMADE = ("tokens", "vocabulary", "feature", "envelope", "ranges", "reference")
"""Kinds of artefacts that are made anew from the store where they are missing."""

OF_STREAMS = ("predictor",)
"""The same of streams: what says which codes to flip."""

_IDS = {
    "c1": "SELECT corpus_id FROM corpora",
    "s1": "SELECT subset_id FROM subsets",
    "m1": "SELECT model_id FROM models UNION SELECT model_id FROM cells",
    "k1": "SELECT model_key FROM models",
    "j1": "SELECT trajectory_id FROM stream_trajectories",
}
_ID = re.compile(r"([a-z][0-9]+)-[0-9a-f]{16}")
_CALLED = {"c1": "corpus", "s1": "subset", "m1": "float model", "k1": "float model"}


@dataclass(frozen=True)
class Wanted:
    """What is to be collected beside what nothing needs."""

    caches: bool = False
    quarantine: bool = False
    merged: bool = False


NEEDED_BY_NOTHING = Wanted()


@dataclass(frozen=True)
class Garbage:
    """What may go, and lines about what stays although it was looked at."""

    waste: tuple[Waste, ...]
    told: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:  # noqa: A003 - what it is
        """How much room it takes."""
        return sum(one.bytes for one in self.waste)


def find_garbage(store: Store, wanted: Wanted = NEEDED_BY_NOTHING) -> Garbage:
    """Return what may go; nothing is removed.

    Never what a stored cell needs: its float model's weights, its documents, its numbers. Raises
    what a store raises.
    """
    known = _Known.read(store)
    unknown: dict[str, int] = {}

    def judge(note: Note) -> str:
        if note.kind in TRAINED:
            return known.orphaned(note) if is_old(note.path) else ""
        if note.kind not in REMADE + OF_STREAMS:
            unknown[note.kind] = unknown.get(note.kind, 0) + 1
            return ""
        if wanted.caches:
            return "it can be made anew from the store"
        return known.missing(note.config.get("made_from")) if is_old(note.path) else ""

    waste = [*leftovers(store), *_standings(store, known, caches=wanted.caches)]
    artefacts, told = artefact_waste(store.artefacts, judge)
    waste += artefacts
    told += [
        f"left {counted(count, 'artefact')} of the kind {kind!r}, of which this version does not"
        " know what needs it"
        for kind, count in unknown.items()
    ]
    if wanted.quarantine:
        waste += quarantined(store)
    if wanted.merged:
        merged, more = merged_waste(store)
        waste += merged
        told += more
    return Garbage(tuple(waste), tuple(told))


def collect(store: Store, wanted: Wanted = NEEDED_BY_NOTHING) -> Garbage:
    """Remove what may go and return it; the store is locked meanwhile.

    Raises StoreBusy while a sweep is at work in the store, or another process writes to it.
    """
    with store.reading():  # brings an older store up to date
        pass
    with store.locked():
        at_work = users(store)
        if at_work:
            raise StoreBusy(
                f"{', '.join(at_work)} is at work in the store {store.path} and may be using what"
                " would be removed; wait for it or stop it, then run the same command again"
            )
        found = find_garbage(store, wanted)
        remove(found.waste)
    return found


def _standings(store: Store, known: _Known, *, caches: bool) -> Iterator[Waste]:
    """Yield where trajectories stand that nobody goes on with."""
    for path in sorted((store.folder / "streams").glob("[!.]*.safetensors")):
        why = ""
        if caches:
            why = "it can be made anew: the trajectory would be followed from its start"
        elif path.stem not in known.ids["j1"] and is_old(path):
            why = "no stream recipe of the store has planned the trajectory that stands there"
        if why:
            yield Waste("stream", path, path.stat().st_size, why)


@dataclass(frozen=True)
class _Known:
    """Ids that the store has, by prefix; of float models also those that wait to be merged."""

    ids: dict[str, frozenset[str]]

    @classmethod
    def read(cls, store: Store) -> _Known:
        with store.reading() as con:
            ids = {
                prefix: {str(row[0]) for row in con.execute(query).fetchall()}
                for prefix, query in _IDS.items()
            }
        for folder in (store.fragments, store.merged):  # a model's note is named by its key
            ids["k1"] |= {path.name.partition(".")[0] for path in folder.glob("k1-*.json")}
        return cls({prefix: frozenset(found) for prefix, found in ids.items()})

    def orphaned(self, note: Note) -> str:
        """Say why a trained artefact is of no float model of the store; nothing if it is of one."""
        key = note.key if note.kind == "model" else note.key.rpartition("-")[0]
        if key in self.ids["k1"] or note.config.get("model_id") in self.ids["m1"]:
            return ""
        return "the store has no float model that it belongs to"

    def missing(self, made_from: Any) -> str:
        """Say which of the things that an artefact was made from the store does not have."""
        for text in _texts(made_from):
            found = _ID.fullmatch(text)
            if found and found[1] in self.ids and text not in self.ids[found[1]]:
                return f"the store has no {_CALLED[found[1]]} that it was made from"
        return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Iterable):
        for item in value:
            yield from _texts(item)
