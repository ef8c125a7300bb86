"""Ids of what decides the numbers of a cell, by content. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibkit.corpora.noise import noise_kinds, noise_version
from calibkit.identity import HARNESS, content_id, ordered_hash
from calibkit.onnx.packages import runtime_version
from calibkit.quantize.schemes import Scheme


def subset_content(corpus_id: str, doc_ids: Sequence[str]) -> str:
    """Return the id of documents of a corpus in calibration order."""
    return content_id("subset", [corpus_id, ordered_hash(doc_ids)])


def tested_content(corpus_id: str, doc_ids: Sequence[str], label_ids: Sequence[int]) -> str:
    """Return the id of a set of test documents, in order of their ids."""
    # float rows are keyed by the test set: what versions it is measured under belongs to it
    changed = [[k, noise_version(k)] for k in noise_kinds() if np.max(noise_version(k)) > 1]
    documents = [corpus_id, ordered_hash(doc_ids), list(label_ids)]
    return content_id("test", [HARNESS, changed, *documents])


def arithmetic_of(scheme: Scheme) -> str:
    """Return what computes a scheme's numbers here: an arithmetic, or another tool's version.

    Another version of another tool is another quantizer, as another harness of calibkit's own is.
    Raises MissingExtra where the tool is not installed.
    """
    return runtime_version() if scheme.by_peer else scheme.arithmetic


def cell_content(model_id: str, subset_id: str, scheme: Scheme, test_id: str) -> str:
    """Return the id of a cell: everything that decides its numbers; raises as `arithmetic_of`."""
    return content_id(
        "cell",
        {
            "harness": HARNESS,
            "model": model_id,
            "subset": subset_id,
            "scheme": scheme.as_dict(),
            "arithmetic": arithmetic_of(scheme),
            "device": "cpu",
            "test": test_id,
        },
    )
