"""What came of a stream in sentences: who keeps up, at what cost, and where it fails."""

from __future__ import annotations

from calibkit.decide.contrast import Gain
from calibkit.decide.stream_gains import Against, MethodResult
from calibkit.report.elements import behind, name, points_list
from calibkit.report.html import Child, Markup, join, tag
from calibkit.report.streams.study import StreamStudy
from calibkit.report.wording import count, listed, percent, points, span

WITHOUT_GRADIENTS = ("ranges", "gpfq", "greedy-flips", "learned-flips")
"""Updates that a device can do; flips at random are a control."""


def headline(study: StreamStudy) -> str:
    """Return what came of it in one sentence."""
    if not study.results:
        return "No trajectory has gone through all batches yet."
    told = []
    for setting in study.settings:
        best = _best(study.of(setting))
        if best is None or best.against is None:
            continue
        gain = best.against.online
        verdict = "keeps up best" if _is_clear(gain) else "is ahead, not clear of zero"
        told.append(
            f"{study.naming(setting)}: {best.method} {verdict}, {points(gain.gain)} points"
            f" {span(gain.low, gain.high)}"
        )
    if not told:
        return "No update without gradients is measured beside the frozen network."
    return f"{'; '.join(told)}, against {study.frozen}."


def answers(study: StreamStudy) -> Markup:
    """Return the section with a list of sentences for each setting."""
    rows = [
        tag(
            "div",
            tag("h3", study.naming(setting)),
            tag("div", points_list(_said(study, study.of(setting)))),
            class_="answer",
        )
        for setting in study.settings
    ]
    return tag(
        "section",
        tag("h2", "Answers", id="answers-title"),
        tag("div", *rows, class_="answers"),
        behind(study.sql("pairs"), "The SQL behind these sentences: trajectories, paired by draw"),
        id="answers",
        aria_labelledby="answers-title",
    )


def _said(study: StreamStudy, results: list[MethodResult]) -> list[Child]:
    said: list[Child] = []
    frozen = next((one for one in results if one.is_frozen), None)
    if frozen is not None:
        said.append(
            f"Left as it was, the network is right on {percent(frozen.level.gain)} % of what comes;"
            f" the float model on {percent(frozen.means['online_float_accuracy'])} %"
            f" ({count(frozen.level.draws, 'draw')}, {count(frozen.level.models, 'float model')})."
        )
    compared = [(one, one.against) for one in results if one.against is not None]
    for one, against in compared:
        if one.method == against.reference:
            said.append(
                join("Calibrating anew on everything seen, ", name(one.method), ", gains ",
                     _gained(against.online), ".")
            )  # fmt: skip
    best = _best(results)
    if best is not None and best.against is not None:
        said.append(
            join("Of the updates without gradients, ", name(best.method), " gains most: ",
                 _gained(best.against.online), _kept(best.against), ".")
        )  # fmt: skip
    falling = [
        f"{one.method} in {phase.name} ({points(phase.gain.gain)})"
        for one, against in compared
        for phase in against.falling
    ]
    if falling:
        said.append(f"Below {study.frozen} by more than the noise floor: {listed(falling, 5)}.")
    elif compared:
        said.append(
            f"No method falls below {study.frozen} in any phase by more than the noise floor."
        )
    return said


def _gained(gain: Gain) -> str:
    clear = "" if _is_clear(gain) else ", which is not clear of zero"
    return f"{points(gain.gain)} points {span(gain.low, gain.high)}{clear}"


def _kept(against: Against) -> str:
    parts = []
    share = against.share
    if share is not None:
        low, high = percent(share.low, 0), percent(share.high, 0)
        parts.append(f"{percent(share.ratio, 0)} % [{low}, {high}] of that gain")
    if against.macs_ratio is not None:
        parts.append(f"at {percent(against.macs_ratio)} % of its multiply-adds")
    return f"; {' '.join(parts)}" if parts else ""


def _is_clear(gain: Gain) -> bool:
    return gain.low is not None and gain.high is not None and not gain.low <= 0 <= gain.high


def _best(results: list[MethodResult]) -> MethodResult | None:
    """Return the update without gradients that gains most; None where there is none."""
    able = [
        one
        for one in results
        if one.model_update in WITHOUT_GRADIENTS
        and one.subset_update != "everything"
        and one.against is not None
    ]
    return max(able, key=lambda one: one.against.online.gain if one.against else 0.0, default=None)
