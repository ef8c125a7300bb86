"""``calibkit bench deploy``: what cells come to on the device, beside other tools' quantizers.

All artefacts of a cell answer the same test documents in one process, on one thread, in turns; a
ratio is their time / that of the float model's ONNX file in the same turn.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.bench.deploy_artefacts import Artefact, artefacts
from calibkit.bench.deploy_memory import Padded
from calibkit.bench.targets import DEPLOYED
from calibkit.bench.timing import Spread, Stages, Work, ratios, take_turns
from calibkit.curate.seen_by_model import one_thread
from calibkit.export.cell import Cell, evenly, read_cell
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.running import BATCH, batches_by_length, padded
from calibkit.ragged import Ragged
from calibkit.store.connection import Store
from calibkit.store.fragments import merge, write_fragment
from calibkit.store.presence import in_use
from calibkit.sweep.provenance import command_line, host, versions
from calibkit.sweep.rows import now

TABLE = "deployment_measurements"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured: documents that are labelled, documents that are timed, and turns."""

    documents: int
    timed: int
    repetitions: int


FULL = Sizes(documents=1_000, timed=128, repetitions=5)
QUICK = Sizes(documents=64, timed=16, repetitions=2)


def measure(
    store: Store, names: Sequence[str], sizes: Sizes, *, quick: bool, tell: Tell
) -> list[dict[str, Any]]:
    """Measure the artefacts of cells, record them in the store, and return the rows of the run.

    names: the starts of ids of cells. Rows have the columns of the table deployment_measurements,
    and ``size_ratio``, ``peak_ratio``, ``kind``, ``bits`` and ``targets`` as well. Raises what
    `read_cell` raises, before anything is measured where an id is wrong; MissingExtra without onnx
    and onnxruntime.
    """
    cells = [read_cell(store, name, tell=tell, most=sizes.documents) for name in names]
    bench_id = f"b1-{uuid.uuid4().hex[:16]}"
    found: list[dict[str, Any]] = []
    for cell in cells:
        tell(f"exporting {cell.origin.cell_id} and its float model")
        with one_thread(), artefacts(cell.frozen, tell) as made:
            rows = [{"bench_id": bench_id, **row} for row in _measured(cell, made, sizes, tell)]
        _record(store, bench_id, cell, rows)
        found += _with_ratios(cell, rows, quick=quick)
    return found


def _measured(
    cell: Cell, made: Sequence[Artefact], sizes: Sizes, tell: Tell
) -> Iterator[dict[str, Any]]:
    tokens, labels = cell.tested.tokens, cell.tested.labels
    answers = {}
    for one in made:
        tell(f"{one.name} labels {len(tokens):,} documents")
        answers[one.name] = _scores(one, tokens, len(cell.frozen.labels))
    timed = tokens.take(_by_length(tokens, sizes.timed))
    tell(f"{len(made)} artefacts take turns over {len(timed):,} documents")
    seconds = {size: _times(made, timed, size, sizes.repetitions) for size in (1, BATCH)}
    floats = made[0].name
    for one in made:
        scores = answers[one.name]
        predicted = scores.argmax(axis=1)
        row = {
            "cell_id": cell.origin.cell_id,
            "artefact": one.name,
            "of_cell": one.of_cell,
            "model_id": cell.origin.model_id,
            "test_id": cell.origin.test.id,
            "documents": len(labels),
            "accuracy": float((predicted == labels).mean()),
            "nll": float(-scores[np.arange(len(labels)), labels].mean()),
            "agreement": float((predicted == answers[floats].argmax(axis=1)).mean()),
            "size_bytes": one.size,
            "peak_mb": one.peak(_batches(timed, BATCH)),
            "timed_documents": len(timed),
            "repetitions": sizes.repetitions,
        }
        for size, times in seconds.items():
            own = Spread.of([sum(turn.values()) / len(timed) for turn in times[one.name]])
            ratio = ratios(times[one.name], times[floats], None)
            row |= {f"seconds_{size}": own.median, f"latency_ratio_{size}": ratio.median}
            row |= {
                f"latency_ratio_{size}_low": ratio.low,
                f"latency_ratio_{size}_high": ratio.high,
            }
        row |= {"made_with": one.made_with, "versions": versions(), "host": host()}
        row |= {"command": command_line(), "measured_at": now()}
        yield row


def _scores(one: Artefact, tokens: Ragged, labels: int) -> NDArray[np.float64]:
    found = np.empty((len(tokens), labels))
    for rows in batches_by_length(tokens, BATCH):
        found[rows] = one.answer(_padded(tokens, rows))
    return found


def _times(
    made: Sequence[Artefact], tokens: Ragged, batch: int, repetitions: int
) -> dict[str, list[dict[str, float]]]:
    """Return by artefact the CPU seconds of every turn over all of the documents."""

    def work(one: Artefact) -> Work:
        given = [one.prepare(each) for each in _batches(tokens, batch)]

        def answer(stages: Stages) -> None:
            with torch.inference_mode(), stages("answer"):
                for each in given:
                    one.call(each)

        return answer

    return take_turns({one.name: work(one) for one in made}, repetitions)[0]


def _batches(tokens: Ragged, batch: int) -> list[Padded]:
    return [_padded(tokens, rows) for rows in batches_by_length(tokens, batch)]


def _padded(tokens: Ragged, rows: NDArray[np.intp]) -> Padded:
    given = padded(tokens, rows)
    return given[IDS], given[LENGTHS]


def _by_length(tokens: Ragged, most: int) -> NDArray[np.intp]:
    """Return at most so many documents, evenly over the lengths that there are."""
    order = np.argsort(tokens.lengths, kind="stable")
    return order[evenly(len(order), most)]


def _record(store: Store, bench_id: str, cell: Cell, rows: list[dict[str, Any]]) -> None:
    payload = {"fragment": 1, "kind": "note", "rows": {TABLE: rows}}
    with in_use(store):
        write_fragment(store.fragments, f"{bench_id}-{cell.origin.cell_id}", payload)
        merge(store)


def _with_ratios(
    cell: Cell, rows: Sequence[Mapping[str, Any]], *, quick: bool
) -> Iterator[dict[str, Any]]:
    """Yield the rows with what is a quotient of two of them, and with what they should reach."""
    first, bits = rows[0], cell.origin.scheme.bits
    for row in rows:
        full = {**row, "kind": cell.frozen.kind, "bits": bits if row["of_cell"] else None}
        for name in ("size_bytes", "peak_mb"):
            known = row[name] is not None and first[name] is not None
            ratio = row[name] / first[name] if known else None
            full[f"{name.partition('_')[0]}_ratio"] = ratio
        wanted = DEPLOYED.get((cell.frozen.kind, row["artefact"], bits), ())
        told = [one.text(full[one.name]) for one in wanted if not quick]
        yield {**full, "targets": told}
