"""The rows of ``calibkit compare``, for people and for machines, and what they come to in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    from calibkit.decide.comparison import Comparison
    from calibkit.decide.measures import Measure

_TYPES = {
    **dict.fromkeys(("corpus", "recipe", "model", "policy"), "VARCHAR"),
    **dict.fromkeys(("size", "bits"), "INTEGER"),
    **dict.fromkeys(("rounding", "scheme_id", "preset", "noise_kind"), "VARCHAR"),
    "noise": "DOUBLE",
    **dict.fromkeys(("site", "a", "b", "measure"), "VARCHAR"),
    **dict.fromkeys(
        ("mean_a", "mean_b", "gain", "ci_low", "ci_high", "bca_low", "bca_high", "sd", "df"),
        "DOUBLE",
    ),
    **dict.fromkeys(
        ("wins", "pairs", "draws", "models", "draws_a", "draws_b", "left_out"), "INTEGER"
    ),
    **dict.fromkeys(("p_sign_flip", "p", "p_bh", "p_holm"), "DOUBLE"),
    **dict.fromkeys(("detectable", "floor", "margin", "p_same"), "DOUBLE"),
    "equivalent": "BOOLEAN",
    "verdict": "VARCHAR",
    **dict.fromkeys(("draws_needed", "models_needed"), "INTEGER"),
}
_HIDDEN_WHERE_ALIKE = (
    "corpus", "recipe", "model", "policy", "size", "bits", "rounding", "preset", "noise_kind",
    "noise", "site",
)  # fmt: skip
_HEADINGS = ("95 %", "BCa", "p bh", "p holm", "found")
_DECIMALS = {"points": 2, "nats": 4, "D": 4, "sigma": 4, "share": 4}


def in_full(found: Sequence[Comparison], a: str, b: str, margin: float | None) -> Table:
    """Return every comparison with raw numbers, for machines.

    p_holm: of what is declared, in its family; p_bh: of all others.
    """
    records = []
    for one in found:
        gain, measure = one.gain, one.group.measure
        bca = gain.bca or (None, None)
        records.append(
            {
                **one.group.keys,
                "a": a, "b": b, "measure": measure.name,
                "mean_a": gain.a, "mean_b": gain.b, "gain": gain.gain,
                "ci_low": gain.low, "ci_high": gain.high, "bca_low": bca[0], "bca_high": bca[1],
                "sd": gain.sd, "df": gain.df, "wins": gain.wins, "pairs": gain.pairs,
                "draws": gain.draws, "models": gain.models, "draws_a": gain.draws_a,
                "draws_b": gain.draws_b, "left_out": gain.left_out, "p_sign_flip": gain.p_flip,
                "p": gain.p, "p_bh": one.p_adjusted if one.correction == "bh" else None,
                "p_holm": one.p_adjusted if one.correction == "holm" else None,
                "detectable": gain.detectable, "floor": gain.floor,
                "margin": _margin(measure, margin), "p_same": gain.p_same,
                "equivalent": gain.equivalent, "verdict": gain.verdict,
                "draws_needed": gain.draws_needed, "models_needed": gain.models_needed,
            }
        )  # fmt: skip
    names = tuple(name for name in _TYPES if any(name in record for record in records))
    rows = tuple(tuple(record.get(name) for name in names) for record in records)
    return Table(names, rows, tuple(_TYPES[name] for name in names))


def for_people(found: Sequence[Comparison], a: str, b: str) -> Table:
    """Return rounded numbers in the measure's unit, without settings that are the same in all."""
    hidden = {*_alike(found), "scheme_id"}
    records = [_shown(one, a, b) for one in found]
    if len({tuple(v for k, v in r.items() if k in _HIDDEN_WHERE_ALIKE) for r in records}) < len(
        records
    ):
        hidden.discard("scheme_id")
    if all(one.gain.bca is None for one in found):
        hidden.add("BCa")
    if all(one.gain.floor is None for one in found):
        hidden.add("floor")
    if all(one.gain.models == 1 for one in found):
        hidden.add("models")
    for correction in ("bh", "holm"):
        if all(one.correction != correction for one in found):
            hidden.add(f"p {correction}")
    return Table.of([{k: v for k, v in r.items() if k not in hidden} for r in records])


