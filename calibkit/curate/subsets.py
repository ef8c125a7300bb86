"""Calibration subsets: policy over pool, kept in the store under the hash of their content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.reading import Documents, find_corpus
from calibkit.corpora.synthetic import Provenance, add_synthetic
from calibkit.corpora.text import tokenize
from calibkit.corpora.vocabulary import SPECIALS
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.features import Tell, untold
from calibkit.curate.float_models import ModelArtefact
from calibkit.curate.needs import pool_with, reads_checkpoints
from calibkit.curate.selection import StoredPool, drawn_in_sql, is_drawn_in_sql, whole_pool
from calibkit.curate.synthetic import Chosen, LibrarySource, as_documents
from calibkit.curate.versions import versions_of
from calibkit.errors import BadInput
from calibkit.identity import canonical, content_id, ordered_hash
from calibkit.models.settings import settings_from, settings_from_dict
from calibkit.policies import AnyPolicy, Draw, Generator, Policy, Pool, make, select
from calibkit.policies.base import labels_gone
from calibkit.policies.pool import needs_model
from calibkit.policies.profile import Profile, profile
from calibkit.store.connection import Store
from calibkit.store.rows import insert


@dataclass(frozen=True)
class BuiltSubset:
    """A subset as it stands in the store; doc_ids in calibration order."""

    subset_id: str
    doc_ids: tuple[str, ...]
    profile: Profile
    existed: bool


@dataclass(frozen=True)
class Request:
    """What is asked for: documents chosen by a policy, or ``ids``, which the user has chosen.

    ``uses_seed``: without it, requests that differ in their seed are one. ``training``: the key of
    the model whose checkpoints are read; models of one content may have come to it by others.
    versions: of what the policy reads, see `versions_of`.
    """

    policy: str
    version: int
    params: Mapping[str, Any]
    size: int
    seed: int
    uses_seed: bool
    model_id: str | None = None
    training: str | None = None
    versions: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: AnyPolicy, size: int, seed: int, model: ModelArtefact | None) -> Request:
        """Return the request for the documents that ``policy`` chooses."""
        return cls(
            policy.name,
            policy.version,
            policy.params(),
            size,
            seed,
            policy.uses_seed,
            None if model is None else model.id,
            model.key if model is not None and reads_checkpoints(policy.every_need) else None,
            versions_of(policy),
        )


@dataclass
class SubsetBuilder:
    """Builds the subsets of one corpus, share and pool; features are computed once and kept.

    tell: is told when documents are looked at in a way that takes a while.
    """

    library: Library
    pool_split: str = "train"
    tell: Tell = untold

    def build(
        self, policy: AnyPolicy, size: int, seed: int, *, model: ModelArtefact | None = None
    ) -> BuiltSubset:
        """Return the subset that ``policy`` picks or makes, from the store if it was asked before.

        model: what a model-aware policy looks through, or what writes the documents. Raises
        Infeasible, with the numbers, when the pool cannot give what is asked.
        """
        looks = needs_model(policy.every_need)
        if looks and model is None:
            does = "looks at documents through a float model"
            if "writer" in policy.every_need:
                does = "lets a generative float model write the documents"
            raise BadInput(
                f"{policy.name}: this policy {does}; "
                "name one with --model ID (`calibkit list models` shows what is trained)"
            )
        if not looks:
            model = None
        request = Request.of(policy, size, seed, model)
        found = self.found(request)
        if found is not None:
            return found
        with labels_gone(self.library.corpus.labels, f"{policy.name}: the pool has"):
            chosen = self._chosen(policy, size, seed, model)
        return self._keep(request, chosen)

    def found(self, request: Request) -> BuiltSubset | None:
        """Return what the store has for a request, or None."""
        if not self.library.store.exists():
            return None
        with self.library.store.reading() as con:
            row = con.execute(
                "SELECT subset_id FROM subset_requests WHERE request_key = ?",
                [self.request_key(request)],
            ).fetchone()
            return None if row is None else read_subset(con, str(row[0]))

    def stored(self, request_keys: Sequence[str]) -> dict[str, str]:
        """Return the ids of the subsets that the store has for requests, by `request_key`."""
        with self.library.store.reading() as con:
            return dict(
                con.execute(
                    "SELECT request_key, subset_id FROM subset_requests"
                    " SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS request_key) USING (request_key)",
                    [list(request_keys)],
                ).fetchall()
            )

    def keep(self, request: Request, doc_ids: Sequence[str]) -> BuiltSubset:
        """Put documents of the pool, in calibration order, into the store as an answer."""
        return self._keep(request, Chosen(self.documents(doc_ids)))

    def _keep(self, request: Request, found: Chosen) -> BuiltSubset:
        ids = found.documents.ids
        subset_id = content_id("subset", [self.library.corpus.corpus_id, ordered_hash(ids)])
        seen = self._profile(found.documents)
        self._write(request, subset_id, found, seen)
        return BuiltSubset(subset_id, ids, seen, existed=False)

    def _chosen(
        self, policy: AnyPolicy, size: int, seed: int, model: ModelArtefact | None
    ) -> Chosen:
        if isinstance(policy, Policy) and is_drawn_in_sql(policy):
            with self.library.store.reading() as con:
                ids = drawn_in_sql(con, self._stored_pool, policy, size, Draw(seed))
            return Chosen(self.documents(ids))
        needs = [need for need in policy.every_need if need != "writer"]
        pool = pool_with(
            needs, self._plain_pool, self.library, self.pool_split, model, tell=self.tell
        )
        if isinstance(policy, Generator):
            source = LibrarySource(self.library, policy.name, model)
            made = make(policy, pool, size, Draw(seed), source)
            return as_documents(made, self.library)
        return Chosen(self.documents(pool.ids(select(policy, pool, size, Draw(seed)))))

    def request_key(self, request: Request) -> str:
        """Return the key by which the store finds what it has for a request."""
        library = self.library
        return content_id(
            "request",
            {
                "corpus": library.corpus.corpus_id,
                "share": library.share,
                "pool": self.pool_split,
                "policy": [request.policy, request.version, request.params],
                "size": request.size,
                "seed": request.seed if request.uses_seed else 0,
                "model": request.model_id,
                **({"training": request.training} if request.training else {}),
                **({"versions": request.versions} if request.versions else {}),
            },
        )

    def documents(self, doc_ids: Sequence[str]) -> Documents:
        """Return documents of the corpus, in this order."""
        return self.library.by_id(doc_ids)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder.of(self.library, settings_from("discriminative", {}))

    @cached_property
    def _plain_pool(self) -> Pool:
        return whole_pool(self.library, self.pool_split)

    @property
    def _stored_pool(self) -> StoredPool:
        return StoredPool(self.library.corpus, self.pool_split, self.library.share)

    @cached_property
    def _pool_counts(self) -> dict[str, int]:
        with self.library.store.reading() as con:
            return self._stored_pool.label_counts(con)

    def _profile(self, found: Documents) -> Profile:
        names = self.library.corpus.labels
        tokens = self._encoder.encode(found.texts)
        return profile(
            [names[i] for i in found.label_ids],
            _lengths(found.texts),
            tokens,
            pool_counts=self._pool_counts,
            vocabulary_types=len(self._encoder.vocabulary) - len(SPECIALS),
        )

    def _write(self, asked: Request, subset_id: str, found: Chosen, seen: Profile) -> None:
        corpus = self.library.corpus
        corpus_id, doc_ids = corpus.corpus_id, found.documents.ids
        now = datetime.now(UTC).replace(tzinfo=None)
        key, params = self.request_key(asked), canonical(asked.params)
        request = {
            "request_key": key,
            "subset_id": subset_id,
            "corpus_id": corpus_id,
            "policy": asked.policy,
            "policy_kind": asked.policy,
            "params": params,
            "policy_version": asked.version,
            "size": asked.size,
            "seed": asked.seed,
            "pool": self.pool_split,
            "share": self.library.share,
            "model_id": asked.model_id,
            "created_at": now,
        }
        rows = asdict(seen) | {"subset_id": subset_id, "label_mix": canonical(seen.label_mix)}
        subset = {"subset_id": subset_id, "corpus_id": corpus_id, "size": len(doc_ids)}
        listed = [
            {"subset_id": subset_id, "position": place, "doc_id": doc_id}
            for place, doc_id in enumerate(doc_ids)
        ]
        by = Provenance(key, asked.policy, params, asked.seed, asked.model_id, now)
        with self.library.store.writing() as con:
            if found.made:
                add_synthetic(con, corpus, found.made, by)
            insert(con, "subsets", [subset | {"created_at": now}])
            insert(con, "subset_documents", listed)
            insert(con, "subset_profiles", [rows])
            insert(con, "subset_requests", [request])


def _lengths(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of tokens of each text: uncut, without <bos> and <eos>."""
    return np.array([len(tokenize(text)) for text in texts], dtype=np.int64)


