"""What `bench deploy` shows people of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibkit.cli.table import Figure, Table


def deploy_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one line an artefact: size, memory, latency and accuracy."""
    shown = [
        {
            "cell": row["cell_id"],
            "model": row["kind"],
            "artefact": row["artefact"],
            "bits": row["bits"],
            "kB": Figure(f"{row['size_bytes'] / 1000:,.0f}"),
            "size": _ratio(row["size_ratio"]),
            "MB": None if row["peak_mb"] is None else Figure(f"{row['peak_mb']:.1f}"),
            "ms": _milliseconds(row["seconds_1"]),
            "latency": _ratio(row["latency_ratio_1"]),
            "low": _ratio(row["latency_ratio_1_low"]),
            "high": _ratio(row["latency_ratio_1_high"]),
            "ms of 64": _milliseconds(row["seconds_64"]),
            "of 64": _ratio(row["latency_ratio_64"]),
            "accuracy": Figure(f"{100 * row['accuracy']:.1f}"),
            "NLL": Figure(f"{row['nll']:.4g}"),
            "target": "; ".join(row["targets"]) or None,
        }
        for row in rows
    ]
    kept = [n for n in shown[0] if any(row[n] is not None for row in shown)] if shown else []
    return Table.of(shown, kept)


def _ratio(value: float | None) -> Figure | None:
    if value is None:
        return None
    return Figure(f"{value:.1f}" if value >= 10 else f"{value:.3f}")


def _milliseconds(seconds: float) -> Figure:
    return Figure(f"{1000 * seconds:.3g}")
