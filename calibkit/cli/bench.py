"""``calibkit bench``: how fast it is on this machine, and whether fast is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.table import Figure, Table
from calibkit.errors import Incomplete


@click.command()
@click.argument("kind", type=click.Choice(["engine", "cell", "noise", "ks", "train"]))
@click.option(
    "--quick", is_flag=True, help="Small sizes, to see that it works; the ratios mean little."
)
@data_options
def bench(*, kind: str, quick: bool, output: Output) -> None:
    """Measure speed and exactness against the plain way.

    \b
    engine: the quantized LSTM and generative scoring, by each engine, in floats and in integers,
            against Brevitas
    cell:   whole cells, stage by stage, against Brevitas and scipy
    noise:  every kind of noise against a loop over characters
    ks:     distances between distributions against scipy
    train:  an epoch of the generative model against the plain torch loop

    Inputs are made up: no corpus and no store is needed. Times are CPU time on one thread. Both
    ways do the same work in one process and take turns; ratio is the median of plain time / this
    time, low and high are its extremes. Memory is that of a process that does nothing else. The
    exit code is 1 when an outcome is not right; a missed target is only shown.

    \b
    Examples:
      calibkit bench ks --quick
      calibkit bench cell --json > cell.jsonl
    """
    from calibkit.bench.rows import wrong
    from calibkit.bench.run import rows

    found = list(rows(kind, quick=quick, tell=note))
    if output.is_for_people:
        output.table(_for_people(found), below=f"\n{_caption(quick=quick)}")
    else:
        output.table(Table.of(found))
    failed = wrong(found)
    if failed:
        raise Incomplete(f"not right: {'; '.join(failed)}; see `against` with --json")


def _for_people(found: Sequence[dict[str, Any]]) -> Table:
    from calibkit.bench.rows import growth_words

    shown = [
        {
            "what": row["what"],
            "engine": row["engine"],
            "ratio": _figure(row["ratio"]),
            "low": _figure(row["low"]),
            "high": _figure(row["high"]),
            "exact": "yes" if row["exact"] else "NO",
            "seconds": Figure(f"{row['seconds']:.3g}"),
            "peak MB": Figure(f"{row['peak_mb']:.0f}"),
            "growth": growth_words(row),
            "target": "; ".join(row["targets"]) or None,
        }
        for row in found
    ]
    kept = [n for n in shown[0] if any(r[n] is not None for r in shown)] if shown else []
    return Table.of(shown, kept)


def _figure(ratio: float) -> Figure:
    return Figure(f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}")


def _caption(*, quick: bool) -> str:
    said = "ratio = plain time / this time; growth = exponents of the time in these sizes\n"
    return f"{said}quick sizes: no target applies\n" if quick else said
