"""``calibkit export``: what was found here, in the form that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from calibkit.cli.lookup import find
from calibkit.cli.notes import note
from calibkit.cli.session import Session, pass_session
from calibkit.errors import BadInput
from calibkit.export.kinds import KINDS


@click.command()
@click.argument("subset")
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
    help="Token ids are by the vocabulary of this float model; see: calibkit list models."
    " [default: the corpus's own, at the share that the subset was asked from]",
)
@pass_session
def export(session: Session, *, subset: str, kind: str, output: Path, model: str | None) -> None:
    """Write SUBSET as a folder that other tools read.

    SUBSET is an id or how it begins. Documents stand in calibration order, with their labels. DIR
    is there whole or not at all, and has subset.json: who chose the documents, from where, and the
    sha256 of every file.

    \b
    Texts: position, doc_id, label, text
      parquet      subset.parquet
      jsonl        subset.jsonl
      hf-dataset   what datasets.load_from_disk reads, with a card, README.md, which says the one
                   line that puts it on the hub
    Token ids: tokens.npz (ids padded to one width, lengths, labels, and the ids one document
    behind the other: flat, offsets) and vocabulary.json
      numpy        nothing else
      torch        calibration_loader.py: loader() gives a DataLoader
      onnxruntime  calibration_reader.py: CalibrationReader is a CalibrationDataReader
      litert       representative_dataset.py: what a converter takes under that name

    \b
    Examples:
      calibkit export s1-3f --to parquet -o subset
      calibkit export s1-3f --to onnxruntime --model m1-9c41 -o for-onnxruntime
      calibkit export s1-3f --to hf-dataset -o my-calibration-set
    """
    from calibkit.export.subset import export_subset
    from calibkit.store.presence import in_use

    store = session.store
    with store.reading() as con:
        found = find(con, subset)
    if found.kind != "subset":
        raise BadInput(
            f"{subset!r} is a {found.kind}, and subsets are exported; `calibkit list subsets` shows"
            " them"
        )
    with in_use(store):
        made = export_subset(store, found.id, kind, output, model=model)
    if made.existed:
        note(f"{output} holds this export already")
        return
    documents = "1 document" if made.documents == 1 else f"{made.documents:,} documents"
    note(f"wrote {output}: {documents} of {made.subset_id}; {', '.join(made.files)}, subset.json")
    _tell_what_is_needed(kind)


def _tell_what_is_needed(kind: str) -> None:
    """Say which package the folder's module needs, where it is not installed here."""
    from importlib.util import find_spec

    package = KINDS[kind].reading
    if package is not None and find_spec(package) is None:
        note(
            f"{KINDS[kind].writes} needs {package}, which is not installed here: `pip install"
            f" {package}`"
        )
