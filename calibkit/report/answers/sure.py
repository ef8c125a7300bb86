"""How sure: draws, float models, what is decided, and what these draws could have found."""

from __future__ import annotations

from collections import Counter

from calibkit.report.comparisons import MEANINGS
from calibkit.report.elements import name
from calibkit.report.html import Child, join
from calibkit.report.study import Study
from calibkit.report.wording import between, count, points

FEW = 6
"""With fewer draws an exact sign-flip test of one float model cannot reach p = .05."""


def how_sure(study: Study) -> list[Child]:
    """Return sentences about replication, verdicts, power and what is missing."""
    if not study.conditions:
        return ["Not at all: nothing is measured yet."]
    said: list[Child] = [*_missing(study), _replication(study)]
    if study.comparisons:
        said += [_verdicts(study), *_power(study)]
    said.append(_documents(study))
    return said


def _missing(study: Study) -> list[Child]:
    progress = study.progress
    if study.is_whole:
        return []
    return [
        f"This is part of the study: {progress['done']:,} of"
        f" {count(progress['planned'], 'planned cell')} are measured,"
        f" {progress['failed']:,} failed and {progress['missing']:,} are missing."
        " What follows is about the measured ones, and may change."
    ]


def _replication(study: Study) -> Child:
    draws = sorted({int(row["draws"]) for row in study.accuracies().values()})
    models = sorted({int(row["models"]) for row in study.accuracies().values()})
    shown = str(draws[0]) if len(draws) == 1 else f"{draws[0]} to {draws[-1]}"
    said = f"Each policy has {shown} {'draw' if draws == [1] else 'draws'} (distinct sets)"
    if study.reference is not None:
        said += f", each paired with the draw of {study.reference} that has the same seed"
    if models == [1]:
        said += (
            ", under one float model of each kind: intervals tell the luck of the draw,"
            " not that of training."
        )
    else:
        most = models[-1] if len(models) == 1 else f"{models[0]} to {models[-1]}"
        said += f", under {most} float models: intervals are about new draws and new models."
    if draws[0] < FEW and models == [1]:
        said += (
            f" With fewer than {FEW} draws an exact test cannot reach p = .05, so nothing can be"
            " decided to be better or worse."
        )
    return said


def _verdicts(study: Study) -> Child:
    counts = Counter(one.standing for one in study.comparisons)
    parts = [f"{counts[one]:,} {MEANINGS[one][0]}" for one in MEANINGS if counts[one]]
    said = f"Of {count(len(study.comparisons), 'comparison')} with {study.reference}, corrected"
    void = sum(map(study.is_void, study.comparisons))
    return (
        f"{said} as one family (Benjamini and Hochberg): {'; '.join(parts)}."
        " Same means inside ±0.5 points."
        + (f" Between networks that no longer work: {void:,} of them." if void else "")
    )


def _power(study: Study) -> list[Child]:
    """Return what a comparison would have found, and how far random draws are apart."""
    of_setting: dict[object, list[float]] = {}
    for one in study.comparisons:
        if one.gain.detectable is not None:
            of_setting.setdefault(one.condition, []).append(one.gain.detectable)
    middle = sorted(sorted(found)[len(found) // 2] for found in of_setting.values())
    said: list[Child] = []
    if middle:
        said.append(
            f"What a single comparison finds four times in five: {between(middle, 'points')},"
            " depending on the setting. Smaller effects may be there and unseen."
        )
    floors = {
        one.condition: one.gain.floor for one in study.comparisons if one.gain.floor is not None
    }
    if floors and study.reference is not None:
        least, most = (pick(floors, key=lambda c: floors[c]) for pick in (min, max))
        shown = between(list(floors.values()), "points")
        where = "" if least == most else f" (most at {study.naming.whole(most)})"
        said.append(
            join(
                "The noise floor, what two draws of ",
                name(study.reference),
                f" differ by on average: {shown}{where}.",
            )  # fmt: skip
        )
    return said


def _documents(study: Study) -> Child:
    documents = sorted({int(row["documents"]) for row in study.clean})
    if len(documents) == 1:
        shown = f"{documents[0]:,} test documents"
    else:
        shown = f"{documents[0]:,} to {documents[-1]:,} test documents"
    one = points(1 / documents[0]).lstrip("+")
    return (
        f"Accuracy is over {shown} of one corpus: one document is {one} points. Other test"
        " documents or other corpora are not in the intervals."
    )
