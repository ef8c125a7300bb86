"""A subset as texts: Parquet, JSON lines, and a folder that Hugging Face ``datasets`` reads."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibkit.errors import MissingExtra
from calibkit.export.kinds import KINDS
from calibkit.export.subset_card import card
from calibkit.export.subset_content import SubsetContent
from calibkit.table import json_text


def required(kind: str) -> Any:
    """Return the package that writes this kind, or None; MissingExtra where it is not installed."""
    package = KINDS[kind].writing
    if package is None:
        return None
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(
            f"--to {kind} needs the package {package}, which is not installed; it comes with"
            f" calibkit, and `pip install {package}` brings it back"
        ) from error


def write_parquet(folder: Path, content: SubsetContent) -> None:
    """Write one row per document: position int32, doc_id, label and text."""
    pa = required("parquet")
    from pyarrow import parquet

    columns = _columns(content)
    types = [pa.int32(), pa.string(), pa.string(), pa.string()]
    arrays = [pa.array(values, kind) for values, kind in zip(columns.values(), types, strict=True)]
    parquet.write_table(
        pa.Table.from_arrays(arrays, names=list(columns)), folder / KINDS["parquet"].writes
    )


def write_jsonl(folder: Path, content: SubsetContent) -> None:
    """Write one object per document and line: position, doc_id, label and text."""
    columns = _columns(content)
    lines = [
        json_text(dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    ]
    (folder / KINDS["jsonl"].writes).write_bytes("".join(f"{one}\n" for one in lines).encode())


def write_dataset(folder: Path, content: SubsetContent) -> None:
    """Write what ``datasets.load_from_disk`` reads, and the card; labels are a ClassLabel."""
    datasets = required("hf-dataset")
    columns = _columns(content) | {"label": content.documents.label_ids.tolist()}
    features = datasets.Features(
        {
            "position": datasets.Value("int32"),
            "doc_id": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(content.corpus.labels)),
            "text": datasets.Value("string"),
        }
    )
    with _no_progress(datasets):
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(
            str(folder), num_shards=1
        )
    (folder / KINDS["hf-dataset"].writes).write_bytes(card(content).encode())


def _columns(content: SubsetContent) -> dict[str, list[Any]]:
    found = content.documents
    return {
        "position": list(range(len(found))),
        "doc_id": list(found.ids),
        "label": content.labels,
        "text": list(found.texts),
    }


@contextmanager
def _no_progress(datasets: Any) -> Iterator[None]:
    """Keep the progress bars of ``datasets`` from being drawn."""
    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