def caption(found: Sequence[Comparison], margin: float | None) -> str:
    """Return what is the same in every row, and what the columns mean, as lines."""
    measure = found[0].group.measure
    said = [f"{name} {value}" for name, value in _alike(found).items() if value is not None]
    lines = [f"in every row: {', '.join(said)}"] if said else []
    several = any(one.gain.models > 1 for one in found)
    better = "higher" if measure.higher_is_better else "lower"
    lines += [
        f"{measure.name}: {measure.about} ({measure.unit}; {better} is better)",
        "gain = A - B, the mean over draws (distinct subsets); 95 %: t interval"
        + (", over new float models too" if several else ""),
        "p: exact sign flips over draws" + (", or t where that is larger" if several else ""),
    ]
    corrections = {one.correction for one in found}
    if "bh" in corrections:
        lines.append("p bh: corrected for all rows that have it (Benjamini-Hochberg)")
    if "holm" in corrections:
        lines.append("p holm: corrected within the family of claims that the recipe declares")
    lines.append("found: the difference that these draws find four times out of five")
    if any(one.gain.floor is not None for one in found):
        lines.append("floor: what two random draws differ by, on average")
    within = _margin(measure, margin)
    lines.append(
        "verdict: better, worse: interval and corrected p agree; "
        + (
            f"same: inside ±{_number(within, measure)} by two one-sided tests"
            if within is not None
            else "no margin, so same: the very same numbers"
        )
        + "; else the draws that would decide"
    )
    return "\n" + "\n".join(lines) + "\n"


def told(found: Sequence[Comparison], a: str, b: str) -> list[str]:
    """Return the sentences that sum the comparisons up."""
    measure = found[0].group.measure
    counts = Counter(one.gain.verdict for one in found)
    listed = ", ".join(
        f"{counts[verdict]} {verdict}"
        for verdict in ("better", "worse", "same", "undecided")
        if counts[verdict]
    )
    many = "comparison" if len(found) == 1 else "comparisons"
    lines = [f"{a} against {b}, {measure.name}, {len(found)} {many}: {listed}"]
    largest = max(found, key=lambda one: abs(one.gain.gain))
    lines.append(f"largest: {_sentence(largest)}")
    open_ones = [one.gain for one in found if one.gain.verdict == "undecided"]
    known = [g.draws_needed - g.draws for g in open_ones if g.draws_needed is not None]
    if known:
        span = f"{min(known)}" if min(known) == max(known) else f"{min(known)} to {max(known)}"
        lines.append(
            f"too few draws to decide {len(known)} of them: {span} more would, if gains and"
            " spreads stay as they are"
        )
    models = [g.models_needed - g.models for g in open_ones if g.models_needed is not None]
    if models:
        lines.append(
            f"{len(models)} would take more float models rather than draws:"
            f" {min(models)} more at least"
        )
    never = sum(g.draws_needed is None and g.models_needed is None for g in open_ones)
    if never:
        lines.append(f"{never} would stay open with 1,000 draws and 100 float models")
    return lines + _warnings(found, a, b)


def _warnings(found: Sequence[Comparison], a: str, b: str) -> list[str]:
    lines = []
    for arm, name in (("draws_a", a), ("draws_b", b)):
        single = [one for one in found if getattr(one.gain, arm) == 1 < one.gain.draws]
        if single and name != "float":
            lines.append(
                f"{name} has one calibration set for all seeds in {_rows(len(single))}: intervals"
                " there are about this set, against new draws of the other"
            )
    equal = sum(all(p.subset_a == p.subset_b for p in one.group.pairs) for one in found)
    if equal and "policy" not in found[0].group.keys:
        lines.append(f"in {_rows(equal)} both are the same calibration sets")
    if all(one.gain.models == 1 for one in found):
        lines.append("one float model: nothing is said about others, trained with other seeds")
    left = sum(one.gain.left_out for one in found)
    if left:
        lines.append(
            f"{left} pairs left out: not every draw is measured under every float model yet"
        )
    return lines


