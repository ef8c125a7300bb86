"""The gate of an export to C: compiled, it has to give calibkit's very own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.corpora.vocabulary import BOS, EOS
from calibkit.engine.integer import IntegerClassifier
from calibkit.engine.integer.powers import ONE
from calibkit.engine.integer.scores import LN2, log_softmax
from calibkit.errors import BadInput, Infeasible
from calibkit.export.c.compiling import FLAGS, Compiler, built, find_compiler, object_bytes
from calibkit.export.network import Frozen, Tested
from calibkit.export.trace import trace, traced_sites


@dataclass(frozen=True)
class CParity:
    """An export to C that gave calibkit's numbers for every document.

    documents: how many, by token ids; texts: how many from their text as well, 0 where the export
    has no tokenizer. compiler: its version; flags: what it was called with. object_bytes: size of
    the network as an object file, compiled for size: code and constant data.
    """

    documents: int
    texts: int
    compiler: str
    flags: tuple[str, ...]
    object_bytes: int


def check_c(
    folder: Path,
    frozen: Frozen,
    tested: Tested,
    *,
    name: str,
    text: bool,
    compiler: str | None = None,
    flags: Sequence[str] = FLAGS,
    run: Sequence[str] = (),
) -> CParity:
    """Compile an export, and hold labels and scores of all documents against calibkit's.

    Labels and scores have to be equal, to the last digit: by token ids, and with ``text`` from the
    documents' texts, too. compiler: its command, by default that of the variable CC, else cc, gcc
    or clang. run: what stands before a program's name to run it, for a compiler for another
    machine.

    Raises BadInput where there is no compiler, where it fails, or where documents cannot be such
    an export's; Infeasible where a number differs, with the first site, step and unit.
    """
    found = find_compiler(compiler, run=run)
    documents = [tested.tokens[row] for row in range(len(tested.tokens))]
    _check_documents(documents, frozen.most_tokens)
    given = {"ids": [ids.astype("<u4").tobytes() for ids in documents]}
    counts = {"ids": list(map(len, documents))}
    if text:
        given["text"] = [one.encode() for one in tested.texts]
        counts["text"] = list(map(len, given["text"]))
    with built(folder, name, len(frozen.labels), compiler=found, flags=flags) as program:
        for mode, each in given.items():
            labels, scores = program.answers(mode, each, counts[mode])
            wrong = _differing(frozen, tested, labels, scores)
            if len(wrong):
                raise _refusal(folder, name, frozen, tested, wrong, scores, mode, found, flags)
    return CParity(
        len(documents),
        len(tested.texts) if text else 0,
        found.version,
        tuple(flags),
        object_bytes(folder, name, compiler=found, flags=flags),
    )


def _check_documents(documents: Sequence[NDArray[np.int32]], most_tokens: int) -> None:
    """Raise BadInput for documents that are not <bos>, tokens, <eos>, or too long for the C."""
    if not documents:
        raise BadInput("an export is held against documents, and there are none")
    for row, ids in enumerate(documents):
        inner = ids[1:-1]
        ends = len(ids) > 1 and ids[0] == BOS and ids[-1] == EOS
        if not ends or len(inner) > most_tokens or ((inner == BOS) | (inner == EOS)).any():
            raise BadInput(
                f"document {row} is not <bos>, up to {most_tokens} tokens, <eos>: an export to C"
                " adds both signs itself and cuts what is longer"
            )


def _differing(
    frozen: Frozen, tested: Tested, labels: NDArray[np.int64], scores: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the documents whose label or scores are not calibkit's."""
    if isinstance(frozen.head, IntegerClassifier):
        nats = log_softmax(torch.from_numpy(scores), frozen.head.logits.shift).numpy()
    else:
        nats = scores.astype(np.float64) * (LN2 / ONE)
    equal = (nats == tested.scores).all(axis=1) & (labels == tested.predicted)
    return np.flatnonzero(~equal)


def _refusal(
    folder: Path,
    name: str,
    frozen: Frozen,
    tested: Tested,
    wrong: NDArray[np.intp],
    scores: NDArray[np.int64],
    mode: str,
    compiler: Compiler,
    flags: Sequence[str],
) -> Infeasible:
    """Return the error of an export that gives other numbers: where they begin to differ."""
    first = int(wrong[0])
    what = (
        f"the C export gives other numbers than calibkit for {len(wrong):,} of"
        f" {len(scores):,} documents, read as {mode}; document {first}"
    )
    if mode == "text":
        where = "gets other token ids from its text: the tokenizer differs"
    else:
        ids = tested.tokens[first]
        traced = (*flags, f"-D{name.upper()}_TRACE")
        with built(folder, name, len(frozen.labels), compiler=compiler, flags=traced) as program:
            found = program.traced(ids.astype("<u4").tobytes(), len(ids))
        where = first_difference(frozen, ids, found)
    return Infeasible(
        f"{what} {where}. The export is not handed out; the compiler was {compiler.version} with"
        f" {' '.join(flags)}"
    )


def first_difference(frozen: Frozen, ids: NDArray[np.int32], found: NDArray[np.void]) -> str:
    """Say where what a program traced of a document is first not what calibkit finds."""
    sites = traced_sites(frozen)
    at = {(int(r["step"]), int(r["site"]), int(r["unit"])): int(r["value"]) for r in found}
    for step, site, values in trace(frozen, ids):
        for unit, expected in enumerate(values.tolist()):
            value = at.get((step, site, unit))
            if value != expected:
                what = "nothing" if value is None else str(value)
                return (
                    f"differs first at {sites[site]}, step {step}, unit {unit}: {expected}"
                    f" expected, {what} found"
                )
    return "has every number of its trace right: its expected scores are of another network"
