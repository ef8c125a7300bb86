"""A quantized network as one ONNX file: standard operators, codes as weights, facts as metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibkit.corpora.vocabulary import BOS, EOS, PAD, UNK
from calibkit.errors import Infeasible
from calibkit.export.network import Facts, Frozen
from calibkit.export.onnx.heads import add_head
from calibkit.export.onnx.recurrence import add_recurrence
from calibkit.onnx.documents import inputs, outputs, read
from calibkit.onnx.graph import Graph, stored_width
from calibkit.onnx.packages import OPSET, PACKED_FROM, checked_opset
from calibkit.quantize.sites import WEIGHT_SITES

MODEL = "classifier.onnx"
"""The file in an export's folder."""

LEAST_BITS = 3


@dataclass(frozen=True)
class OnnxFile:
    """A written graph: where, how large, its opset, and how many bits a stored weight takes."""

    path: Path
    size: int
    opset: int
    stored_bits: dict[str, int]


def export_onnx(
    frozen: Frozen, folder: Path, *, opset: int = OPSET, facts: Facts | None = None
) -> OnnxFile:
    """Write ``classifier.onnx`` into an existing folder.

    Inputs: ids (batch, length) int64, padded on the right with anything; lengths (batch,) int64,
    <bos> and <eos> counted. Outputs: scores (batch, labels) float64, log p(y | x) or log p(x, y)
    in nats; label (batch,) int64, the best one, the lowest of equals. Metadata: `metadata`.

    Raises BadInput for an opset that cannot be written and for scales that whole numbers cannot
    follow, Infeasible for weights of 2 bits, MissingExtra without the package onnx.
    """
    stored = stored_bits(frozen, checked_opset(opset))
    path = folder / MODEL
    path.write_bytes(_model(frozen, opset, metadata(frozen, facts or {})))
    return OnnxFile(path, path.stat().st_size, opset, stored)


def stored_bits(frozen: Frozen, opset: int) -> dict[str, int]:
    """Return the bits in which the weights of every site are stored: 4 (INT4) or 8 (INT8)."""
    bits = {site: frozen.scheme.bits_of(site) for site in WEIGHT_SITES[frozen.kind]}
    narrow = [site for site, width in bits.items() if width < LEAST_BITS]
    if narrow:
        raise Infeasible(
            f"{', '.join(narrow)}: weights of 2 bits have no type in ONNX up to opset"
            f" {checked_opset(OPSET)}, which stores 4 or 8 bits; export a cell of {LEAST_BITS} to"
            " 8 bits, or this one with --to c"
        )
    return {
        site: stored_width(width) if opset >= PACKED_FROM else 8 for site, width in bits.items()
    }


def metadata(frozen: Frozen, facts: Facts) -> dict[str, str]:
    """Return what the file says of itself, by key.

    ``calibkit.vocabulary``: token types by id, one a line (none has white space). The others are
    JSON: ``calibkit.labels``, names by label; ``calibkit.tokenizer``, how a text becomes ids;
    ``calibkit.scheme``; ``calibkit.facts``, given by whoever exports.
    """
    tokenizer = {
        "normal_form": "NFC",
        "lower_case": True,
        "token": r"\w+|[^\w\s]",
        "most_tokens": frozen.most_tokens,
        "pad": PAD,
        "unk": UNK,
        "bos": BOS,
        "eos": EOS,
        "document": "bos, at most most_tokens tokens, eos",
    }
    told = {
        "kind": frozen.kind,
        "labels": list(frozen.labels),
        "tokenizer": tokenizer,
        "scheme": frozen.scheme.as_dict(),
        "facts": dict(facts),
    }
    plain = {f"calibkit.{key}": _json(value) for key, value in told.items() if key != "kind"}
    return {
        "calibkit.kind": frozen.kind,
        **plain,
        "calibkit.vocabulary": "\n".join(frozen.vocabulary.types),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _model(frozen: Frozen, opset: int, facts: dict[str, str]) -> bytes:
    graph = Graph(opset)
    documents = read(graph, len(frozen.vocabulary))
    hidden = add_recurrence(graph, frozen, documents)
    add_head(graph, frozen, documents, hidden)
    return graph.model(inputs(graph), outputs(graph, len(frozen.labels)), facts)