def _sentence(one: Comparison) -> str:
    gain, measure = one.gain, one.group.measure
    where = ", ".join(
        f"{value} bits" if name == "bits" else str(value)
        for name, value in one.group.keys.items()
        if name in ("model", "policy", "bits", "preset", "site")
    )
    noise = one.group.keys
    if noise.get("noise_kind") not in (None, "none"):
        where += f", {noise['noise_kind']} {noise['noise']:g}"
    interval = ""
    if gain.low is not None and gain.high is not None:
        interval = f" ({_number(gain.low, measure)} to {_number(gain.high, measure)})"
    return (
        f"{_number(gain.gain, measure, signed=True)} {measure.unit}{interval} at {where}:"
        f" {gain.verdict}"
    )


def _shown(one: Comparison, a: str, b: str) -> dict[str, Any]:
    gain, measure = one.gain, one.group.measure

    def number(value: float | None, *, signed: bool = False) -> Figure | None:
        return None if value is None else Figure(_number(value, measure, signed=signed))

    def interval(ends: tuple[float | None, float | None] | None) -> Figure | None:
        if ends is None or ends[0] is None or ends[1] is None:
            return None
        return Figure(f"{_number(ends[0], measure)} to {_number(ends[1], measure)}")

    return {
        **one.group.keys,
        _heading(a): number(gain.a),
        _heading(b): number(gain.b),
        "gain": number(gain.gain, signed=True),
        "95 %": interval((gain.low, gain.high)),
        "BCa": interval(gain.bca),
        "p": p_text(gain.p),
        "p bh": p_text(one.p_adjusted) if one.correction == "bh" else None,
        "p holm": p_text(one.p_adjusted) if one.correction == "holm" else None,
        "wins": Figure(f"{gain.wins}/{gain.pairs}"),
        "draws": gain.draws,
        "models": gain.models,
        "found": number(gain.detectable),
        "floor": number(gain.floor),
        "verdict": _verdict(one),
    }


def _heading(arm: str) -> str:
    """Return the name of an arm's column, which may be called like another one."""
    return f"mean of {arm}" if arm in _TYPES or arm in _HEADINGS else arm


def _verdict(one: Comparison) -> str:
    gain = one.gain
    if gain.verdict != "undecided":
        return gain.verdict
    if gain.draws_needed is not None:
        return f"{gain.draws_needed - gain.draws} more draws"
    if gain.models_needed is not None:
        return f"{gain.models_needed - gain.models} more float models"
    return "undecided"


def _alike(found: Sequence[Comparison]) -> dict[str, Any]:
    """Return the settings that tell no two rows apart, with their value."""
    keys = [one.group.keys for one in found]
    return {
        name: keys[0][name]
        for name in _HIDDEN_WHERE_ALIKE
        if name in keys[0] and len({key[name] for key in keys}) == 1
    }


def _margin(measure: Measure, margin: float | None) -> float | None:
    return measure.margin if margin is None else margin


def _number(value: float, measure: Measure, *, signed: bool = False) -> str:
    """Return a stored number as people read it; never a minus zero."""
    decimals = _DECIMALS[measure.unit]
    text = f"{value * measure.scale:.{decimals}f}"
    if not text.strip("-0."):
        return text.lstrip("-")
    return f"+{text}" if signed and value > 0 else text


def p_text(value: float | None) -> Figure | None:
    """Return a p value as a table shows it."""
    if value is None:
        return None
    return Figure("<.001" if value < 0.0005 else f"{value:.3f}")


def _rows(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"
