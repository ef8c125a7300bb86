"""A stored subset, written as a folder that another tool reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calibkit.errors import BadInput, UnknownName
from calibkit.export.folder import checked_folder, files_of, holds, made_whole
from calibkit.export.kinds import KINDS, kinds_of
from calibkit.export.subset_content import SubsetContent, read_content
from calibkit.export.subset_documents import required, write_dataset, write_jsonl, write_parquet
from calibkit.export.subset_modules import write_module
from calibkit.export.subset_tokens import TokenIds, token_ids, write_tokens
from calibkit.store.connection import Store

_TEXTS: dict[str, Callable[[Path, SubsetContent], None]] = {
    "parquet": write_parquet,
    "jsonl": write_jsonl,
    "hf-dataset": write_dataset,
}


@dataclass(frozen=True)
class ExportedSubset:
    """An export as it stands on the disk; files are the names of those beside subset.json."""

    subset_id: str
    kind: str
    folder: Path
    files: tuple[str, ...]
    documents: int
    existed: bool


def export_subset(
    store: Store, subset_id: str, kind: str, folder: Path, *, model: str | None = None
) -> ExportedSubset:
    """Write a subset in one of its `KINDS` to a new or empty folder.

    Every kind has subset.json beside its own files: what the subset is and where it is from, and
    the sha256 of each file. A folder that holds the same export stays as it is.

    model: (the start of) the id of a float model by whose vocabulary token ids are; by default the
    corpus's own. Raises UnknownName for a kind, BadInput for a subset, a model or a folder that
    cannot be used, MissingExtra for a package that is not installed, StoreError for a full disk.
    """
    if kind not in kinds_of("subset"):
        raise UnknownName("kind of export", kind, kinds_of("subset"))
    if model is not None and not KINDS[kind].has_tokens:
        others = ", ".join(name for name, one in KINDS.items() if one.has_tokens)
        raise BadInput(
            f"--model {model}: its vocabulary decides token ids, and {kind} has texts; leave"
            f" --model out, or export to one of {others}"
        )
    target = checked_folder(store, folder)
    required(kind)
    content = read_content(store, subset_id)
    tokens = token_ids(store, content, model) if KINDS[kind].has_tokens else None
    facts = {"export": kind, **content.facts()}
    if tokens is not None:
        facts["tokens"] = tokens.facts()
    existed = holds(target, facts)
    if not existed:
        with made_whole(store, target, facts) as draft:
            _write(draft, kind, content, tokens)
    return ExportedSubset(
        subset_id, kind, target, files_of(target), len(content.documents), existed
    )


def _write(draft: Path, kind: str, content: SubsetContent, tokens: TokenIds | None) -> None:
    if tokens is None:
        _TEXTS[kind](draft, content)
        return
    write_tokens(draft, content, tokens)
    if kind != "numpy":
        write_module(draft, kind, content, tokens)
