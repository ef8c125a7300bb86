"""The forms in which a subset or a cell can leave calibkit; knowing them imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """A form of export: its name, what it is, and which packages it takes.

    of: what is exported, a subset or a cell. writes: the file that a reader opens first.
    has_tokens: whether it holds a subset's token ids, which are by some vocabulary. writing,
    reading: the package that the export imports, and the one that whoever opens it needs besides
    numpy; None where there is none.
    """

    name: str
    writes: str
    has_tokens: bool = False
    writing: str | None = None
    reading: str | None = None
    of: Literal["subset", "cell"] = "subset"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("parquet", "subset.parquet", writing="pyarrow"),
        Kind("jsonl", "subset.jsonl"),
        Kind("numpy", "tokens.npz", has_tokens=True),
        Kind("hf-dataset", "README.md", writing="datasets", reading="datasets"),
        Kind("torch", "calibration_loader.py", has_tokens=True, reading="torch"),
        Kind("onnxruntime", "calibration_reader.py", has_tokens=True, reading="onnxruntime"),
        Kind("litert", "representative_dataset.py", has_tokens=True),
        Kind("c", "classifier.c", of="cell"),
        Kind("onnx", "classifier.onnx", of="cell", writing="onnxruntime", reading="onnxruntime"),
    )
}
"""Every form by name, the plain ones first."""


def kinds_of(what: str) -> tuple[str, ...]:
    """Return the names of the forms in which a subset, or a cell, can leave."""
    return tuple(name for name, kind in KINDS.items() if kind.of == what)
