"""The rows of ``calibkit influence``, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibkit.cli.layout import lay_out
from calibkit.cli.summary import percent
from calibkit.cli.table import Figure, Table
from calibkit.cli.text import one_line

if TYPE_CHECKING:
    from calibkit.decide.influence import Agreement, DocumentValue, Group, Influence, Valuation
    from calibkit.decide.judging import Measured
    from calibkit.decide.removals import Beside, Change, LabelEffect, Removal

FIRST_WORDS = 60
"""Characters of a document that people see."""

TYPES = {
    "kind": "VARCHAR",
    "name": "VARCHAR",
    "label": "VARCHAR",
    "documents": "BIGINT",
    "accuracy": "DOUBLE",
    "accuracy_change": "DOUBLE",
    "accuracy_low": "DOUBLE",
    "accuracy_high": "DOUBLE",
    "accuracy_control_mean": "DOUBLE",
    "accuracy_control_low": "DOUBLE",
    "accuracy_control_high": "DOUBLE",
    "accuracy_p": "DOUBLE",
    "accuracy_beyond": "BOOLEAN",
    "nll": "DOUBLE",
    "nll_change": "DOUBLE",
    "nll_low": "DOUBLE",
    "nll_high": "DOUBLE",
    "nll_control_mean": "DOUBLE",
    "nll_control_low": "DOUBLE",
    "nll_control_high": "DOUBLE",
    "nll_p": "DOUBLE",
    "nll_beyond": "BOOLEAN",
    "flags": "VARCHAR",
    "rank": "BIGINT",
    "position": "BIGINT",
    "tokens": "BIGINT",
    "value": "DOUBLE",
    "standard_error": "DOUBLE",
    "text": "VARCHAR",
    "predicted_by_values": "DOUBLE",
    "predicted_by_proxy": "DOUBLE",
    "measure": "VARCHAR",
    "r": "DOUBLE",
    "r_low": "DOUBLE",
    "r_high": "DOUBLE",
    "p": "DOUBLE",
    "n": "BIGINT",
}
"""Column -> type; what does not belong to a row's kind is NULL."""

LABELS = """
change: without these documents, less with them; accuracy in percent and points; 95 %: paired over
the documents measured on; random: where one more removal of as many random documents would lie,
95 %; beyond: told from that, and outside of all of them, after Holm's correction
"""
DOCUMENTS = """
value: Shapley value by the proxy, nats of nll a document that it saves when it joins others (below
0: costs), and its standard error
"""
VALIDATION = """
predicted: rise of nll without the group, by the sum of its values, and by the proxy for just this
removal; measured: really quantized; ranked: neighbours by value, 1 the most useful
"""


def in_full(found: Influence) -> Table:
    """Return every row with fractions as they are, for machines."""
    records: list[dict[str, Any]] = [
        {"kind": "reference", "name": name, **_network(one)}
        for name, one in (("float model", found.exact), ("whole subset", found.full))
    ]
    records += [_label(one) for one in found.labels]
    if found.valuation is not None:
        records += [_document(one) for one in found.valuation.documents]
        records += [_group(one) for one in found.valuation.groups]
        records += [_agreement(one) for one in found.valuation.agreements]
    rows = tuple(tuple(record.get(name) for name in TYPES) for record in records)
    return Table(tuple(TYPES), rows, tuple(TYPES.values()))


def _network(found: Measured) -> dict[str, Any]:
    return {"accuracy": found.accuracy, "nll": found.nll, "flags": ",".join(found.flags)}


def _label(one: LabelEffect) -> dict[str, Any]:
    record = {"kind": "label", "name": one.label, "label": one.label, **_removal(one.removal)}
    for measure, beside in (("accuracy", one.accuracy), ("nll", one.nll)):
        record[f"{measure}_control_mean"] = beside.controls.mean
        record[f"{measure}_control_low"] = beside.controls.low
        record[f"{measure}_control_high"] = beside.controls.high
        record[f"{measure}_p"] = beside.p
        record[f"{measure}_beyond"] = beside.is_beyond
    return record


def _removal(one: Removal) -> dict[str, Any]:
    record = {"documents": len(one.rows), **_network(one.measured)}
    for measure, change in (("accuracy", one.accuracy), ("nll", one.nll)):
        record[f"{measure}_change"] = change.value
        record[f"{measure}_low"], record[f"{measure}_high"] = change.low, change.high
    return record


def _document(one: DocumentValue) -> dict[str, Any]:
    return {
        "kind": "document",
        "name": one.chosen.doc_id,
        "label": one.chosen.label,
        "documents": 1,
        "rank": one.rank,
        "position": one.place,
        "tokens": one.tokens,
        "value": one.value,
        "standard_error": one.error,
        "text": one.chosen.text,
    }


