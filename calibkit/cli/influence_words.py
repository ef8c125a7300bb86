"""What ``calibkit influence`` found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from calibkit.cli.influence_rows import points, signed

if TYPE_CHECKING:
    from calibkit.decide.influence import Agreement, Influence, Valuation
    from calibkit.decide.influence_request import InfluenceRequest
    from calibkit.decide.removals import LabelEffect


def sentences(found: Influence, request: InfluenceRequest) -> Iterator[str]:
    """Yield what stands below the data, on stderr."""
    if request.labels:
        yield from _of_labels(found.labels)
    if found.valuation is not None:
        yield from _of_values(found.valuation)
        yield from _of_validation(found.valuation)


def _of_labels(labels: Sequence[LabelEffect]) -> Iterator[str]:
    if not labels:
        yield "the subset has documents of one label only; nothing would be left without it"
        return
    told = []
    for one in labels:
        for measure, change, beside, written, unit in (
            ("accuracy", one.removal.accuracy, one.accuracy, points, " points"),
            ("nll", one.removal.nll, one.nll, signed, ""),
        ):
            if beside.is_beyond:
                told.append(one.label)
                low, high = beside.controls.low, beside.controls.high
                yield (
                    f"without {one.label}: {measure} {written(change.value)}{unit}; without as"
                    f" many random documents {written(low)} to {written(high)}"
                )
    controls = labels[0].accuracy.controls.n
    rest = "no label's" if not told else "no other label's"
    if len(set(told)) < len(labels):
        yield f"{rest} removal is told from {controls} removals of as many random documents"


def _of_values(valuation: Valuation) -> Iterator[str]:
    total = sum(valuation.losses.values())
    if not total:
        yield (
            "no quantizer's error costs nll that documents decide, as far as can be measured here:"
            " all values are 0"
        )
        return
    shares = [f"{name} {100 * loss / total:.0f} %" for name, loss in valuation.losses.items()]
    yield f"what the proxy sees the subset lose: {total:.3g} nats ({', '.join(shares[:3])})"
    if valuation.reliability is not None and valuation.reliability < 0.8:
        yield (
            f"{100 * (1 - valuation.reliability):.0f} % of the variance between values is sampling"
            " error; --permutations N, with a larger N, makes it less"
        )


def _of_validation(valuation: Valuation) -> Iterator[str]:
    if not valuation.agreements:
        yield (
            "the values are not validated (--validate 0): they say what the proxy sees, not what"
            " networks do"
        )
        return
    by = {(one.by, one.measure): one for one in valuation.agreements}
    first = by["values", "nll"]
    if first.predicts:
        yield f"the values predict measured changes of nll: {_words(first)}"
    else:
        yield (
            f"the proxy does not predict measured changes of nll here: {_words(first)}; do not read"
            " the ranking of documents as causes"
        )
    yield f"the values and accuracy lost: {_words(by['values', 'accuracy'])}"
    yield f"the proxy itself, for just these removals, and nll: {_words(by['proxy', 'nll'])}"
    spans = []
    for how in ("ranked", "random"):
        changes = [one.removal.nll.value for one in valuation.groups if one.how == how]
        spans.append(f"{signed(min(changes))} to {signed(max(changes))} without {how} groups")
    yield f"measured changes of nll: {', '.join(spans)}"


def _words(one: Agreement) -> str:
    if one.found is None:
        return "no correlation, since nothing varies"
    r = one.found
    return f"r = {r.r:.2f}, 95 % {r.low:.2f} to {r.high:.2f}, p = {r.p:.2g}, {r.n} groups"
