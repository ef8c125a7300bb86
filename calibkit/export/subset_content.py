"""What is exported of a stored subset: its documents in calibration order, and where it is from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import duckdb

from calibkit._version import __version__
from calibkit.corpora.reading import Corpus, Documents, corpus_by_id, documents_by_id
from calibkit.errors import BadInput
from calibkit.identity import ordered_hash
from calibkit.policies.profile import Profile
from calibkit.store.connection import Store

_ASKED = ("policy", "params", "policy_version", "seed", "pool", "share", "model_id")


@dataclass(frozen=True)
class SubsetContent:
    """A subset with its documents in calibration order.

    asked: who chose it, by the names of the request's columns (policy, params, policy_version,
    seed, pool, share, model_id) of the oldest request that it answers; None for what the store
    does not say. profile: as the view subset_profile has it, or None where it was never made.
    """

    subset_id: str
    corpus: Corpus
    documents: Documents
    asked: Mapping[str, Any]
    profile: Mapping[str, Any] | None

    @property
    def labels(self) -> list[str]:
        """The label of each document, by name."""
        return [self.corpus.labels[number] for number in self.documents.label_ids.tolist()]

    @property
    def share(self) -> float:
        """The share of the corpus that the subset was asked from."""
        return 1.0 if self.asked["share"] is None else float(self.asked["share"])

    def facts(self) -> dict[str, Any]:
        """Return what identifies the subset and tells where it is from, as JSON can say it."""
        return {
            "calibkit": __version__,
            "subset_id": self.subset_id,
            "ordered_hash": ordered_hash(self.documents.ids),
            "size": len(self.documents),
            "corpus": {
                "id": self.corpus.corpus_id,
                "name": self.corpus.name,
                "version": self.corpus.version,
            },
            "labels": list(self.corpus.labels),
            **self.asked,
            "profile": None if self.profile is None else dict(self.profile),
        }


def read_content(store: Store, subset_id: str) -> SubsetContent:
    """Return a stored subset by its whole id, made documents included.

    Raises BadInput for a subset that the store lacks, or whose documents or corpus it lacks.
    """
    with store.reading() as con:
        row = con.execute(
            "SELECT corpus_id FROM subsets WHERE subset_id = ?", [subset_id]
        ).fetchone()
        ids = con.execute(
            "SELECT doc_id FROM subset_documents WHERE subset_id = ? ORDER BY position",
            [subset_id],
        ).fetchall()
        if row is None or not ids:
            raise BadInput(
                f"the store has no documents of the subset {subset_id!r}; `calibkit list subsets`"
                " shows what it has"
            )
        corpus = corpus_by_id(con, row[0])
        found = documents_by_id(con, corpus, [doc_id for (doc_id,) in ids])
        return SubsetContent(
            subset_id, corpus, found, _asked(con, subset_id), _profile(con, subset_id)
        )


def _asked(con: duckdb.DuckDBPyConnection, subset_id: str) -> dict[str, Any]:
    row = con.execute(
        f"SELECT {', '.join(_ASKED)} FROM subset_requests WHERE subset_id = ?"
        " ORDER BY created_at, request_key LIMIT 1",
        [subset_id],
    ).fetchone()
    found = dict.fromkeys(_ASKED) if row is None else dict(zip(_ASKED, row, strict=True))
    if found["params"] is not None:
        found["params"] = json.loads(found["params"])
    return found


def _profile(con: duckdb.DuckDBPyConnection, subset_id: str) -> dict[str, Any] | None:
    names = [field.name for field in fields(Profile)]
    row = con.execute(
        f"SELECT {', '.join(names)} FROM subset_profiles WHERE subset_id = ?", [subset_id]
    ).fetchone()
    if row is None:
        return None
    found = dict(zip(names, row, strict=True))
    found["label_mix"] = json.loads(found["label_mix"])
    return found
