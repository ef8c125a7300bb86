"""The rows of ``calibkit stream``, for people and for machines, and what the columns mean."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from calibkit.cli.summary import percent
from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    from calibkit.decide.contrast import Gain
    from calibkit.decide.stream_gains import Against, MethodResult, PhaseGain
    from calibkit.decide.stream_rows import Setting
    from calibkit.measure.paired_ratio import Ratio

_TEXTS = (
    "recipe", "model", "model_kind", "policy", "preset", "scheme_id", "method", "subset_update",
    "model_update", "worst_phase", "share_of", "share_why",
)  # fmt: skip
_COUNTS = ("size", "bits", "steps", "draws", "models", "wins", "pairs")
_SETTINGS = ("policy", "size", "bits", "preset", "scheme_id")
_SAYS = {
    "float": "float, online, final: accuracy in percent. online: mean over batches, each on the"
    " hold-out of\nits own phase, of the float model and of the method; ± = 95 % t interval over"
    " draws. final: mean\nover all phases after the last batch",
    "gain": "gain = online - that of {frozen}, the mean over draws (same batches, same first"
    " subset); 95 %: t\ninterval{models}; wins: pairs that it wins; p holm: exact sign flips,"
    " corrected for the methods of a\nsetting (Holm){least}",
    "floor": "floor = what two draws of {frozen} differ by, on average",
    "worst": "worst phase = the phase in which it gains least, and what; * = in this phase or"
    " another it\nloses more than the floor of that phase",
    "forgot": "forgot = mean over phases but the last of the best accuracy so far - that after the"
    " last batch",
    "share": "share = percent of the gain of {reference} that it keeps, with the 95 % interval of"
    " the paired\nratio; — where that gain may be nothing",
    "macs": "macs = multiply-adds of all updates, in percent of those of {reference}",
    "s": "s, MB = seconds and peak memory of one update, subset and network together",
}


def in_full(found: Sequence[MethodResult], recipe: str) -> Table:
    """Return every method with raw fractions, for machines."""
    records = [_record(one, recipe) for one in found]
    names = tuple(records[0]) if records else _columns()
    rows = tuple(tuple(record[name] for name in names) for record in records)
    return Table(names, rows, tuple(map(_type, names)))


def for_people(found: Sequence[MethodResult]) -> Table:
    """Return percent with one decimal, without settings that are the same in all rows."""
    alike = {name for name in _SETTINGS if len({_setting(one)[name] for one in found}) <= 1}
    hidden = alike | ({"scheme_id"} if "preset" not in alike or "scheme_id" in alike else set())
    if not any(one.against and one.against.reference for one in found):
        hidden |= {"share", "of 95 %", "macs"}
    return Table.of([{k: v for k, v in _shown(one).items() if k not in hidden} for one in found])


def caption(found: Sequence[MethodResult], recipe: str) -> str:
    """Return what is the same in every row, and what the columns of ``for_people`` mean."""
    if not found:
        return "\nno trajectory has gone through all batches yet\n"
    alike = [
        f"{name} {_setting(found[0])[name]}"
        for name in _SETTINGS[:-1]
        if len({_setting(one)[name] for one in found}) == 1
    ]
    level = found[0].level
    steps = f"{found[0].steps} batches"
    models = " over new float models too" if any(one.level.models > 1 for one in found) else ""
    frozen = next((one.method for one in found if one.is_frozen), "the frozen network")
    reference = next((a.reference for one in found if (a := one.against) and a.reference), None)
    words = {"frozen": frozen, "models": models, "reference": reference, "least": _least_p(found)}
    wanted = [name for name in _SAYS if reference or name not in ("share", "macs")]
    lines = [_SAYS[name].format(**words) for name in wanted]
    draws = {one.level.draws for one in found}
    many = f"{level.draws} draws" if len(draws) == 1 else f"{min(draws)} to {max(draws)} draws"
    return f"\n{recipe}: {'; '.join([*alike, steps, many])}\n" + "".join(f"{x}\n" for x in lines)


def _setting(one: MethodResult) -> dict[str, Any]:
    return asdict(one.setting)


def _shown(one: MethodResult) -> dict[str, Any]:
    setting, means, against = _setting(one), one.means, one.against
    record: dict[str, Any] = {"model": setting["model"], "method": one.method}
    record |= {name: setting[name] for name in _SETTINGS}
    record["float"] = percent(means["online_float_accuracy"])
    record["online"] = percent(one.level.gain)
    record["±"] = percent(None if one.level.high is None else one.level.high - one.level.gain)
    record["final"] = percent(means["final_accuracy"])
    gain = against and against.online
    record["gain"] = gain and _signed(gain.gain)
    record["95 %"] = gain and _interval(gain.low, gain.high)
    record["wins"] = gain and Figure(f"{gain.wins}/{gain.pairs}")
    record["p holm"] = _p(against)
    record["floor"] = percent(gain.floor) if gain else None
    record["worst phase"] = against and _worst(against)
    record["forgot"] = percent(means["forgetting"])
    share = against and against.share
    record["share"] = share and Figure(f"{100 * share.ratio:.0f}")
    record["of 95 %"] = share and Figure(f"[{100 * share.low:.0f}, {100 * share.high:.0f}]")
    record["macs"] = percent(against.macs_ratio) if against else None
    seconds, peak = means["seconds"], means["peak_mb"]
    record["s"] = None if seconds is None else Figure(f"{seconds / one.steps:.3g}")
    record["MB"] = None if peak is None else Figure(f"{peak:,.1f}")
    return record


def _signed(fraction: float) -> Figure:
    text = f"{100 * fraction:+.1f}"
    return Figure("0.0" if text in ("-0.0", "+0.0") else text)


def _interval(low: float | None, high: float | None) -> Figure | None:
    if low is None or high is None:
        return None
    return Figure(f"[{_signed(low)}, {_signed(high)}]")


def _p(against: Against | None) -> Figure | None:
    if against is None or against.p_adjusted is None:
        return None
    return Figure(f"{against.p_adjusted:.3f}")


def _least_p(found: Sequence[MethodResult]) -> str:
    """Return what an adjusted p can come to at the least: so few draws, so many methods."""
    from calibkit.decide.contrast import MOST_FLIPPED

    compared: dict[Setting, list[Gain]] = defaultdict(list)
    for one in found:
        if one.against is not None and one.against.online.p is not None:
            compared[one.setting].append(one.against.online)
    if not compared or any(gain.draws > MOST_FLIPPED for of in compared.values() for gain in of):
        return ""
    least = min(len(of) * 2.0 ** (1 - max(gain.draws for gain in of)) for of in compared.values())
    return f"; with so few draws and so many methods it is never below {min(least, 1.0):.3f}"


def _worst(against: Against) -> str:
    worst = against.worst
    return f"{worst.name} {_signed(worst.gain.gain)}{'*' if against.falling else ''}"


def _record(one: MethodResult, recipe: str) -> dict[str, Any]:
    setting, level, against = _setting(one), one.level, one.against
    share: Ratio | None = against.share if against else None
    worst = against.worst if against else None
    record: dict[str, Any] = {"recipe": recipe, "model": setting.pop("model")}
    record |= {"model_kind": one.model_kind} | setting
    record |= {
        "method": one.method, "subset_update": one.subset_update,
        "model_update": one.model_update, "steps": one.steps, "draws": level.draws,
        "models": level.models, "online_low": level.low, "online_high": level.high,
    }  # fmt: skip
    record |= one.means
    record |= _gain_columns("gain", against.online if against else None)
    record |= {
        "wins": against and against.online.wins, "pairs": against and against.online.pairs,
        "p": against and against.online.p, "p_holm": against and against.p_adjusted,
        "floor": against and against.online.floor,
    }  # fmt: skip
    record |= _gain_columns("final_gain", against.final if against else None)
    record["worst_phase"] = worst and worst.name
    record |= _gain_columns("worst_gain", worst.gain if worst else None)
    record["worst_floor"] = worst and worst.gain.floor
    record |= {
        "share": share and share.ratio, "share_low": share and share.low,
        "share_high": share and share.high, "share_of": against and against.reference,
        "share_why": against and against.share_why,
        "macs_ratio": against and against.macs_ratio,
    }  # fmt: skip
    phases = [_phase_record(phase) for phase in against.phases] if against else []
    record["phases"] = json.dumps(phases)
    return record


def _gain_columns(name: str, gain: Gain | None) -> dict[str, float | None]:
    values = (None, None, None) if gain is None else (gain.gain, gain.low, gain.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _phase_record(one: PhaseGain) -> dict[str, Any]:
    gain = one.gain
    return {
        "phase": one.phase, "name": one.name, "accuracy": gain.a, "frozen_accuracy": gain.b,
        "gain": gain.gain, "ci_low": gain.low, "ci_high": gain.high, "floor": gain.floor,
        "draws": gain.draws,
    }  # fmt: skip


def _columns() -> tuple[str, ...]:
    """Return the columns of an answer without rows."""
    return ("recipe", "model", *_SETTINGS, "method", "online_accuracy", "gain")


def _type(name: str) -> str:
    if name == "phases":
        return "JSON"
    return "VARCHAR" if name in _TEXTS else "BIGINT" if name in _COUNTS else "DOUBLE"
