"""``calibkit influence``: which labels and documents of a subset carry the result."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli import progress
from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options, stdout_is_terminal
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
    from calibkit.decide.influence import Influence
    from calibkit.decide.influence_request import InfluenceRequest
    from calibkit.quantize.schemes import Rounding


@click.command()
@click.argument("subset", metavar="SUBSET")
@model_option
@click.option(
    "--bits", metavar="BITS", type=int, default=4, show_default=True, help="The bits, 2 to 8."
)
@click.option(
    "--preset",
    metavar="NAME",
    default="robust",
    show_default=True,
    help="The preset of the scheme, as in a recipe.",
)
@click.option(
    "--rounding",
    type=click.Choice(["nearest", "gpfq", "gptq", "qronos", "least-squares"]),
    help="The rounding of the linear layer, as in a recipe's grid. [default: the preset's]",
)
@settings_option
@split_option("one acts on what is found here")
@documents_option
@click.option(
    "--what",
    type=click.Choice(["both", "labels", "documents"]),
    default="both",
    show_default=True,
    help="Which question to answer.",
)
@click.option(
    "--controls",
    metavar="N",
    type=int,
    default=10,
    show_default=True,
    help="Random removals beside those of labels, for every number of documents that labels have.",
)
@click.option(
    "--permutations",
    metavar="N",
    type=int,
    default=400,
    show_default=True,
    help="How many orders of all documents the Shapley values are sampled over.",
)
@click.option(
    "--validate",
    metavar="K",
    type=int,
    default=20,
    show_default=True,
    help="Leave out K groups of documents, half by value and half at random, and measure; at"
    " least 8, or 0 for none.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all draws.")
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Show the N best and the N worst documents; formats for machines have all.",
)
@engine_option
@data_options
@pass_session
def influence(
    session: Session,
    *,
    subset: str,
    model: str,
    bits: int,
    preset: str,
    rounding: Rounding | None,
    settings: Sequence[str],
    split: Literal["valid", "train", "test"],
    documents: int | None,
    what: Literal["both", "labels", "documents"],
    controls: int,
    permutations: int,
    validate: int,
    seed: int,
    top: int,
    engine: Literal["auto", "plain", "torch", "native"],
    output: Output,
) -> None:
    """Tell which labels and documents matter in SUBSET.

    Labels: the documents of one label are left out, the rest is really quantized and measured, and
    so it is without as many random documents, --controls times: that is the noise floor. A change
    is told from it when it lies outside of all controls, and its p value (one more control, by
    Student's t, Holm's correction over labels) is at most .05.

    Documents: the Shapley value of each under a proxy that quantizes nothing: what the documents
    before it and it make of the ranges, and what the errors of the measured documents' activations
    under these cost, by prices that are measured one quantizer at a time. Values are nats of nll a
    document; below 0, the others do better without it. With rounding to anything but nearest, what
    the linear layer's inputs do not show counts too, as far as rounding to nearest is measured to
    be worse.

    The proxy is then put to the test: K groups of documents are left out, quantized and measured.
    Do not read the ranking as causes where it is told that the proxy does not predict.

    Nothing is stored. One relation for machines: the column kind says whether a row is a reference,
    a label, a document, a validation or an agreement.

    \b
    Examples:
      calibkit influence s1-3f --model m1-9c41
      calibkit influence s1-3f --model m1-9c41 --preset brevitas-default --bits 3 --documents 1000
      calibkit influence s1-3f --model m1-9c41 --what labels --controls 20
      calibkit influence s1-3f --model m1-9c41 --what documents --json -o influence.jsonl
    """
    if split == "test":
        raise BadInput(
            "--split test: who sees which documents do harm will leave them out, and the test"
            " documents that have told so cannot judge that any more; use valid"
        )
    from calibkit.decide.influence_request import InfluenceRequest

    request = InfluenceRequest(
        base_settings(preset, settings),
        bits=bits,
        rounding=rounding,
        labels=what != "documents",
        documents=what != "labels",
        controls=controls,
        orders=permutations,
        cells=validate,
        seed=seed,
        engine=engine,
    )

    from calibkit.decide.subject import load_subject

    subject = load_subject(session.store, model, subset, split=split, documents=documents)
    check_kind(request.settings, subject.kind)
    if subject.left_out:
        note(f"{subject.left_out:,} calibration documents of the {split} split are left out")
    note(
        f"looking at {len(subject.subset):,} calibration documents, measuring on"
        f" {len(subject.tokens):,} documents of the {split} split"
    )

    from calibkit.decide.influence import influence as look

    watcher = progress.watcher()
    try:
        found = look(subject, request, watcher)
    finally:
        watcher.close()
    _show(found, request, top, output)


def _show(found: Influence, request: InfluenceRequest, top: int, output: Output) -> None:
    from calibkit.cli.influence_rows import for_people, in_full
    from calibkit.cli.influence_words import sentences

    if output.is_for_people:
        wide = output.file is None and stdout_is_terminal()
        output.text(for_people(found, top, shutil.get_terminal_size().columns if wide else None))
    else:
        output.table(in_full(found))
    for sentence in sentences(found, request):
        note(sentence)
