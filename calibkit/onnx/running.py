"""Documents through ONNX Runtime: one thread, in batches of documents of like length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.engine.batches import canonical_order
from calibkit.errors import BadInput
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.packages import required_runtime
from calibkit.ragged import Ragged

BATCH = 64
_ERRORS_ONLY = 3


def session(model: Path | bytes) -> Any:
    """Return an ONNX Runtime session of a file, or of one's bytes: on the CPU, with one thread.

    Raises BadInput for a file that ONNX Runtime cannot load, MissingExtra without the package.
    """
    runtime: Any = required_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    given = model if isinstance(model, bytes) else str(model)
    try:
        return runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base class of their own
        what = "the graph" if isinstance(model, bytes) else str(model)
        raise BadInput(
            f"{what}: ONNX Runtime {runtime.__version__} cannot load it: {error}; export it anew,"
            " perhaps with a lower --opset, or install a newer onnxruntime"
        ) from error


def padded(tokens: Ragged, rows: NDArray[np.intp]) -> dict[str, NDArray[np.int64]]:
    """Return a graph's inputs for the documents at ``rows``: ids padded with 0, and lengths."""
    lengths = tokens.lengths[rows]
    ids = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : lengths[place]] = tokens[int(row)]
    return {IDS: ids, LENGTHS: lengths}


def batches_by_length(tokens: Ragged, batch: int = BATCH) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of documents batch by batch, longest first."""
    order = canonical_order(tokens)
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def answers(
    model: Any, tokens: Ragged, labels: int, *, batch: int = BATCH
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scores (documents, labels) and labels (documents,) that a session gives."""
    scores = np.empty((len(tokens), labels), dtype=np.float64)
    found = np.empty(len(tokens), dtype=np.int64)
    for rows in batches_by_length(tokens, batch):
        scores[rows], found[rows] = model.run(None, padded(tokens, rows))
    return scores, found
