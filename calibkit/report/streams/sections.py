"""The sections of a stream's page: accuracy, gains, forgetting, cost, documents, what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calibkit.decide.stream_gains import MethodResult
from calibkit.report.elements import Cell, Column, figure, name, nothing, section, table
from calibkit.report.figures import bars, curves, heat_map, intervals
from calibkit.report.html import Child, Markup, join
from calibkit.report.streams.study import StreamStudy
from calibkit.report.wording import NOTHING, duration, fixed, percent, points, span

FLOAT = "(float)"


def accuracy(study: StreamStudy) -> Markup:
    """Return the section with the curves: accuracy after every batch on what comes just then."""
    rows = _named(study, "by-batch")
    lede = (
        "Accuracy after every batch on the hold-out of the phase that the batch is of; bands are"
        " 95 % intervals over draws (other batches and another first subset)."
    )
    if not rows:
        return section("accuracy", "Accuracy, batch by batch", nothing("Nothing is measured yet."))
    drawn = []
    for setting in dict.fromkeys(row["setting"] for row in rows):
        own = [row for row in rows if row["setting"] == setting]
        first = own[0]["method"]
        floats = [
            row | {"method": FLOAT, "accuracy": row["float_accuracy"], "ci_low": None,
                   "ci_high": None}
            for row in own if row["method"] == first
        ]  # fmt: skip
        drawn.append(
            figure(
                curves(
                    [*own, *floats], x="step", y="accuracy", line="method", low="ci_low",
                    high="ci_high", x_unit="number", x_name="batches gone through",
                    title=f"Accuracy after every batch: {setting}", caption=_phases_said(study),
                    sql=study.sql("by-batch"), name=f"batches {setting}",
                )
            )
        )  # fmt: skip
    return section("accuracy", "Accuracy, batch by batch", *drawn, _phases(study), lede=lede)


def gains(study: StreamStudy) -> Markup:
    """Return the section on gains over the frozen network, in all and phase by phase."""
    title = f"Gain over {study.frozen}"
    compared = [one for one in study.results if one.against is not None]
    if not compared:
        return section("gains", title, nothing("There is nothing to compare yet."))
    lede = join(
        "Online accuracy (mean over batches, each on its own phase) of a method minus that of ",
        name(study.frozen), ", in points, paired by draw and float model; 95 % intervals. The noise"
        " floor is what two draws of ", name(study.frozen), " differ by on average.",
    )  # fmt: skip
    rows = [
        {
            "setting": study.naming(one.setting), "method": one.method,
            "gain": against.online.gain, "low": against.online.low, "high": against.online.high,
            "floor": against.online.floor,
        }
        for one in compared if (against := one.against) is not None
    ]  # fmt: skip
    forest = figure(
        intervals(
            rows, label="method", value="gain", low="low", high="high", floor="floor",
            panel="setting", title=f"Gain over {study.frozen} on the whole stream",
            value_name="gain in online accuracy", better=f"ahead of {study.frozen}",
            worse=f"behind {study.frozen}", sql=study.sql("pairs"), name="stream gains",
            caption="Intervals are not corrected for the number of methods; p in the table is.",
        )
    )  # fmt: skip
    by_phase = figure(
        heat_map(
            _named(study, "by-phase"), x="phase", y="method", value="gain", low="ci_low",
            high="ci_high", panel="setting", unit="points", sql=study.sql("by-phase"),
            title=f"Gain over {study.frozen}, phase by phase", name="stream phases",
            caption="± half a 95 % interval over draws.",
        )
    )  # fmt: skip
    return section("gains", title, forest, by_phase, _gain_table(study, compared), lede=lede)


def _gain_table(study: StreamStudy, compared: list[MethodResult]) -> Markup:
    columns = [
        Column("setting", is_whole=True), Column("method"), Column("online", is_number=True),
        Column("gain", is_number=True), Column("95 % interval", is_number=True),
        Column("wins", is_number=True, explained="pairs in which the method is ahead"),
        Column("p", is_number=True, explained="exact sign flips, or t where that is larger"),
        Column("p, Holm", is_number=True, explained="corrected for the methods of the setting"),
        Column("noise floor", is_number=True), Column("gain at the end", is_number=True),
        Column("worst phase"), Column("its gain", is_number=True),
        Column("share kept, %", is_number=True,
               explained="of the gain of calibrating anew on everything seen"),
        Column("its 95 % interval", is_number=True),
    ]  # fmt: skip
    rows = [_gain_row(study, one) for one in compared]
    return table(
        f"Every method against {study.frozen}, gains in points", columns, rows, study.sql("pairs")
    )


def _gain_row(study: StreamStudy, one: MethodResult) -> list[Child | Cell]:
    against = one.against
    assert against is not None
    gain, worst, share = against.online, against.worst, against.share
    kept = Cell(
        NOTHING if share is None else percent(share.ratio, 0),
        None if share is None else share.ratio,
    )
    around = (
        against.share_why
        if share is None
        else f"[{percent(share.low, 0)}, {percent(share.high, 0)}]"
    )
    return [
        study.naming(one.setting),
        Cell(name(one.method), one.method),
        Cell(percent(one.level.gain), one.level.gain),
        Cell(points(gain.gain), gain.gain),
        Cell(span(gain.low, gain.high), gain.low),
        Cell(f"{gain.wins} of {gain.pairs}", gain.wins / gain.pairs),
        Cell(fixed(gain.p, 3), gain.p),
        Cell(fixed(against.p_adjusted, 3), against.p_adjusted),
        Cell(percent(gain.floor, 2), gain.floor),
        Cell(points(against.final.gain), against.final.gain),
        worst.name,
        Cell(points(worst.gain.gain), worst.gain.gain),
        kept,
        Cell(around, None if share is None else share.low),
    ]


def forgetting(study: StreamStudy) -> Markup:
    """Return the section on earlier phases, and on later ones."""
    title, rows = "Forgetting and transfer", _named(study, "forgets")
    if not rows:
        return section(
            "forgetting", title, nothing("Nothing is measured, or the stream has one phase only.")
        )
    lede = (
        "Forgetting: the best accuracy on an earlier phase so far minus that after the last batch;"
        " backward transfer: that after the last batch minus that at the end of the phase; forward"
        " transfer: that just before a phase minus that before any batch. In points, means over"
        " phases (Lopez-Paz and Ranzato, 2017; Chaudhry et al., 2018)."
    )
    drawn = figure(
        bars(
            rows, label="method", value="forgetting", low="forgetting_low",
            high="forgetting_high", panel="setting", unit="points", value_name="forgetting",
            title="Accuracy lost on earlier phases", sql=study.sql("forgets"),
            name="stream forgetting",
        )
    )  # fmt: skip
    names = ("forgetting", "backward_transfer", "forward_transfer")
    ends = ("forgetting", "backward", "forward")
    columns = [Column("setting", is_whole=True), Column("method")]
    for heading in names:
        columns += [Column(heading.replace("_", " "), is_number=True),
                    Column("95 %", is_number=True)]  # fmt: skip
    columns += [Column("accuracy at the end, %", is_number=True), Column("draws", is_number=True)]
    shown: list[list[Child | Cell]] = []
    for row in rows:
        line: list[Child | Cell] = [row["setting"], Cell(name(row["method"]), row["method"])]
        for column, end in zip(names, ends, strict=True):
            low, high = row[f"{end}_low"], row[f"{end}_high"]
            line += [Cell(points(row[column]), row[column]), Cell(span(low, high), low)]
        final = row["final_accuracy"]
        shown.append([*line, Cell(percent(final), final), row["draws"]])
    caption = "Forgetting and transfer in points"
    return section(
        "forgetting", title, drawn, table(caption, columns, shown, study.sql("forgets")), lede=lede
    )


def cost(study: StreamStudy) -> Markup:
    """Return the section on what an update costs."""
    title, rows = "What an update costs", _named(study, "cost")
    if not rows:
        return section("cost", title, nothing("Nothing is measured yet."))
    ratios = {
        (study.naming(one.setting), one.method): one.against.macs_ratio
        for one in study.results
        if one.against is not None
    }
    columns = [
        Column("setting", is_whole=True), Column("method"),
        Column("multiply-adds, subset", is_number=True),
        Column("multiply-adds, network", is_number=True),
        Column("% of calibrating anew", is_number=True),
        Column("time, subset", is_number=True), Column("time, network", is_number=True),
        Column("memory, MB", is_number=True), Column("most, MB", is_number=True),
        Column("codes changed", is_number=True), Column("share, %", is_number=True),
        Column("refused", is_number=True,
               explained="updates in which a site kept its codes since the objective got worse"),
        Column("documents kept", is_number=True), Column("network, kB", is_number=True),
    ]  # fmt: skip
    shown: list[list[Child | Cell]] = []
    for row in rows:
        ratio = ratios.get((row["setting"], row["method"]))
        size = row["model_bytes"]
        shown.append(
            [
                row["setting"],
                Cell(name(row["method"]), row["method"]),
                *(_count(row[column]) for column in ("macs_subset", "macs_model")),
                Cell(percent(ratio), ratio),
                *(Cell(duration(row[s]), row[s]) for s in ("seconds_subset", "seconds_model")),
                *(Cell(fixed(row[m], 1), row[m]) for m in ("peak_mb", "most_mb")),
                Cell(fixed(row["flips"], 0), row["flips"]),
                Cell(percent(row["flip_share"], 2), row["flip_share"]),
                Cell(f"{row['refused']} of {row['updates']}", row["refused"] / row["updates"]),
                Cell(fixed(row["documents"], 0), row["documents"]),
                Cell(NOTHING if size is None else fixed(size / 1000, 1), size),
            ]
        )
    lede = (
        "Means over updates. Multiply-adds are counted from shapes and tokens; times are of one"
        " core, memory is what the update took beyond what the process held. Measuring on hold-outs"
        " is in none of them."
    )
    caption = "Cost of one update"
    return section("cost", title, table(caption, columns, shown, study.sql("cost")), lede=lede)


def documents(study: StreamStudy) -> Markup:
    """Return the section on the documents of the subsets."""
    title, rows = "Which documents stay", _named(study, "document-life")
    if not rows:
        return section("documents", title, nothing("Nothing is measured yet."))
    columns = [
        Column("setting", is_whole=True), Column("method"), Column("came with"),
        Column("documents", is_number=True, explained="mean of a trajectory"),
        Column("still there, %", is_number=True),
        Column("of the last subset, %", is_number=True), Column("steps stayed", is_number=True),
        Column("longest", is_number=True),
    ]  # fmt: skip
    shown: list[list[Child | Cell]] = [
        [
            row["setting"],
            Cell(name(row["method"]), row["method"]),
            row["came_with"],
            Cell(fixed(row["per_trajectory"], 1), row["per_trajectory"]),
            Cell(percent(row["still_there"]), row["still_there"]),
            Cell(percent(row["share_of_last"]), row["share_of_last"]),
            Cell(fixed(row["steps_stayed"], 1), row["steps_stayed"]),
            row["longest"],
        ]
        for row in rows
    ]
    lede = "Where the documents of the subsets came from, and for how many batches they stayed."
    whole = table("Stays of documents", columns, shown, study.sql("document-life"))
    return section("documents", title, whole, lede=lede)


def left(study: StreamStudy) -> Markup | None:
    """Return the section on what failed or is missing, None where all is done."""
    rows = study.rows("left")
    if not rows:
        return None
    columns = [
        Column("model"), Column("method"), Column("size", is_number=True),
        Column("bits", is_number=True), Column("preset"), Column("state"),
        Column("trajectories", is_number=True), Column("batches done", is_number=True),
        Column("of", is_number=True), Column("message"),
    ]  # fmt: skip
    shown: list[list[Child | Cell]] = [
        [
            row["model"], Cell(name(row["method"]), row["method"]), row["size"], row["bits"],
            row["preset"], row["state"], row["trajectories"], row["batches_done"], row["batches"],
            row["message"] or NOTHING,
        ]
        for row in rows
    ]  # fmt: skip
    whole = table("Trajectories that are not done", columns, shown, study.sql("left"))
    return section("left", "What is not done", whole)


def _phases(study: StreamStudy) -> Markup:
    columns = [
        Column("phase"), Column("batches", is_number=True), Column("documents", is_number=True),
        Column("corpus"), Column("noise"), Column("labels"), Column("between"),
    ]  # fmt: skip
    rows: list[list[Child | Cell]] = [
        [
            row["name"], row["batches"], row["documents"], row["corpus"] or NOTHING,
            f"{row['noise_kind']} {row['noise']:g}" if row["noise"] else "none",
            _mix(row["labels"]),
            NOTHING if row["columns"] in (None, "{}") else row["columns"],
        ]
        for row in study.rows("phases")
    ]  # fmt: skip
    return table("The phases of the stream", columns, rows, study.sql("phases"))


def _mix(weights: str | None) -> str:
    """Return the shares of labels, whose weights the store has as JSON."""
    mix: dict[str, float] = json.loads(weights or "{}")
    shares = [f"{label} {percent(one / sum(mix.values()))} %" for label, one in mix.items()]
    return ", ".join(shares) or "as they come"


def _phases_said(study: StreamStudy) -> str:
    parts, last = [], 0
    for row in study.rows("phases"):
        first, last = last + 1, last + int(row["batches"])
        where = f"{first}" if first == last else f"{first}-{last}"
        parts.append(f"{where} {row['name']}")
    return f"Batches: {', '.join(parts)}."


def _named(study: StreamStudy, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query with the name of their setting, methods as the recipe has them."""
    order = {alias: place for place, alias in enumerate(study.recipe.methods)}
    found = [{**row, "setting": study.naming(_setting(row))} for row in study.rows(query)]
    settings = {
        text: place for place, text in enumerate(dict.fromkeys(r["setting"] for r in found))
    }
    return sorted(found, key=lambda r: (settings[r["setting"]], order.get(r["method"], len(order))))


def _setting(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: row[key] for key in ("model", "policy", "size", "bits", "preset")}


def _count(value: float | None) -> Cell:
    if value is None:
        return Cell(NOTHING)
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return Cell(f"{fixed(value / size, 1)} {unit}", value)
    return Cell(fixed(value, 0), value)
