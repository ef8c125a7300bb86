"""What stands in a fragment, and how it is read: rows by table, checked against the tables.

A fragment ends with the sha256 of what stands before it, so that a digit which the disk has
changed is no other number. Fragments of former versions have none and are read as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from calibkit.errors import BadInput
from calibkit.identity import sha256_hex
from calibkit.store.files import disk_told
from calibkit.store.rows import TableShape, plain, table_shapes

FRAGMENT_VERSION = 1
KINDS = ("cell", "baseline", "failure", "note", "stream")
SYNTHETIC = "synthetic"
"""The only split whose documents travel: those of a corpus come in by ingest, whole."""

BY_INGEST = frozenset({"corpora", "labels", "document_vectors"})
"""Tables that, like the documents of a corpus, are filled by ingest alone."""

BOOKS = frozenset({"meta", "t_quantiles", "conflicts"})
"""Tables that every store keeps for itself."""

_KEYS = {"fragment", "kind", "rows", "sha256"}
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""Where half of a character may be written."""
_SEAL = re.compile(rb', "sha256": "([0-9a-f]{64})"}\Z')
_DOCUMENTS_KEY = ("corpus_id", "split", "doc_id")


@dataclass
class Fragment:
    """A fragment as it was read: rows by table, their values as texts (see ``TableShape``)."""

    path: Path
    rows: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)


def check_payload(name: str, payload: Mapping[str, Any]) -> None:
    """Raise BadInput for a payload that is no fragment of this version."""
    if payload.get("fragment") != FRAGMENT_VERSION or payload.get("kind") not in KINDS:
        raise BadInput(
            f"fragment {name!r}: 'fragment' must be {FRAGMENT_VERSION} and 'kind' one of"
            f" {', '.join(KINDS)}; got {payload.get('fragment')!r}, {payload.get('kind')!r}"
        )
    if set(payload) != _KEYS - {"sha256"}:
        raise BadInput(
            f"fragment {name!r} has the keys {sorted(payload)}; allowed: fragment, kind, rows"
        )


def sealed(payload: Mapping[str, Any]) -> bytes:
    """Return a fragment as it is written: JSON, its last key the sha256 of the JSON without it.

    Raises TypeError for what JSON does not know.
    """
    text = json.dumps(plain(payload), sort_keys=True).encode()
    return text[:-1] + f', "sha256": "{sha256_hex(text)}"}}'.encode()


def _check_seal(data: bytes, keys: Iterable[str]) -> None:
    """Raise BadInput for a fragment that is not what was written."""
    unknown = sorted(set(keys) - _KEYS)
    if unknown:
        raise BadInput(f"a fragment has no {unknown[0]!r}; it is damaged, or from a later version")
    if "sha256" not in keys:
        return
    seal = _SEAL.search(data)
    if seal is None or sha256_hex(data[: seal.start()] + b"}") != seal[1].decode():
        raise BadInput("its sha256 is not what was written: it was changed, or the disk is failing")


def fragment_shapes(con: duckdb.DuckDBPyConnection) -> dict[str, TableShape]:
    """Return the shapes of all tables; the one without a primary key gets what is unique in it."""
    shapes = table_shapes(con)
    return shapes | {"documents": replace(shapes["documents"], key=_DOCUMENTS_KEY)}


def read_fragment(path: Path, shapes: Mapping[str, TableShape]) -> Fragment:
    """Return the fragment with its values as texts; raise BadInput saying what is wrong with it.

    Raises StoreError where the disk does not give it.
    """
    with disk_told(f"read {path}"):
        data = path.read_bytes()
    try:
        payload = json.loads(data)
        if _HALF.search(data):
            json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadInput("half of a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"no complete JSON ({error})") from error
    if not isinstance(payload, dict) or payload.get("fragment") != FRAGMENT_VERSION:
        raise BadInput(f"no fragment of version {FRAGMENT_VERSION}")
    if payload.get("kind") not in KINDS or not isinstance(payload.get("rows"), dict):
        raise BadInput(f"'kind' must be one of {', '.join(KINDS)}, and 'rows' a mapping")
    _check_seal(data, payload)
    fragment = Fragment(path)
    allowed = {n for n, shape in shapes.items() if shape.key} - BOOKS - BY_INGEST
    for table, rows in payload["rows"].items():
        if table not in allowed:
            raise BadInput(f"no table for fragments is called {table!r}")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadInput(f"'rows.{table}' must be a list of mappings")
        if table == "documents" and any(row.get("split") != SYNTHETIC for row in rows):
            raise BadInput(f"'rows.documents' may only have documents of the split {SYNTHETIC!r}")
        fragment.rows[table] = [shapes[table].texts(row) for row in rows]
    return fragment


def in_batches(paths: Iterable[Path], most_bytes: int) -> Iterator[list[Path]]:
    """Yield the files in order, in lists that just reach ``most_bytes``; the last may not."""
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += path.stat().st_size
        if size >= most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
