"""``calibkit export``: what was found here, in the form that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from calibkit.cli.lookup import find
from calibkit.cli.notes import note
from calibkit.cli.session import Session, pass_session
from calibkit.errors import BadInput
from calibkit.export.kinds import KINDS, kinds_of


@click.command()
@click.argument("exported", metavar="ID")
@click.option(
    "--to",
    "kind",
    type=click.Choice(list(KINDS)),
    required=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder to make; one that is there must be empty, or hold the same export.",
)
@click.option(
    "--model",
    metavar="ID",
    help="Subsets: token ids are by the vocabulary of this float model; see: calibkit list models."
    " [default: the corpus's own, at the share that the subset was asked from]",
)
@click.option(
    "--no-text",
    is_flag=True,
    help="c: without tokenizer and vocabulary; the program reads token ids.",
)
@click.option(
    "--opset", metavar="N", type=int, help="onnx: the version of the operator set.  [default: 21]"
)
@pass_session
def export(
    session: Session,
    *,
    exported: str,
    kind: str,
    output: Path,
    model: str | None,
    no_text: bool,
    opset: int | None,
) -> None:
    """Write a cell or a subset as a folder for other tools.

    ID is that of a cell (x1-...) or of a subset (s1-...), or how it begins. DIR is there whole or
    not at all, and has cell.json or subset.json: what it is, and the sha256 of every file.

    \b
    A cell: a classifier without Python and torch
      c            classifier.h, classifier.c: C99, whole numbers alone, no library; with a
                   tokenizer; CMakeLists.txt, example.c
      onnx         classifier.onnx: standard operators, weights as INT8 or INT4

    It is held against calibkit's `arithmetic: integer` on all of the cell's test documents: C has
    to give the same labels and scores, ONNX the labels of 99.9 % and scores within 1e-3. Otherwise
    nothing is written, and the first site that differs is named. CARD.md and card.json say where
    it is from and what it scores, under noise too.

    Of a subset, documents stand in calibration order, with their labels, and subset.json has who
    chose them, and from where.

    \b
    A subset, as texts: position, doc_id, label, text
      parquet      subset.parquet
      jsonl        subset.jsonl
      hf-dataset   what datasets.load_from_disk reads, with a card, README.md, which says the one
                   line that puts it on the hub
    A subset, as token ids: tokens.npz (ids padded to one width, lengths, labels, and the ids one
    document behind the other: flat, offsets) and vocabulary.json
      numpy        nothing else
      torch        calibration_loader.py: loader() gives a DataLoader
      onnxruntime  calibration_reader.py: CalibrationReader is a CalibrationDataReader
      litert       representative_dataset.py: what a converter takes under that name

    \b
    Examples:
      calibkit export x1-05be --to c -o classifier
      calibkit export x1-05be --to onnx -o for-the-phone
      calibkit export s1-3f --to parquet -o subset
      calibkit export s1-3f --to onnxruntime --model m1-9c41 -o for-onnxruntime
      calibkit export s1-3f --to hf-dataset -o my-calibration-set
    """
    store = session.store
    with store.reading() as con:
        found = find(con, exported)
    _check_kind(exported, found.kind, kind)
    if found.kind == "cell":
        if model is not None:
            raise BadInput(f"--model {model}: a cell has its own float model; leave it out")
        _export_cell(session, found.id, kind, output, text=not no_text, opset=opset)
    else:
        if no_text or opset is not None:
            raise BadInput("--no-text and --opset are for cells; leave them out for a subset")
        _export_subset(session, found.id, kind, output, model)
    _tell_what_is_needed(kind)


def _check_kind(exported: str, what: str, kind: str) -> None:
    """Raise BadInput for a thing that is not exported, or not in this form."""
    if what not in ("cell", "subset"):
        raise BadInput(
            f"{exported!r} is a {what}, and cells and subsets are exported; `calibkit list subsets`"
            " shows subsets, the view results has cells"
        )
    if KINDS[kind].of != what:
        others = ", ".join(kinds_of(what))
        raise BadInput(
            f"{exported!r} is a {what}, and --to {kind} is for a {KINDS[kind].of}; a {what} goes to"
            f" {others}"
        )


def _export_cell(
    session: Session, cell_id: str, kind: str, output: Path, *, text: bool, opset: int | None
) -> None:
    from calibkit.export.classifier import export_cell
    from calibkit.store.presence import in_use

    with in_use(session.store):
        made = export_cell(session.store, cell_id, kind, output, text=text, opset=opset, tell=note)
    if made.existed:
        note(f"{output} holds this export already")
    else:
        note(f"wrote {output}: {', '.join(made.files)}, cell.json")
    note(made.parity)


def _export_subset(
    session: Session, subset_id: str, kind: str, output: Path, model: str | None
) -> None:
    from calibkit.export.subset import export_subset
    from calibkit.store.presence import in_use

    with in_use(session.store):
        made = export_subset(session.store, subset_id, kind, output, model=model)
    if made.existed:
        note(f"{output} holds this export already")
        return
    documents = "1 document" if made.documents == 1 else f"{made.documents:,} documents"
    note(f"wrote {output}: {documents} of {made.subset_id}; {', '.join(made.files)}, subset.json")


def _tell_what_is_needed(kind: str) -> None:
    """Say which package the folder's module needs, where it is not installed here."""
    from importlib.util import find_spec

    package = KINDS[kind].reading
    if package is not None and find_spec(package) is None:
        note(
            f"{KINDS[kind].writes} needs {package}, which is not installed here: `pip install"
            f" {package}`"
        )
