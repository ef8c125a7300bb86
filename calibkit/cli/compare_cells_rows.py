"""The rows of ``calibkit compare`` for two cells, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibkit.cli.compare_rows import p_text
from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    from calibkit.decide.two_cells import CellComparison

CAPTION = """
accuracies and gain = first - second in percent, on the same documents; 95 %: paired interval over
documents (Agresti and Min); gained, lost: documents that only the first, or second, gets right
p: McNemar's exact test; p bh: corrected for all rows (Benjamini-Hochberg)
found: the difference that so many documents find four times out of five at this discordance
floor: what two random draws under the first cell's settings differ by, on average
"""


def in_full(found: Sequence[CellComparison], cell_a: str, cell_b: str) -> Table:
    """Return the test under every noise with raw numbers, for machines."""
    return Table.of(
        [
            {
                "cell_a": cell_a, "cell_b": cell_b, "noise_kind": one.noise_kind,
                "noise": one.noise, "noise_seed": one.noise_seed,
                "accuracy_a": one.accuracy_a, "accuracy_b": one.accuracy_b,
                "gain": one.test.difference.difference, "ci_low": one.test.difference.low,
                "ci_high": one.test.difference.high, "gained": one.test.difference.gained,
                "lost": one.test.difference.lost, "documents": one.test.difference.documents,
                "discordance": one.test.discordance, "p": one.test.p, "p_bh": one.p_adjusted,
                "detectable": one.test.detectable, "floor": one.floor,
            }
            for one in found
        ]
    )  # fmt: skip


def for_people(found: Sequence[CellComparison]) -> Table:
    """Return the same in percent, rounded."""

    def percent(value: float) -> Figure:
        return Figure(f"{100 * value:.2f}")

    records = [
        {
            "noise_kind": one.noise_kind, "noise": one.noise, "noise_seed": one.noise_seed,
            "first": percent(one.accuracy_a), "second": percent(one.accuracy_b),
            "gain": percent(one.test.difference.difference),
            "95 %": Figure(
                f"{100 * one.test.difference.low:.2f} to {100 * one.test.difference.high:.2f}"
            ),
            "gained": one.test.difference.gained, "lost": one.test.difference.lost,
            "documents": one.test.difference.documents, "p": p_text(one.test.p),
            "p bh": p_text(one.p_adjusted), "found": percent(one.test.detectable),
            "floor": None if one.floor is None else percent(one.floor),
        }
        for one in found
    ]  # fmt: skip
    if len({one.noise_seed for one in found}) == 1:
        for record in records:
            del record["noise_seed"]
    return Table.of(records)


def told(found: Sequence[CellComparison], cell_a: str, cell_b: str) -> list[str]:
    """Return the sentences that sum the tests up."""
    first = found[0]
    test, under = first.test, first.noise_kind
    where = "clean documents" if under == "none" else f"{under} {first.noise:g}"
    standing = "differ" if test.p <= 0.05 else "are not shown to differ"
    return [
        f"{cell_a} and {cell_b} {standing} on {where}: {100 * test.difference.difference:+.2f}"
        f" points, p {p_text(test.p)}; {100 * test.discordance:.1f} % of the documents tell them"
        f" apart, so that {100 * test.detectable:.2f} points would be found",
        "two fixed networks on these documents: nothing is said about other calibration draws",
    ]
