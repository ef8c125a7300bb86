"""Self-made labelled text of any size, as files; and features of as many documents, on disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibkit.bench.inputs import zipf

LABELS = 10
"""The r-th most frequent of them has a share proportional to 11 - r."""

TYPES = 20_000
DIMS = 64
SITES = 10
HELD_OUT = 1_000
"""Documents of the valid and of the test split, where they are files of their own."""

BYTES = 1_000
"""What a document takes on disk, in files, stores and features, rounded up."""

_CHUNK = 50_000


@dataclass(frozen=True)
class Files:
    """Files with the columns text and label: a whole corpus in one, and one per split."""

    csv: Path
    train: Path
    valid: Path
    test: Path

    @property
    def whole(self) -> dict[str, str]:
        """The csv file, for a corpus whose splits are taken from it."""
        return {"train": str(self.csv)}

    @property
    def by_split(self) -> dict[str, str]:
        """The parquet files."""
        return {"train": str(self.train), "valid": str(self.valid), "test": str(self.test)}


def write_files(folder: Path, documents: int) -> Files:
    """Write ``documents`` short documents (57 characters on average) as csv and as parquet.

    The csv file is for a corpus whose splits are taken from it. The parquet files are train, with
    the same documents, and small valid and test splits whose texts do not occur in train. One
    document in 20 has a comma or a quote, one in 30 a letter outside ASCII.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("all.csv", "train.parquet", "valid.parquet", "test.parquet")
    files = Files(*(folder / name for name in names))
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with (
        files.csv.open("w", newline="", encoding="utf-8") as stream,
        pq.ParquetWriter(files.train, schema) as writer,
    ):
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(schema.names)
        for texts, labels in _chunks(documents, seed=0):
            rows.writerows(zip(texts, labels, strict=True))
            writer.write_table(pa.table([texts, labels], schema=schema))
    for path, seed in ((files.valid, 1), (files.test, 2)):
        texts, labels = next(_chunks(HELD_OUT, seed=seed))
        held_out = [f"{text} (held out {seed})" for text in texts]
        pq.write_table(pa.table([held_out, labels], schema=schema), path)
    return files


def write_features(folder: Path, documents: int) -> dict[str, Path]:
    """Write made-up features of as many documents; return the .npy files by name of the array.

    vectors: float32 (n, 64) of length 1 around 200 centres. ranges: float32 (n, 10, 2).
    """
    centres = np.random.default_rng([1, 0]).standard_normal((200, DIMS))
    files = {name: folder / f"{name}-{documents}.npy" for name in ("vectors", "ranges")}
    vectors = np.lib.format.open_memmap(files["vectors"], "w+", np.float32, (documents, DIMS))
    ranges = np.lib.format.open_memmap(files["ranges"], "w+", np.float32, (documents, SITES, 2))
    for start in range(0, documents, _CHUNK):
        rng = np.random.default_rng([2, start])
        rows = slice(start, min(start + _CHUNK, documents))
        count = rows.stop - rows.start
        near = centres[rng.integers(len(centres), size=count)]
        near = near + 0.7 * rng.standard_normal((count, DIMS))
        vectors[rows] = near / np.linalg.norm(near, axis=1, keepdims=True)
        spread = np.exp(0.3 * rng.standard_normal((count, SITES, 1)))
        ranges[rows] = np.sort(rng.standard_normal((count, SITES, 2)) * spread, axis=2)
    vectors.flush()
    ranges.flush()
    return files


def _chunks(documents: int, *, seed: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield texts and their labels, in chunks."""
    words = _words()
    rank = zipf(TYPES).cumsum()
    share = np.arange(LABELS, 0, -1) / np.arange(LABELS, 0, -1).sum()
    for start in range(0, documents, _CHUNK):
        rng = np.random.default_rng([3, seed, start])
        count = min(_CHUNK, documents - start)
        lengths = np.clip(rng.gamma(9.0, 10 / 9.0, size=count).astype(np.int64), 3, 24)
        drawn = np.searchsorted(rank, rng.random(int(lengths.sum())) * rank[-1]).tolist()
        ends = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        kinds = rng.integers(60, size=count).tolist()
        texts = [
            _text([words[place] for place in drawn[a:b]], kind)
            for a, b, kind in zip(ends, ends[1:], kinds, strict=False)
        ]
        labels = [f"topic {n}" for n in rng.choice(LABELS, size=count, p=share).tolist()]
        yield texts, labels


def _text(words: list[str], kind: int) -> str:
    if kind < 2:
        return ", ".join(words)
    if kind == 2:
        return f'"{words[0]}" {" ".join(words[1:])}.'
    if kind < 5:
        return f"{' '.join(words)} – é."
    return f"{' '.join(words)}."


def _words() -> list[str]:
    """Return made-up words, some capitalised, some numbers."""
    rng: Any = np.random.default_rng([3, 0])
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    sizes = np.clip(rng.poisson(5, size=TYPES), 2, 14)
    spelt = rng.choice(letters, size=int(sizes.sum()), p=zipf(len(letters)))
    words = ["".join(one) for one in np.split(spelt, np.cumsum(sizes)[:-1])]
    return [
        word.capitalize() if i % 11 == 0 else str(i) if i % 23 == 0 else word
        for i, word in enumerate(words)
    ]
