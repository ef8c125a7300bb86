"""The forms in which a subset can leave calibkit; knowing them imports nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A form of export: its name, what it is, and which packages it takes.

    writes: the file that a reader opens first. has_tokens: whether it holds token ids, which are
    by some vocabulary. writing, reading: the package that the export imports, and the one that
    whoever opens it needs besides numpy; None where there is none.
    """

    name: str
    writes: str
    has_tokens: bool
    writing: str | None = None
    reading: str | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("parquet", "subset.parquet", False, writing="pyarrow"),
        Kind("jsonl", "subset.jsonl", False),
        Kind("numpy", "tokens.npz", True),
        Kind("hf-dataset", "README.md", False, writing="datasets", reading="datasets"),
        Kind("torch", "calibration_loader.py", True, reading="torch"),
        Kind("onnxruntime", "calibration_reader.py", True, reading="onnxruntime"),
        Kind("litert", "representative_dataset.py", True),
    )
}
"""Every form by name, the plain ones first."""
