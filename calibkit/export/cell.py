"""A measured cell as exporters need it: its network, made anew, and its test documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from calibkit.curate.seen_by_model import one_thread
from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import evaluate
from calibkit.errors import BadInput, StoreDamaged
from calibkit.export.network import Frozen, Tested
from calibkit.ragged import Ragged
from calibkit.store.connection import Store
from calibkit.sweep.origin import CellOrigin, cell_origin
from calibkit.sweep.rebuild import Ingredients, Tell, ingredients

HELD_AGAINST = 512
"""So many of the stored predictions are held against those of the network that was made anew."""


@dataclass(frozen=True)
class Cell:
    """A cell of the store, with its network as it was measured and its test documents.

    stored: its clean measurement, by the names of the columns of ``evaluations``.
    """

    origin: CellOrigin
    frozen: Frozen
    tested: Tested
    stored: Mapping[str, Any]


def read_cell(store: Store, name: str, *, tell: Tell, most: int | None = None) -> Cell:
    """Return a cell by the start of its id: quantized anew, and evaluated in arithmetic integer.

    tell: is told what is being done; most: at most so many test documents are kept and evaluated,
    evenly over all of them. Raises BadInput for an id that no cell has, a scheme that has
    no integers (dynamic) or is another tool's, and scales that do not go together; StoreDamaged
    where the weights, the documents or the stored predictions are not those of this network;
    Infeasible for another harness.
    """
    with store.reading() as con:
        origin = cell_origin(con, name)
        stored = _stored(con, origin.cell_id)
        predicted = _predicted(con, origin.cell_id)
    if origin.scheme.by_peer:
        raise BadInput(
            f"the cell {origin.cell_id} was quantized by {origin.scheme.quantizer} of ONNX Runtime,"
            " so that it has no codes and ranges of calibkit's which could be exported; choose a"
            " cell of a preset of calibkit's own"
        )
    if origin.scheme.dynamic:
        raise BadInput(
            f"the cell {origin.cell_id} quantizes activations dynamically, so that they have no"
            " grids which could be exported; choose a cell with `dynamic: false`"
        )
    parts = ingredients(store, origin, tell=tell)
    tell("quantizing the network")
    with one_thread():
        frozen = _frozen(origin, parts)
        tokens = frozen.encode(parts.tested.texts)
        labels = parts.tested.label_ids.astype(np.int64)
        _hold_against(origin, frozen, tokens, labels, predicted)
        kept = evenly(len(tokens), len(tokens) if most is None else most)
        texts = tuple(parts.tested.texts[row] for row in kept)
        tokens, labels = tokens.take(kept), labels[kept]
        tell(f"evaluating {len(labels):,} test documents in whole numbers")
        kernels = kernels_by("auto", frozen.network, tokens, arithmetic="integer")
        found = evaluate(frozen.network, tokens, labels, kernels=kernels)
    tested = Tested(texts, tokens, labels, found.scores, found.predicted)
    return Cell(origin, frozen, tested, stored)


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """Return the places of at most so many of a number of things, evenly over all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))


def _frozen(origin: CellOrigin, parts: Ingredients) -> Frozen:
    settings, arrays = parts.training.settings, parts.model.tensors
    subset = parts.vocabulary.encode(parts.subset.texts, most_tokens=settings.most_tokens)
    done = calibrate(settings.kind, arrays, subset, origin.scheme)
    return Frozen(
        done.network,
        arrays,
        origin.scheme,
        parts.vocabulary,
        tuple(origin.corpus.labels),
        settings.most_tokens,
    )


def _stored(con: duckdb.DuckDBPyConnection, cell_id: str) -> dict[str, Any]:
    names = ("accuracy", "nll", "documents", "macro_f1", "mean_abs_h", "flags")
    row = con.execute(
        f"SELECT {', '.join(names)} FROM evaluations WHERE cell_id = ? AND noise_kind = 'none'",
        [cell_id],
    ).fetchone()
    if row is None:
        raise StoreDamaged(
            f"the cell {cell_id} has no clean measurement in this store; evaluate its recipe anew"
            f" (`calibkit recipe {cell_id}` prints it)"
        )
    return dict(zip(names, row, strict=True))


def _predicted(con: duckdb.DuckDBPyConnection, cell_id: str) -> list[int] | None:
    """Return the stored labels of the clean documents, where the store has them."""
    row = con.execute(
        "SELECT predicted FROM predictions WHERE cell_id = ? AND noise_kind = 'none'", [cell_id]
    ).fetchone()
    return None if row is None or row[0] is None else list(row[0])


def _hold_against(
    origin: CellOrigin,
    frozen: Frozen,
    tokens: Ragged,
    labels: NDArray[np.int64],
    predicted: Sequence[int] | None,
) -> None:
    """Hold some documents' labels, in the cell's own arithmetic, against those of the store."""
    if predicted is None:
        return
    some = range(min(HELD_AGAINST, len(tokens)))
    kernels = kernels_by("auto", frozen.network, tokens, arithmetic=origin.scheme.arithmetic)
    found = evaluate(frozen.network, tokens.take(some), labels[: len(some)], kernels=kernels)
    wrong = int((found.predicted != np.array(predicted[: len(some)])).sum())
    if wrong:
        raise StoreDamaged(
            f"the cell {origin.cell_id}, quantized anew, labels {wrong} of {len(some)} test"
            " documents otherwise than the store says: it would not be the cell that was measured."
            f" `calibkit verify {origin.cell_id}` says more"
        )
