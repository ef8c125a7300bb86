"""``calibkit bench``: how fast it is on this machine, and whether fast is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from calibkit.cli.deploy_rows import deploy_table
from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Figure, Table
from calibkit.errors import Incomplete

LEAST, MOST = 5_000, 10**9
"""Documents of the smallest and the largest pool that `select` measures."""


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Read a list with commas."""
    if value is None:
        return None
    names = [part.strip() for part in value.split(",") if part.strip()]
    if not names:
        raise click.BadParameter("the list is empty", ctx, param)
    return names


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """Read a list of numbers of documents; ``1e6`` is 1,000,000."""
    found = []
    for text in _names(ctx, param, value) or []:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not (number.is_integer() and LEAST <= number <= MOST):
            allowed = f"a whole number of documents from {LEAST:,} to {MOST:,}"
            raise click.BadParameter(f"{text!r} is not {allowed}", ctx, param)
        found.append(int(number))
    return found or None


@click.command()
@click.argument(
    "kind",
    type=click.Choice(["engine", "cell", "noise", "ks", "train", "select", "sweep", "deploy"]),
)
@click.option(
    "--quick", is_flag=True, help="Small sizes, to see that it works; the ratios mean little."
)
@click.option(
    "--documents",
    metavar="N,N,...",
    callback=_numbers,
    help="select: sizes of the pools, for example 1e5,1e6,1e7.  [default: 1e5,1e6]",
)
@click.option(
    "--policies", metavar="NAME,...", callback=_names, help="select: only these policies."
)
@click.option(
    "--cells", metavar="ID,...", callback=_names, help="deploy: these cells, or how ids begin."
)
@data_options
@pass_session
def bench(
    session: Session,
    *,
    kind: str,
    quick: bool,
    documents: list[int] | None,
    policies: list[str] | None,
    cells: list[str] | None,
    output: Output,
) -> None:
    """Measure speed and exactness against the plain way.

    \b
    engine: the quantized LSTM and generative scoring, by each engine, in floats and in integers,
            against Brevitas
    cell:   whole cells, stage by stage, against Brevitas and scipy
    noise:  every kind of noise against a loop over characters
    ks:     distances between distributions against scipy
    train:  an epoch of the generative model against the plain torch loop
    select: ingest, and choosing subsets from pools of 10^5, 10^6 documents, against plain Python
    sweep:  a small sweep by two workers against the same by one, wall time on two cores that have
            nothing else to do
    deploy: exports of --cells to C and ONNX, their float model in ONNX Runtime, and what the
            dynamic quantization of ONNX Runtime and of torch makes of it

    Inputs are made up; only deploy needs a store. Times are CPU time on one thread. All ways do
    the same work in one process and take turns; ratio is the median of plain time / this time, low
    and high are its extremes. Memory is that of a process that does nothing else. The exit code is
    1 when an outcome is not right; a missed target is only shown.

    select uses two threads, tells wall time, and writes about 1 kB per document to the folder for
    temporary files (TMPDIR); sizes that do not fit there are left out. loss: by how much the
    objective of a choice among candidates is worse than that of the exact greedy choice.

    sweep tells the time of one worker / that of two; its measured tables must be equal bit for bit.

    deploy tells sizes and times / those of the float ONNX file, below 1 is better: of a document at
    a time, and in batches of 64. Its rows are kept in the store; the view deployments shows them.

    \b
    Examples:
      calibkit bench ks --quick
      calibkit bench cell --json > cell.jsonl
      calibkit bench select --documents 1e6 --policies random,k-center
      calibkit bench deploy --cells x1-05be,x1-0033
    """
    from calibkit.bench.rows import wrong

    if kind == "deploy":
        _deploy(session, cells, quick=quick, others=(documents, policies), output=output)
        return
    if cells is not None:
        raise click.UsageError("--cells is for `calibkit bench deploy`")
    if kind == "select":
        found = _select(quick=quick, documents=documents, policies=policies)
    elif documents is not None or policies is not None:
        raise click.UsageError("--documents and --policies are for `calibkit bench select`")
    elif kind == "sweep":
        from calibkit.bench import sweep

        sizes = sweep.QUICK if quick else sweep.FULL
        found = list(sweep.rows(sizes, quick=quick, tell=note))
    else:
        from calibkit.bench.run import rows

        found = list(rows(kind, quick=quick, tell=note))
    if output.is_for_people:
        output.table(_for_people(found), below=f"\n{_caption(quick=quick)}")
    else:
        output.table(Table.of(found))
    failed = wrong(found)
    if failed:
        raise Incomplete(f"not right: {'; '.join(failed)}; see `against` with --json")


def _deploy(
    session: Session,
    cells: list[str] | None,
    *,
    quick: bool,
    others: tuple[object, object],
    output: Output,
) -> None:
    if others != (None, None):
        raise click.UsageError("--documents and --policies are for `calibkit bench select`")
    if not cells:
        raise click.UsageError(
            "`calibkit bench deploy` measures exports of cells; name some with --cells ID,...;"
            ' `calibkit sql "SELECT cell_id, model_kind, bits, accuracy FROM results WHERE noise ='
            ' 0"` shows them'
        )
    from calibkit.bench import deploy

    sizes = deploy.QUICK if quick else deploy.FULL
    found = deploy.measure(session.store, cells, sizes, quick=quick, tell=note)
    if output.is_for_people:
        said = "ratios: this / the float model's ONNX file, in one run on one thread"
        quickly = "\nquick sizes: no target applies" if quick else ""
        output.table(deploy_table(found), below=f"\n{said}{quickly}\n")
    else:
        output.table(Table.of(found))


def _select(
    *, quick: bool, documents: list[int] | None, policies: list[str] | None
) -> list[dict[str, Any]]:
    from dataclasses import replace

    from calibkit.bench import select

    sizes = select.QUICK if quick else select.FULL
    if documents is not None:
        sizes = replace(sizes, documents=documents)
    chosen = select.choices(policies)
    return list(select.rows(sizes, chosen, quick=quick, tell=note))


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
            "rows/s": Figure(f"{row['rows_per_s']:,.0f}") if "rows_per_s" in row else None,
            "loss": Figure(f"{row['loss']:+.1%}") if "loss" in row else None,
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