def read_subset(con: duckdb.DuckDBPyConnection, subset_id: str) -> BuiltSubset:
    """Return a subset by its id, from the store."""
    rows = con.execute(
        "SELECT doc_id FROM subset_documents WHERE subset_id = ? ORDER BY position", [subset_id]
    ).fetchall()
    names = [f.name for f in fields(Profile)]
    columns = ", ".join(names)
    values = con.execute(
        f"SELECT {columns} FROM subset_profiles WHERE subset_id = ?",  # noqa: S608
        [subset_id],
    ).fetchone()
    if not rows or values is None:
        raise BadInput(f"the store has no subset {subset_id!r}; `calibkit list subsets` shows them")

    found = dict(zip(names, values, strict=True))
    found["label_mix"] = json.loads(found["label_mix"])
    return BuiltSubset(subset_id, tuple(r[0] for r in rows), Profile(**found), existed=True)


def find_model(con: duckdb.DuckDBPyConnection, name: str) -> ModelArtefact:
    """Return a trained model by (a prefix of) its id or key."""
    rows = con.execute(
        "SELECT model_key, model_id, settings FROM models "
        "WHERE starts_with(model_id, ?) OR starts_with(model_key, ?) ORDER BY model_key",
        [name, name],
    ).fetchall()
    if len({row[1] for row in rows}) != 1:
        what = "no model" if not rows else f"{len(rows)} models"
        raise BadInput(
            f"{what} with an id that starts with {name!r}; `calibkit list models` shows them"
        )
    key, identity, settings = rows[0]
    return ModelArtefact(key, identity, settings_from_dict(json.loads(settings)))


def build_subset(
    store: Store,
    corpus_name: str,
    policy: AnyPolicy,
    *,
    size: int,
    seed: int,
    pool: str = "train",
    share: float = 1.0,
    model: str | None = None,
    tell: Tell = untold,
) -> BuiltSubset:
    """Build (or find) one subset of a stored corpus.

    tell: is told when documents are looked at in a way that takes a while.
    Raises BadInput for an unknown corpus or model, Infeasible when the pool cannot give it.
    """
    if model is not None and not needs_model(policy.every_need):
        raise BadInput(
            f"{policy.name}: this policy does not look at documents through a model with these "
            "parameters; leave --model out"
        )
    with store.reading() as con:
        corpus = find_corpus(con, corpus_name)
        chosen = None if model is None else find_model(con, model)
    builder = SubsetBuilder(Library(store, corpus, share), pool, tell)
    return builder.build(policy, size, seed, model=chosen)
