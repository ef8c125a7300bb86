"""What choosing the best gains where the choice had no say: other draws and other documents.

The policy that is best on some draws and test documents owes a part of that to them. Here each draw
is left out in turn, the best is chosen by the others on one half of the test documents, and is
judged on the draw that was left out and on the other half: cross-validation of the choice itself
(Stone, 1974). The mean over all of these is what choosing by the mean gains; it belongs to the
choice and not to one policy, and there is no interval for it, since the parts share draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from calibkit.decide.arms import MeasuredCell, Objective, area
from calibkit.decide.halving import Arm

Halves = tuple[float, float]
"""A value on each half of the test documents."""

_HALVES = """
    WITH test AS (
        SELECT unnest(range(1, len(doc_ids) + 1)) AS place, unnest(label_ids) AS label,
               ascii(right(md5(unnest(doc_ids)), 1)) % 2 AS half
        FROM test_sets WHERE test_id = ?
    ),
    predicted AS (
        SELECT cell_id, noise, unnest(predicted) AS predicted,
               generate_subscripts(predicted, 1) AS place
        FROM predictions
        WHERE list_contains(?, cell_id) AND noise_seed = 0
          AND list_contains(?, noise_kind || ' ' || noise)
    )
    SELECT cell_id, noise, half, label, count(*), count(*) FILTER (predicted = label)
    FROM predicted JOIN test USING (place)
    GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class HonestGain:
    """What choosing the best by its mean gains over the reference, a fraction.

    splits: how often it was chosen and judged. picks: arm -> how often it was the choice; the
    reference is among them where no candidate was better.
    """

    gain: float
    splits: int
    picks: Mapping[Arm, int]


def honest_gain(values: Mapping[Arm, Mapping[int, Halves]], reference: str) -> HonestGain | None:
    """Return what choosing by the mean gains; None for fewer than two draws.

    values: arm -> seed -> value on each half, the references of all sizes included.
    """
    gains = {
        arm: {
            seed: (found[0] - base[seed][0], found[1] - base[seed][1])
            for seed, found in by_seed.items()
            if seed in base
        }
        for arm, by_seed in values.items()
        if arm.policy != reference and (base := values.get(Arm(reference, arm.size)))
    }
    seeds = sorted({seed for by_seed in gains.values() for seed in by_seed})
    if len(seeds) < 2:
        return None
    judged: list[float] = []
    picks: Counter[Arm] = Counter()
    for out in seeds:
        for half in (0, 1):
            arm, gain = _best(gains, out, 1 - half)
            if arm is None or gain <= 0:
                judged.append(0.0)
                picks[min(one for one in values if one.policy == reference)] += 1
            else:
                judged.append(gains[arm][out][half])
                picks[arm] += 1
    return HonestGain(sum(judged) / len(judged), len(judged), dict(picks.most_common()))


def read_halves(
    con: duckdb.DuckDBPyConnection,
    cells: Sequence[MeasuredCell],
    objective: Objective,
    levels: Sequence[tuple[str, float]],
) -> dict[Arm, dict[int, Halves]]:
    """Return the objective on two halves of the test documents, by arm and seed.

    The halves are drawn by a hash of the document's id, and float models are averaged. Cells whose
    predictions are not stored are left out.
    """
    wanted = [("none", 0.0), *(levels if objective == "noise-auc" else ())]
    names = [f"{kind} {noise}" for kind, noise in wanted]
    counts: dict[str, dict[tuple[float, int], dict[int, tuple[int, int]]]] = {}
    for test_id in dict.fromkeys(cell.test_id for cell in cells):
        ids = [cell.cell_id for cell in cells if cell.test_id == test_id]
        for cell_id, noise, half, label, n, correct in con.execute(
            _HALVES, [test_id, ids, names]
        ).fetchall():
            counts.setdefault(cell_id, {}).setdefault((noise, half), {})[label] = (n, correct)
    found: dict[Arm, dict[int, list[Halves]]] = {}
    for cell in cells:
        of_cell = counts.get(cell.cell_id, {})
        if len(of_cell) == 2 * len(wanted):
            first, second = (_value(of_cell, half, objective) for half in (0, 1))
            found.setdefault(cell.arm, {}).setdefault(cell.seed, []).append((first, second))
    return {
        arm: {seed: _mean(pairs) for seed, pairs in by_seed.items()}
        for arm, by_seed in found.items()
    }


def _best(
    gains: Mapping[Arm, Mapping[int, Halves]], out: int, half: int
) -> tuple[Arm | None, float]:
    """Return the arm with the best mean gain on a half over the draws that are not left out."""
    means = {}
    for arm, by_seed in gains.items():
        others = [found[half] for seed, found in by_seed.items() if seed != out]
        if others and out in by_seed:
            means[arm] = sum(others) / len(others)
    if not means:
        return None, 0.0
    arm = max(means, key=lambda one: (means[one], one.policy, -one.size))
    return arm, means[arm]


def _value(
    counts: Mapping[tuple[float, int], Mapping[int, tuple[int, int]]], half: int, what: Objective
) -> float:
    accuracy = {
        noise: sum(c for _, c in by_label.values()) / sum(n for n, _ in by_label.values())
        for (noise, which), by_label in counts.items()
        if which == half
    }
    if what == "worst-label":
        return min(correct / n for n, correct in counts[0.0, half].values())
    return accuracy[0.0] if what == "accuracy" else area(list(accuracy.items()))


def _mean(pairs: Sequence[Halves]) -> Halves:
    first, second = zip(*pairs, strict=True)
    return sum(first) / len(pairs), sum(second) / len(pairs)