def _group(one: Group) -> dict[str, Any]:
    return {
        "kind": "validation",
        "name": f"{one.how} {one.number}",
        "predicted_by_values": one.by_values,
        "predicted_by_proxy": one.by_proxy,
        **_removal(one.removal),
    }


def _agreement(one: Agreement) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": "agreement", "name": one.by, "measure": one.measure}
    if one.found is not None:
        r = one.found
        record |= {"r": r.r, "r_low": r.low, "r_high": r.high, "p": r.p, "n": r.n}
    return record


# ------------------------------------------------------------------------------------- for people


def for_people(found: Influence, top: int, width: int | None) -> str:
    """Return the tables, one below the other, with what their columns are.

    width: cells of a terminal line; None means that lines may be as long as they must.
    """
    shown = [_shown_network("(float model)", found.exact), _shown_network("(none)", found.full)]
    shown += [_shown_label(one) for one in found.labels]
    parts = [lay_out(Table.of(shown, tuple(shown[-1])), width) + LABELS]
    if found.valuation is not None:
        parts.append(lay_out(Table.of(_shown_documents(found.valuation, top)), width) + DOCUMENTS)
        if found.valuation.groups:
            groups = [_shown_group(one) for one in found.valuation.groups]
            parts.append(lay_out(Table.of(groups), width) + VALIDATION)
    return "\n".join(parts)


def _shown_network(name: str, one: Measured) -> dict[str, Any]:
    return {
        "without": name,
        "documents": None,
        "accuracy": percent(one.accuracy),
        "nll": Figure(f"{one.nll:.4g}"),
        "flags": ", ".join(one.flags),
    }


def _shown_label(one: LabelEffect) -> dict[str, Any]:
    record = _shown_network(one.label, one.removal.measured)
    flags = record.pop("flags")
    record["documents"] = len(one.removal.rows)
    accuracy, nll = record.pop("accuracy"), record.pop("nll")
    record |= {"accuracy": accuracy, **_beside("", one.removal.accuracy, one.accuracy, points)}
    record |= {"nll": nll, **_beside(" nll", one.removal.nll, one.nll, signed)}
    return record | {"flags": flags}


def _beside(name: str, change: Change, beside: Beside, written: Any) -> dict[str, Any]:
    controls = beside.controls
    return {
        f"change{name}": written(change.value),
        f"95 %{name}": _between(change.low, change.high, written),
        f"random{name}": _between(controls.low, controls.high, written),
        f"beyond{name}": "yes" if beside.is_beyond else "no",
    }


def _shown_documents(valuation: Valuation, top: int) -> list[dict[str, Any]]:
    every = valuation.documents
    chosen = every if len(every) <= 2 * top else (*every[:top], *every[-top:])
    return [
        {
            "rank": one.rank,
            "document": one.chosen.doc_id,
            "label": one.chosen.label,
            "tokens": one.tokens,
            "value": signed(one.value),
            "± se": Figure(f"{one.error:.2g}"),
            "text": first_words(one.chosen.text),
        }
        for one in chosen
    ]


def _shown_group(one: Group) -> dict[str, Any]:
    accuracy, nll = one.removal.accuracy, one.removal.nll
    return {
        "without": f"{one.how} {one.number}",
        "documents": len(one.removal.rows),
        "predicted by values": signed(one.by_values),
        "by proxy": signed(one.by_proxy),
        "measured nll": signed(nll.value),
        "95 % nll": _between(nll.low, nll.high, signed),
        "accuracy": points(accuracy.value),
        "95 %": _between(accuracy.low, accuracy.high, points),
        "flags": ", ".join(one.removal.measured.flags),
    }


def points(fraction: float) -> Figure:
    """Return a difference of fractions in points, with its sign."""
    text = f"{100 * fraction:+.1f}"
    return Figure("0.0" if text in ("-0.0", "+0.0") else text)


def signed(value: float) -> Figure:
    """Return a number with its sign and three significant digits."""
    return Figure(f"{value:+.3g}" if value else "0")


def first_words(text: str) -> str:
    """Return the beginning of a document on one line, safe to print."""
    line = " ".join(one_line(text).split())
    return line if len(line) <= FIRST_WORDS else f"{line[: FIRST_WORDS - 1].rstrip()}…"


def _between(low: float | None, high: float | None, written: Any) -> Figure | None:
    if low is None or high is None:
        return None
    return Figure(f"{written(low)} to {written(high)}")
