"""What ``calibkit recommend`` says, for people in sentences and for machines in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    from calibkit.decide.contrast import Gain
    from calibkit.decide.recommend import Rule, Standing
    from calibkit.decide.recommendation import Costs, Recommendation

OBJECTIVES = {
    "accuracy": "accuracy",
    "worst-label": "accuracy on the worst label",
    "noise-auc": "mean accuracy over noise levels",
}


def for_people(found: Recommendation, rule: Rule) -> Table:
    """Return one line per thing to know."""
    return Table.of([dict(_said(found, rule))])


def in_full(found: Recommendation) -> Table:
    """Return one row of raw numbers; fractions, gains positive when better."""
    choice, evidence, question = found.choice, found.evidence, found.question
    standing, beside = choice.standing, choice.over_runner_up
    leader = choice.standings[0]
    honest = found.honest
    record: dict[str, Any] = {
        "corpus": question.corpus, "model": evidence.model, "bits": question.bits,
        "objective": question.objective, "policy": choice.arm.policy, "size": choice.arm.size,
        "preset": found.scheme.preset, "rounding": found.scheme.rounding,
        "scheme_id": found.scheme.scheme_id, "grounds": choice.grounds,
        "against": evidence.reference, "value": found.mean, "float_value": found.mean_float,
        "against_value": choice.base_mean, "against_size": choice.base.size,
        **_gain("", None if standing is None else standing.gain),
        "p_holm": None if standing is None else standing.p_adjusted,
        "candidates": len(choice.standings), "best_by_mean": leader.arm.policy,
        "best_by_mean_size": leader.arm.size, **_gain("best_by_mean_", leader.gain),
        "honest_gain": honest and honest.gain, "honest_splits": honest and honest.splits,
        "honest_picks": honest
        and [{"policy": a.policy, "size": a.size, "times": n} for a, n in honest.picks.items()],
        "noise_floor": found.floor,
        "runner_up": choice.runner_up and choice.runner_up.policy,
        "runner_up_size": choice.runner_up and choice.runner_up.size,
        **_gain("over_runner_up_", beside),
        "over_runner_up_verdict": beside and beside.verdict,
        "schemes": [
            {"scheme_id": name.scheme_id, "preset": name.preset, "rounding": name.rounding,
             "behind": gain.gain, "ci_low": gain.low, "ci_high": gain.high,
             "verdict": gain.verdict}
            for name, gain in found.schemes[1:]
        ],
        "documents": found.costs.documents, "selection_seconds": found.costs.selection_seconds,
        "cell_seconds": found.costs.cell_seconds, "needs": found.costs.needs,
        "recipe": evidence.recipe, "split": evidence.split,
        "measured_documents": evidence.documents, "subset_id": found.subset_id,
        "seed": found.seed, "sections": found.paste,
    }  # fmt: skip
    return Table.of([record])


def sections(found: Recommendation) -> str:
    """Return what a recipe says about it, for people to copy."""
    return "" if found.paste is None else f"\nin a recipe:\n\n{found.paste}"


def caption(found: Recommendation) -> str:
    """Return what the columns of ``every_candidate`` mean, as lines."""
    evidence, what = found.evidence, OBJECTIVES[found.question.objective]
    return (
        f"\n{evidence.recipe} on {found.question.corpus}, split {evidence.split}: {evidence.model},"
        f" {found.question.bits} bits, {found.scheme}\n"
        f"value = {what} in percent; gain = points over {evidence.reference} of the same size;"
        " 95 % = t interval\n"
        "p holm = exact sign-flip p, for all candidates together; recommended: "
        f"{found.choice.arm}\n"
    )


def every_candidate(found: Recommendation, *, in_points: bool) -> Table:
    """Return how every candidate stands, the best first; for people in points."""
    if not in_points:
        return Table.of([_raw(one) for one in found.choice.standings])
    several = len({one.arm.size for one in found.choice.standings}) > 1
    return Table.of([_shown(one, several=several) for one in found.choice.standings])


def _raw(one: Standing) -> dict[str, Any]:
    return {
        "policy": one.arm.policy, "size": one.arm.size, "value": one.mean, **_gain("", one.gain),
        "wins": one.gain.wins, "pairs": one.gain.pairs, "p_holm": one.p_adjusted,
        "verdict": one.gain.verdict, "established": one.established,
        "draws_needed": one.gain.draws_needed,
    }  # fmt: skip


def _shown(one: Standing, *, several: bool) -> dict[str, Any]:
    gain = one.gain
    size = {"size": one.arm.size} if several else {}
    return {
        "policy": one.arm.policy,
        **size,
        "value": Figure(f"{100 * one.mean:.2f}"),
        "gain": Figure(points(gain.gain)),
        "95 %": Figure(_interval(gain)),
        "wins": Figure(f"{gain.wins}/{gain.pairs}"),
        "draws": gain.draws,
        "p holm": Figure(f"{one.p_adjusted:.3f}"),
        "verdict": gain.verdict,
        "draws needed": gain.draws_needed,
    }


def _said(found: Recommendation, rule: Rule) -> Iterator[tuple[str, str]]:
    choice, evidence = found.choice, found.evidence
    what = OBJECTIVES[found.question.objective]
    yield "recommended", f"{choice.arm}, {found.scheme}, {found.question.bits} bits"
    yield "because", _because(found, rule)
    floated = "" if found.mean_float is None else f"; float model {100 * found.mean_float:.2f} %"
    yield what, f"{100 * found.mean:.2f} %{floated}"
    if choice.standing is not None:
        yield f"gain over {evidence.reference}", _with_interval(choice.standing.gain)
        if choice.standing.over_base is not None:
            yield f"gain over {choice.base}", _with_interval(choice.standing.over_base)
    yield "runner-up", _runner_up(found)
    if found.honest is not None:
        yield "choosing the best", _honest(found)
    if found.floor is not None:
        yield (
            "noise floor",
            f"two {evidence.reference} draws differ by {100 * found.floor:.2f} points on average",
        )
    yield "scheme", _scheme(found)
    yield "costs", _costs(found.costs)
    yield (
        "evidence",
        f"recipe {evidence.recipe}, split {evidence.split}, {evidence.documents:,} documents,"
        f" {len(evidence.cells):,} cells, {len(choice.standings):,} candidates",
    )
    yield "subset", f"{found.subset_id} (seed {found.seed})"


def _because(found: Recommendation, rule: Rule) -> str:
    choice, count = found.choice, len(found.choice.standings)
    margin = f"{100 * rule.margin:g} points"
    against = found.evidence.reference
    if choice.grounds == "established":
        return f"better than {against} beyond doubt (exact sign-flip test, Holm over {count})"
    if choice.grounds == "cheaper and equivalent":
        return (
            f"better than {against} beyond doubt (exact sign-flip test, Holm over {count}), and"
            f" within {margin} of {choice.standings[0].arm}, which looks at more (TOST)"
        )
    doubt = f"none of {count} candidates is better than {against} beyond doubt"
    if choice.grounds == "equivalent":
        return f"{doubt}, and the best by its mean is within {margin} of it (TOST)"
    return f"{doubt}, and none by more than {100 * rule.tolerance:g} points (95 % intervals)"


def _runner_up(found: Recommendation) -> str:
    choice, beside = found.choice, found.choice.over_runner_up
    if choice.runner_up is None or beside is None:
        return "none"
    words = {
        "better": "which is worse beyond doubt",
        "worse": "which is better beyond doubt",
        "same": "which is as good",
        "undecided": "not decided",
    }
    needed = f"; about {beside.draws_needed:,} draws would tell" if beside.draws_needed else ""
    costs = "" if found.runner_up_costs is None else f"; it needs {found.runner_up_costs.needs}"
    return (
        f"{choice.runner_up}: {_with_interval(beside, sign=-1)}, {words[beside.verdict]}"
        f"{needed}{costs}"
    )


def _honest(found: Recommendation) -> str:
    honest = found.honest
    assert honest is not None
    (arm, times), *_ = honest.picks.items()
    leader = found.choice.standings[0]
    return (
        f"gains {points(honest.gain)} points on other draws and other documents"
        f" ({points(leader.gain.gain)} on those that chose it); of {honest.splits} choices"
        f" {times} were {arm.policy}"
    )


def _scheme(found: Recommendation) -> str:
    if len(found.schemes) < 2:
        return f"{found.scheme}; no other one has enough draws"
    other, gain = found.schemes[1]
    more = len(found.schemes) - 2
    rest = f"; {more} more behind" if more else ""
    verdict = {"better": "beyond doubt", "same": "as good"}.get(gain.verdict, "not decided")
    return f"{found.scheme}, {_with_interval(gain)} over {other}, {verdict}{rest}"


def _costs(costs: Costs) -> str:
    said = [f"{costs.documents:,} documents", f"needs {costs.needs}"]
    if costs.selection_seconds is not None:
        said.append(f"choosing them about {costs.selection_seconds:.1f} s")
    if costs.cell_seconds is not None:
        said.append(f"quantizing and measuring {costs.cell_seconds:.1f} s")
    return ", ".join(said)


def points(fraction: float) -> str:
    """Return a difference in percentage points, with its sign; never a minus zero."""
    text = f"{100 * fraction:+.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text


def _interval(gain: Gain, sign: int = 1) -> str:
    if gain.low is None or gain.high is None:
        return "unknown"
    low, high = sorted((sign * gain.low, sign * gain.high))
    return f"{points(low)} to {points(high)}"


def _with_interval(gain: Gain, sign: int = 1) -> str:
    models = f", {gain.models} float models" if gain.models > 1 else ""
    return (
        f"{points(sign * gain.gain)} points (95 %: {_interval(gain, sign)}; {gain.draws} draws"
        f"{models})"
    )


def _gain(prefix: str, gain: Gain | None) -> dict[str, Any]:
    return {
        f"{prefix}gain": gain and gain.gain, f"{prefix}ci_low": gain and gain.low,
        f"{prefix}ci_high": gain and gain.high, f"{prefix}draws": gain and gain.draws,
        f"{prefix}models": gain and gain.models, f"{prefix}p": gain and gain.p,
        f"{prefix}detectable": gain and gain.detectable,
    }  # fmt: skip
