"""Verdicts on claims as columns and as sentences."""

from __future__ import annotations

import math
from typing import Any

from calibkit.decide.verdicts import Judged
from calibkit.recipe.claim_plan import planned_sides
from calibkit.recipe.claims import MEASURES, Claim
from calibkit.recipe.recipe import Recipe

TYPES = {
    **dict.fromkeys(("claim", "family", "says", "verdict", "state", "measure"), "VARCHAR"),
    "noise_kind": "VARCHAR",
    "noise": "DOUBLE",
    **dict.fromkeys(("axis", "a", "b", "model", "policy"), "VARCHAR"),
    **dict.fromkeys(("size", "bits"), "BIGINT"),
    **dict.fromkeys(("rounding", "preset", "expect"), "VARCHAR"),
    **dict.fromkeys(("claimed_low", "claimed_high"), "DOUBLE"),
    **dict.fromkeys(("mean_a", "mean_b", "gain", "ci_low", "ci_high", "sd", "df"), "DOUBLE"),
    **dict.fromkeys(("p", "p_holm"), "DOUBLE"),
    **dict.fromkeys(("draws", "models", "pairs", "planned", "wins"), "BIGINT"),
    **dict.fromkeys(("floor", "detectable"), "DOUBLE"),
    **dict.fromkeys(("draws_needed", "models_needed"), "BIGINT"),
    **dict.fromkeys(("flags", "finding"), "VARCHAR"),
}
"""The DuckDB type of each of `columns`."""

_DECIMALS = {"points": 2}


def columns(judged: Judged, recipe: Recipe) -> dict[str, Any]:
    """Return everything by name, numbers as stored: fractions, nats, shares.

    A claim that compares nothing has no axis, a and b, and ``gain`` is the measure itself.
    """
    claim, gain, evidence = judged.claim, judged.gain, judged.evidence
    low, high = claim.region
    first = next(iter(planned_sides(recipe, claim)[0].values()))
    settings = {
        name: None if name == claim.axis else getattr(first, name)
        for name in ("model", "policy", "size", "bits", "rounding", "preset")
    }
    return {
        "claim": claim.id,
        "family": claim.family,
        "says": claim.says,
        "verdict": judged.verdict,
        "state": _state(judged),
        "measure": claim.measure,
        "noise_kind": claim.noise_kind,
        "noise": claim.noise,
        "axis": claim.axis,
        "a": None if claim.axis is None else str(claim.a),
        "b": None if claim.axis is None else str(claim.b),
        **settings,
        "expect": claim.expect,
        "claimed_low": None if math.isinf(low) else low,
        "claimed_high": None if math.isinf(high) else high,
        "mean_a": gain and gain.a,
        "mean_b": gain.b if gain and claim.axis is not None else None,
        "gain": gain and gain.gain,
        "ci_low": gain and gain.low,
        "ci_high": gain and gain.high,
        "sd": gain and gain.sd,
        "df": gain and gain.df,
        "p": judged.p,
        "p_holm": judged.p_adjusted if gain else None,
        "draws": gain.draws if gain else 0,
        "models": gain.models if gain else 0,
        "pairs": len(evidence.pairs),
        "planned": evidence.planned,
        "wins": gain and gain.wins,
        "floor": gain and gain.floor,
        "detectable": gain and gain.detectable,
        "draws_needed": judged.more.draws,
        "models_needed": judged.more.models,
        "flags": evidence.flags,
        "finding": finding(judged),
    }


def _state(judged: Judged) -> str:
    if judged.is_measured:
        return "measured"
    return "in part" if judged.evidence.pairs else "missing"


def finding(judged: Judged) -> str:
    """Return what was found beside what is claimed, and what would decide, as a sentence.

    ``-0.31 points (-0.52 to -0.10), claimed: -0.50 or less; 10 draws of 3 float models; ...``
    """
    claim, gain = judged.claim, judged.gain
    if gain is None:
        return "no pairs measured"
    interval = ""
    if gain.low is not None and gain.high is not None:
        interval = f" ({number(gain.low, claim)} to {number(gain.high, claim)})"
    said = [
        f"{number(gain.gain, claim, signed=True)} {MEASURES[claim.measure].unit}{interval},"
        f" claimed: {claimed(claim)}",
        f"{_count(gain.draws, 'draw')} of {_count(gain.models, 'float model')}",
    ]
    if judged.verdict == "undecided":
        said.append(would_decide(judged))
    if not judged.is_measured:
        part = f"{len(judged.evidence.pairs)} of {judged.evidence.planned} pairs"
        said.append(f"measured in part, {part}")
    if judged.evidence.flags:
        said.append(f"flags: {judged.evidence.flags}")
    return "; ".join(said)


def would_decide(judged: Judged) -> str:
    """Return how many draws or float models would decide an undecided claim."""
    more, gain = judged.more, judged.gain
    if more.draws is not None and gain is not None and gain.low is None:
        return f"takes at least {_count(more.draws, 'draw')}"
    if more.draws is not None:
        return f"{_count(more.draws, 'draw')} in all would decide"
    if more.models is not None:
        return f"{_count(more.models, 'float model')} in all would decide"
    if gain is None:
        return "nothing is measured"
    return "too near what is claimed for any number of draws"


def claimed(claim: Claim) -> str:
    """Return where a claim puts the difference, in its unit: ``-0.50 or less``, ``above 0``."""
    low, high = claim.region
    if claim.expect == "equal":
        return f"within ±{number(high, claim)}"
    if claim.expect == "lower":
        return "below 0" if high == 0 else f"{number(high, claim)} or less"
    return "above 0" if low == 0 else f"{number(low, claim)} or more"


def number(value: float, claim: Claim, *, signed: bool = False) -> str:
    """Return a stored number as people read it, in the unit of the claim; never a minus zero."""
    measure = MEASURES[claim.measure]
    text = f"{value * measure.scale:.{_DECIMALS.get(measure.unit, 4)}f}"
    if not text.strip("-0."):
        return text.lstrip("-")
    return f"+{text}" if signed and value > 0 else text


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
