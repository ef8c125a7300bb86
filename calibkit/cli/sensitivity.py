"""``calibkit sensitivity``: which quantizers of a model cost accuracy, and where bits should go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.scheme_settings import base_settings, check_kind
from calibkit.cli.session import Session, pass_session
from calibkit.cli.subject_options import (
    documents_option,
    engine_option,
    model_option,
    settings_option,
    split_option,
)
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.decide.sensitivity import Report


@click.command()
@model_option
@click.option(
    "--subset",
    metavar="ID",
    required=True,
    help="The calibration documents; see: calibkit list subsets.",
)
@split_option("bits are chosen here")
@documents_option
@click.option(
    "--low",
    metavar="BITS",
    type=int,
    default=3,
    show_default=True,
    help="The few bits, 2 to 8.",
)
@click.option(
    "--high",
    metavar="BITS",
    type=int,
    default=8,
    show_default=True,
    help="The many bits, 2 to 8.",
)
@click.option(
    "--preset",
    metavar="NAME",
    default="robust",
    show_default=True,
    help="The preset that the schemes start from, as in a recipe. Quantizers to which it gives a"
    " width of their own keep it.",
)
@settings_option
@click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Look at quantizers with such names only, for example 'lstm.acc_*'; may be repeated.",
)
@click.option(
    "--budget",
    metavar="BITS",
    type=float,
    help="Mean bits per weight of the suggested scheme. [default: 1 more than with all at --low]",
)
@click.option(
    "--activation-budget",
    metavar="BITS",
    type=float,
    help="Mean bits of the values that pass through the activation quantizers on the calibration"
    " documents. [default: none; activations take no storage, and are suggested at --high]",
)
@click.option(
    "--evaluations",
    metavar="N",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Measure at most N schemes on the way to the suggestion; 0 makes none.",
)
@engine_option
@data_options
@pass_session
def sensitivity(
    session: Session,
    *,
    model: str,
    subset: str,
    split: Literal["valid", "train", "test"],
    documents: int | None,
    low: int,
    high: int,
    preset: str,
    settings: Sequence[str],
    only: Sequence[str],
    budget: float | None,
    activation_budget: float | None,
    evaluations: int,
    engine: Literal["auto", "plain", "torch", "native"],
    output: Output,
) -> None:
    """Find the quantizers that cost accuracy; suggest bits.

    Each weight and activation quantizer, and groups of them, are measured at --low bits with all
    others at --high (low-alone), and at --high with all others at --low (high-alone): accuracy,
    nll, predictions, and the difference from the reference on the same documents, with its
    interval. Then bits are raised from --low where that lowers the nll most for what it takes of
    the budget, each step measured, until nothing fits or --evaluations are spent; the nll decides,
    because it moves with every document where accuracy moves in jumps. The best scheme on the way
    is printed as a recipe's quantize section. Measurements are printed and not stored: put the
    section into a recipe to measure it on test documents, and to keep that.

    \b
    Examples:
      calibkit sensitivity --model m1-9c41 --subset s1-3f
      calibkit sensitivity --model m1-9c41 --subset s1-3f --low 4 --documents 1000 --json
      calibkit sensitivity --model m1-9c41 --subset s1-3f --only 'lstm.*' --set weights=per-channel
      calibkit sensitivity --model m1-9c41 --subset s1-3f --budget 3.5 --activation-budget 5
    """
    if split == "test":
        raise BadInput(
            "--split test: bits are chosen by what is measured here, and documents that have"
            " chosen them cannot judge them any more; use valid, and measure the suggestion on"
            " test with `calibkit evaluate`"
        )
    from calibkit.decide.request import Request

    request = Request(
        base_settings(preset, settings),
        low=low,
        high=high,
        budget=budget,
        activation_budget=activation_budget,
        only=tuple(only),
        evaluations=evaluations,
        engine=engine,
    )

    from calibkit.decide.subject import load_subject

    subject = load_subject(session.store, model, subset, split=split, documents=documents)
    check_kind(request.settings, subject.kind)
    if subject.left_out:
        note(f"{subject.left_out:,} calibration documents of the {split} split are left out")
    note(f"measuring on {len(subject.tokens):,} documents of the {split} split")

    from calibkit.decide.sensitivity import sensitivity as measure

    watcher = progress.watcher()
    try:
        report = measure(subject, request, watcher)
    finally:
        watcher.close()
    _show(report, subject.labels, output)


def _show(report: Report, labels: Sequence[str], output: Output) -> None:
    from calibkit.cli.sensitivity_rows import caption, for_people, in_full

    if output.is_for_people:
        output.table(for_people(report), below=caption(report, labels))
    else:
        output.table(in_full(report, labels))
    if report.suggestion is not None and report.suggestion.is_cut:
        note(
            "the search ended because its evaluations were spent, perhaps before the budget was;"
            " --evaluations N lets it go on"
        )
