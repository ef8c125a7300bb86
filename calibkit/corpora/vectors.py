"""Vectors that come with documents, such as embeddings: checked at ingest, read back by id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calibkit.corpora.reading import Corpus
from calibkit.corpora.validation import Limits, Row
from calibkit.errors import BadInput

Vector = NDArray[np.float32]

_BATCH = 4096


@dataclass
class VectorColumn:
    """The column of vectors of one ingest. The first good one says how long all of them are.

    length: numbers of a vector, 0 before there was one; first: where that one stands.
    """

    name: str
    limits: Limits
    length: int = 0
    first: str = ""

    def checked(self, place: str, rows: Sequence[Row]) -> list[Row]:
        """Return the rows with float32 vectors; those without a usable one as problems."""
        found = []
        for row in rows:
            vector = row.problem or self._vector(row.vector)
            if isinstance(vector, str):
                found.append(row._replace(problem=vector))
                continue
            if not self.length:
                self.length, self.first = len(vector), f"{place}:{row.line}"
            found.append(row._replace(vector=vector))
        return found

    def _vector(self, value: object) -> Vector | str:
        """Return a vector, or what is wrong with it, as a sentence."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return f"no vector in {self.name!r}"
        numbers = _numbers(value)
        if numbers is None:
            return f"{self.name!r} is no list of numbers such as [0.1, 0.2]: {value!r:.60}"
        if not len(numbers):
            return f"an empty vector in {self.name!r}"
        if len(numbers) > self.limits.vector_numbers:
            most = self.limits.vector_numbers
            return f"a vector of {len(numbers):,} numbers in {self.name!r}; at most {most:,} may be"
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            vector = numbers.astype(np.float32)
        if not np.isfinite(vector).all():
            bad = numbers[~np.isfinite(vector)][0]
            return f"{self.name!r} holds {bad!s}, and every number must be finite in float32"
        if self.length and len(vector) != self.length:
            return (
                f"a vector of {len(vector):,} numbers in {self.name!r}, where the first one"
                f" ({self.first}) has {self.length:,}"
            )
        return vector


def _numbers(value: object) -> NDArray[np.floating[Any]] | None:
    """Return the numbers of an array, a list, or the text of a JSON list; None for all else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, list) and all(type(number) in (int, float) for number in value):
        try:
            value = np.array(value, dtype=np.float64)
        except OverflowError:  # a whole number that is beyond all floats
            value = np.full(len(value), np.inf)
    return value if isinstance(value, np.ndarray) else None


def vector_table(rows: Sequence[Row], lines: Sequence[int]) -> Any:
    """Return the vectors of the rows at ``lines`` as an Arrow table: line, vector, digest."""
    import pyarrow as pa

    kept = set(lines)
    vectors = [row.vector for row in rows if row.line in kept]
    flat: Vector = np.concatenate(vectors)  # type: ignore[arg-type]  # made by `checked`
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat), len(flat) // len(vectors))
    digests = [digest_of(vector) for vector in vectors]
    return pa.table({"line": pa.array(lines, pa.int64()), "vector": lists, "digest": digests})


def digest_of(vector: Any) -> str:
    """Return the md5 of a vector's little-endian float32 bytes."""
    return hashlib.md5(vector.astype("<f4").tobytes(), usedforsecurity=False).hexdigest()


def has_vectors(con: DuckDBPyConnection, corpus: Corpus) -> bool:
    """Say whether documents of the corpus came with vectors."""
    query = "SELECT 1 FROM document_vectors WHERE corpus_id = ? LIMIT 1"
    return con.execute(query, [corpus.corpus_id]).fetchone() is not None


def vectors_of(con: DuckDBPyConnection, corpus: Corpus, ids: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors that documents came with: float32 (documents, numbers).

    ids: in rising order. Raises BadInput, with the command that brings them, where the corpus has
    none, and for documents that have none.
    """
    wanted = list(ids)
    found: NDArray[np.float32] | None = None
    count = 0
    with con.cursor() as own:  # whatever else the connection is reading
        reader = own.sql(
            "SELECT doc_id, vector FROM document_vectors"
            " SEMI JOIN (SELECT unnest($ids::VARCHAR[]) AS doc_id) USING (doc_id)"
            " WHERE corpus_id = $corpus ORDER BY doc_id",
            params={"ids": wanted, "corpus": corpus.corpus_id},
        ).to_arrow_reader(_BATCH)
        for batch in reader:
            names, column = batch.column(0).to_pylist(), batch.column(1)
            if not names or names != wanted[count : count + len(names)]:
                break
            part = column.flatten().to_numpy().reshape(len(names), -1)
            if found is None:
                found = np.empty((len(wanted), part.shape[1]), dtype=np.float32)
            found[count : count + len(names)] = part
            count += len(names)
    if found is None or count < len(wanted):
        raise BadInput(
            f"corpus {corpus.name!r}, version {corpus.version}, has vectors for {count:,} of these"
            f" {len(wanted):,} documents; bring them with the documents: `calibkit ingest"
            f" {corpus.name} --train FILE --valid FILE --test FILE --vectors COLUMN`, which makes"
            " a new version of the corpus"
        )
    return found
