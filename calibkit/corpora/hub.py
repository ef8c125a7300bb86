"""Datasets of the Hugging Face hub, or of a local folder, through ``datasets``.

Only data is loaded; code that comes with a dataset is never executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit.corpora.parquet import arrow_rows, check_columns
from calibkit.corpora.validation import Block, FileProblem, Row
from calibkit.errors import BadInput

SPLITS = {
    "train": ("train", "training"),
    "valid": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""Our split -> what datasets call it, the first that is there."""

_ADDRESS = re.compile(r"(?P<path>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[\w.+-]+))?")


@dataclass(frozen=True)
class HubDataset:
    """A loaded dataset: its splits under our names, and where it came from."""

    address: str
    splits: Mapping[str, Any]
    source: Mapping[str, object]
    notes: tuple[str, ...]

    def rows(
        self, split: str, text_column: str, label_column: str, vectors: str | None = None
    ) -> Iterator[Row | Block]:
        """Yield the documents of a split; ``line`` is the row number, from 1.

        Integer labels with names (ClassLabel) become their names. vectors: the column of vectors,
        if any, lists of numbers.
        """
        dataset = self.splits[split]
        place = self.place(split)
        columns = {"--text-column": text_column, "--label-column": label_column}
        if vectors is not None:
            columns["--vectors"] = vectors
        check_columns(place, dataset.features.arrow_schema, columns)
        names = label_names(dataset, label_column)
        batches = dataset.select_columns(list(columns.values())).with_format("arrow").iter(2048)
        yield from arrow_rows(batches, text_column, label_column, names, vectors)

    def place(self, split: str) -> str:
        """How problems call a split."""
        return f"{self.address}[{split}]"


def label_names(dataset: Any, column: str) -> tuple[str, ...]:
    """Return the names of a ClassLabel column by number, () for any other column."""
    feature = dataset.features.get(column)
    return tuple(getattr(feature, "names", None) or ())


def parse_address(address: str) -> tuple[str, str | None]:
    """Return (path, config) of ``ORG/DATASET[:CONFIG]`` or of a local folder."""
    if address and Path(address).is_dir():
        return address, None
    folder, _, config = address.rpartition(":")
    if folder and Path(folder).is_dir():
        return folder, config
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise BadInput(
            f"hub:{address} is no dataset: write hub:ORG/DATASET or hub:ORG/DATASET:CONFIG, for"
            " example hub:fancyzhx/ag_news, or hub:FOLDER for a local one"
        )
    return found["path"], found["config"]


def load_hub(address: str, label_column: str) -> HubDataset:
    """Load a dataset by its address.

    A split whose labels are all missing (how benchmarks hide them) is left out with a note. Raises
    BadInput when it cannot be loaded or has no training split.
    """
    path, config = parse_address(address)
    loaded = _load(path, config, address)
    splits: dict[str, Any] = {}
    notes = []
    for ours, names in SPLITS.items():
        name = next((n for n in names if n in loaded), None)
        if name is None:
            continue
        if ours != "train" and _is_unlabelled(loaded[name], label_column):
            notes.append(f"split {name!r} has no labels and was left out")
            continue
        splits[ours] = loaded[name]
    if "train" not in splits:
        raise FileProblem(
            f"hub:{address} has no split called 'train'; it has:"
            f" {', '.join(map(repr, loaded)) or 'none'}"
        )
    return HubDataset(f"hub:{address}", splits, _described(address, splits), tuple(notes))


def _load(path: str, config: str | None, address: str) -> Mapping[str, Any]:
    import datasets

    folder = Path(path)
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file():
            loaded = datasets.load_from_disk(path)
        else:
            loaded = datasets.load_dataset(path, config)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        # what `datasets` raises for a missing dataset, config, connection or a broken file
        raise BadInput(
            f"hub:{address} could not be loaded: {type(error).__name__}:"
            f" {' '.join(str(error).split())[:600]}"
        ) from error
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


def _is_unlabelled(dataset: Any, label_column: str) -> bool:
    if label_column not in dataset.column_names or not len(dataset):
        return False
    column = dataset.with_format("arrow")[label_column]
    values = set(column.unique().to_pylist()) if hasattr(column, "unique") else set(column)
    return values <= {None, -1}


def _described(address: str, splits: Mapping[str, Any]) -> dict[str, object]:
    info = splits["train"].info
    files = sorted(info.download_checksums or {})
    return {
        "kind": "hub",
        "address": address,
        "config": info.config_name,
        "version": str(info.version) if info.version else None,
        "fingerprints": {name: split._fingerprint for name, split in splits.items()},
        "files": files[:50],  # hub addresses carry the revision
    }
