"""Ingest, stage by stage, and the same corpus by hand: a loop over rows in plain Python.

The rules of `calibkit.corpora` told a second time, so that the two can be held against each other.
"""

from __future__ import annotations

import csv
import hashlib
import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from calibkit.bench.isolation import CORES, own_peak_mb

NAME = "bench"

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Ingested:
    """What an ingest gave and took.

    outcome: the corpus id, documents per split, duplicates, documents whose text is in test, tokens
    of all documents.
    seconds: wall; cpu_seconds: of all threads together. loading: of the first, those for reading
    the files with their checks and for writing to the store; the others are for hashing, splits and
    ids.
    """

    outcome: tuple[object, ...]
    seconds: float
    cpu_seconds: float
    loading: float
    peak_mb: float


def ingested(*, store: str, files: Mapping[str, str]) -> Ingested:
    """Ingest files, by split, into a store."""
    import pyarrow.parquet  # noqa: F401  # imports are not timed

    from calibkit.corpora.ingest import ingest_into, prepared
    from calibkit.store.connection import Store

    start, cpu = time.perf_counter(), time.process_time()
    there = Store(Path(store), threads=CORES)
    with prepared(NAME, files=dict(files)) as corpus:
        with there.writing() as con:
            report = ingest_into(con, corpus)
        finishing = corpus.finishing
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = own_peak_mb()
    with there.reading() as con:
        ((tokens,),) = con.execute("SELECT sum(tokens)::BIGINT FROM documents").fetchall()
    outcome = (
        report.corpus_id,
        tuple(report.documents.items()),
        report.duplicates,
        report.in_test,
        tokens,
    )
    return Ingested(outcome, seconds, cpu, seconds - finishing, peak)


def by_hand(*, files: Mapping[str, str]) -> Ingested:
    """Return what the same ingest is to give, without a store."""
    from calibkit.identity import content_id

    start, cpu = time.perf_counter(), time.process_time()
    rows = [
        (split, _clean(text), _clean(label))
        for split, path in files.items()
        for text, label in _rows(Path(path))
    ]
    placed = _placed(rows, {"test": 0.2, "valid": 0.1}, set(files))
    seen: Counter[tuple[str, str, str]] = Counter()
    ids, by_split, texts = [], Counter[str](), defaultdict[str, Counter[str]](Counter)
    tokens = 0
    for split, text, label in placed:
        parts = (NAME, split, label, text, str(seen[split, label, text]))
        seen[split, label, text] += 1
        ids.append("d1-" + _md5("\x1f".join(parts))[:20])
        by_split[split] += 1
        texts[split][text] += 1
        tokens += sum(1 for _ in _TOKEN.finditer(text.lower()))
    duplicates = sum(count - 1 for counts in texts.values() for count in counts.values())
    in_test = sum(texts[split][text] for split in ("train", "valid") for text in texts["test"])
    corpus_id = content_id("corpus", [NAME, _md5("".join(sorted(ids)))])
    counts = tuple((split, by_split[split]) for split in ("train", "valid", "test"))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    outcome = (corpus_id, counts, duplicates, in_test, tokens)
    return Ingested(outcome, seconds, cpu, seconds, own_peak_mb())


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        for row in pq.read_table(path).to_pylist():
            yield row["text"], row["label"]
        return
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            yield row["text"], row["label"]


def _placed(
    rows: list[tuple[str, str, str]], shares: Mapping[str, float], given: set[str]
) -> list[tuple[str, str, str]]:
    """Return (split, text, label), with the splits that were not given taken out of train."""
    by_label: dict[str, set[str]] = defaultdict(set)
    for split, text, label in rows:
        if split == "train":
            by_label[label].add(text)
    target: dict[tuple[str, str], str] = {}
    for label, own in by_label.items():
        ranked = sorted(own, key=lambda text: (_md5(f"calibkit1:0:split:{_md5(text)}"), text))
        start = 0
        for split, share in shares.items():
            if split not in given:
                end = start + int(share * len(ranked) + 0.5)
                target |= {(label, text): split for text in ranked[start:end]}
                start = end
    return [
        (target.get((label, text), split) if split == "train" else split, text, label)
        for split, text, label in rows
    ]


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
