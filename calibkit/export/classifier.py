"""A cell, written as a folder with a classifier that runs without Python and torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit._version import __version__
from calibkit.errors import BadInput, UnknownName
from calibkit.export.cell import Cell, read_cell
from calibkit.export.folder import CELL_MANIFEST, checked_folder, files_of, holds, made_whole
from calibkit.export.kinds import kinds_of
from calibkit.export.model_card import card_facts, card_text
from calibkit.store.connection import Store
from calibkit.sweep.origin import cell_origin
from calibkit.sweep.rebuild import Tell

NAME = "classifier"
"""What the exported files and everything in them are called."""

CARD, CARD_FACTS = "CARD.md", "card.json"


@dataclass(frozen=True)
class ExportedCell:
    """An export as it stands on the disk; files are the names of those beside the manifest.

    parity: how it was held against calibkit's own numbers, in words.
    """

    cell_id: str
    kind: str
    folder: Path
    files: tuple[str, ...]
    parity: str
    existed: bool


def export_cell(
    store: Store,
    name: str,
    kind: str,
    folder: Path,
    *,
    text: bool = True,
    opset: int | None = None,
    tell: Tell,
) -> ExportedCell:
    """Write a cell's classifier, ``c`` or ``onnx``, to a new or empty folder, with its card.

    The export is held against calibkit's own numbers on all of the cell's test documents, and is
    handed out only where it passes. A folder that holds the same export stays as it is. name: the
    start of the cell's id. text: whether C brings its tokenizer and vocabulary. opset: of ONNX.

    Raises UnknownName for a kind; BadInput for a cell, a folder or an opset that cannot be used and
    where there is no C compiler; Infeasible where the export gives other numbers, and for weights
    that the kind cannot hold; MissingExtra for a package that is not installed.
    """
    if kind not in kinds_of("cell"):
        raise UnknownName("kind of export", kind, kinds_of("cell"))
    options = _options(kind, text=text, opset=opset)
    target = checked_folder(store, folder)
    with store.reading() as con:
        cell_id = cell_origin(con, name).cell_id
    facts = {"export": kind, "calibkit": __version__, "cell_id": cell_id, **options}
    existed = holds(target, facts)
    if not existed:
        cell = read_cell(store, cell_id, tell=tell)
        with made_whole(store, target, facts, manifest=CELL_MANIFEST) as draft:
            made = _WRITERS[kind](draft, cell, options, tell)
            _write_card(store, draft, cell, facts, made)
    card = json.loads((target / CARD_FACTS).read_bytes())
    parity = str(card["artefact"]["parity"])
    return ExportedCell(cell_id, kind, target, files_of(target), parity, existed)


def _options(kind: str, *, text: bool, opset: int | None) -> dict[str, Any]:
    """Check what only one kind has, and that it can be written here; return what decides it."""
    if kind == "c":
        from calibkit.export.c.compiling import find_compiler

        if opset is not None:
            raise BadInput(f"--opset {opset}: C has no operator sets; it is for --to onnx")
        find_compiler()
        return {"text": text}
    from calibkit.onnx.packages import (
        OPSET,
        checked_opset,
        required_onnx,
        required_runtime,
    )

    if not text:
        raise BadInput("--no-text: an ONNX file reads token ids anyway; it is for --to c")
    chosen = checked_opset(OPSET if opset is None else opset)
    required_onnx()
    required_runtime()
    return {"opset": chosen}


# ------------------------------------------------------------------------------ what is written


def _write_c(draft: Path, cell: Cell, options: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    from calibkit.export.c.parity import check_c
    from calibkit.export.c.source import export_c

    text = bool(options["text"])
    export_c(cell.frozen, draft, name=NAME, text=text)
    tell(f"compiling it, and holding it against {_counted(cell)}")
    found = check_c(draft, cell.frozen, cell.tested, name=NAME, text=text)
    read = "from their text and by token ids" if text else "by token ids"
    use = (
        "`cmake -B build && cmake --build build` makes the library and the example;"
        if text
        else "`cmake -B build && cmake --build build` makes the library and the example, which"
        " reads token ids;"
    )
    return {
        "what": f"C99 without a library: {NAME}.h says how it is called. Compiled, it is"
        f" {found.object_bytes:,} bytes (code and constant data; {found.compiler},"
        f" {' '.join(found.flags)}).",
        "parity": f"The compiled program gave calibkit's label and scores, to the last digit, for"
        f" all of {found.documents:,} test documents, read {read}.",
        "compiled_bytes": found.object_bytes,
        "compiler": found.compiler,
        "flags": list(found.flags),
        "use": f"{use} {NAME}.h has the limits: what a text that is no UTF-8, an unknown word or a"
        " document that is too long comes to.",
    }


def _write_onnx(draft: Path, cell: Cell, options: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    from calibkit.export.onnx.network import export_onnx
    from calibkit.export.onnx.parity import check_onnx

    told = {"cell_id": cell.origin.cell_id, "calibkit": __version__}
    made = export_onnx(cell.frozen, draft, opset=options["opset"], facts=told)
    tell(f"running it in ONNX Runtime, and holding it against {_counted(cell)}")
    found = check_onnx(draft, cell.frozen, cell.tested)
    return {
        "what": f"{made.path.name}: opset {made.opset}, standard operators alone. Inputs: ids"
        " (batch, length) int64, lengths (batch,) int64. Outputs: scores (batch, labels), label"
        " (batch,). The vocabulary, the labels and how a text is read are in its metadata.",
        "parity": f"{found.runtime} gave calibkit's label for {found.agreement:.2%} of"
        f" {found.documents:,} test documents, and scores within {found.distance:.1g} of its own.",
        "stored_bits": made.stored_bits,
        "agreement": found.agreement,
        "distance": found.distance,
        "runtime": found.runtime,
        "use": "`pip install onnxruntime`; metadata `calibkit.tokenizer` says how a text becomes"
        " ids, `calibkit.vocabulary` has the words by id, one a line.",
    }


_WRITERS = {"c": _write_c, "onnx": _write_onnx}


def _write_card(
    store: Store, draft: Path, cell: Cell, facts: Mapping[str, Any], made: Mapping[str, Any]
) -> None:
    tested = cell.tested
    own = tested.scores[range(len(tested.labels)), tested.labels]
    exact = {"accuracy": tested.accuracy, "nll": float(-own.mean())}
    sizes = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
    told = {**facts, **card_facts(store, cell), "artefact": {**made, "integer": exact}}
    told["artefact"]["bytes"] = sizes
    text = json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False)
    (draft / CARD_FACTS).write_text(f"{text}\n", encoding="utf-8")
    (draft / CARD).write_text(card_text(told), encoding="utf-8")


def _counted(cell: Cell) -> str:
    return f"calibkit on {len(cell.tested.labels):,} test documents"
