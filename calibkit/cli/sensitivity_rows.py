"""The rows of ``calibkit sensitivity``, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibkit.cli.summary import percent
from calibkit.cli.table import Figure, Table
from calibkit.recipe.dump import dump_quantize

if TYPE_CHECKING:
    from calibkit.decide.sensitivity import Report, Row

BARS = "▁▂▃▄▅▆▇█"

CAPTION = """
accuracy, drop (from the float model), difference (from the reference) and majority (the share of
the most predicted label) in percent; ±: 95 % interval over documents, paired (Agresti and Min)
low-alone: this at few bits, all others at many, against `all high`
high-alone: this at many bits, all others at few, against `all low`
predicted: how often each label, in the order {labels}
"""


def in_full(report: Report, labels: Sequence[str]) -> Table:
    """Return every row with fractions as they are; the last one has the suggestion."""
    exact = report.rows[0].measured
    records = []
    for row in report.rows:
        found, paired, mean = row.measured, row.difference, row.mean_bits
        record: dict[str, Any] = {
            "kind": row.kind,
            "quantizer": row.name,
            "part": row.part,
            "sites": list(row.sites),
            "bits": row.bits,
            "weight_bits": None if mean is None else mean["weights"],
            "activation_bits": None if mean is None else mean["activations"],
            "documents": len(found.right),
            "accuracy": found.accuracy,
            "accuracy_drop": exact.accuracy - found.accuracy,
            "against": row.against,
            "difference": None if paired is None else paired.difference,
            "ci_low": None if paired is None else paired.low,
            "ci_high": None if paired is None else paired.high,
            "nll": found.nll,
            "nll_rise": found.nll - exact.nll,
            "majority_share": found.majority_share,
            "predicted": {
                label: int(count) / len(found.right)
                for label, count in zip(labels, found.predicted, strict=True)
            },
            "mean_abs_h": found.mean_abs_h,
            "flags": ",".join(found.flags),
            "scheme_id": None if found.scheme is None else found.scheme.id,
            "assignment": None,
            "quantize": None,
            "evaluations": None,
        }
        if row.kind == "suggestion" and report.suggestion is not None:
            record["assignment"] = dict(report.suggestion.bits)
            record["scheme_id"] = report.suggestion.scheme.id
            record["quantize"] = dump_quantize(report.suggestion.quantize)
            record["evaluations"] = report.suggestion.evaluations
        records.append(record)
    return Table.of(records)


def for_people(report: Report) -> Table:
    """Return percent with one decimal, and the predictions as bars."""
    exact = report.rows[0].measured
    return Table.of([_shown(row, exact.accuracy) for row in report.rows])


def _shown(row: Row, exact: float) -> dict[str, Any]:
    found, paired = row.measured, row.difference
    return {
        "kind": row.kind,
        "quantizer": row.name,
        "bits": _bits(row),
        "accuracy": percent(found.accuracy),
        "drop": percent(exact - found.accuracy),
        "difference": None if paired is None else percent(paired.difference),
        "±": None if paired is None else percent((paired.high - paired.low) / 2),
        "nll": Figure(f"{found.nll:.4g}"),
        "mean |h|": Figure(f"{found.mean_abs_h:.3f}"),
        "majority": percent(found.majority_share),
        "predicted": bars(found.predicted.tolist()),
        "flags": ", ".join(found.flags),
    }


def _bits(row: Row) -> Figure | None:
    if row.mean_bits is None:
        return None
    if row.bits is not None:
        return Figure(row.bits)
    return Figure(f"{row.mean_bits['weights']:.2f} w, {row.mean_bits['activations']:.2f} a")


def bars(counts: Sequence[int]) -> str:
    """Return a histogram in one character per count; the largest is a full bar."""
    most = max(counts, default=0) or 1
    return "".join(BARS[round(count / most * (len(BARS) - 1))] for count in counts)


def caption(report: Report, labels: Sequence[str]) -> str:
    """Return what stands below the table: what the columns are, and the suggestion."""
    text = CAPTION.format(labels=", ".join(labels))
    suggestion = report.suggestion
    if suggestion is None:
        return text
    mean = report.rows[-1].mean_bits
    assert mean is not None
    same = report.rows[-1].measured is report.rows[-2].measured
    found = "nothing better than equal widths was found" if same else "suggested"
    return (
        f"{text}\n# {found}: {mean['weights']:.4g} bits per weight, {mean['activations']:.4g} per"
        f" activation value; {suggestion.evaluations} schemes were measured for it\n"
        f"{dump_quantize(suggestion.quantize)}"
    )
