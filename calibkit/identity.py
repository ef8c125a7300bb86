"""Content identities and keyed draws: the two primitives that make results repeatable.

Everything here is plain Python and numpy, independent of platform, thread count and row order.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HARNESS = 1
"""Version of the quantize-and-evaluate harness; part of every plan key and cell id."""

PREFIXES = {
    "corpus": "c1",
    "subset": "s1",
    "request": "r1",
    "model": "m1",
    "model-key": "k1",
    "scheme": "q1",
    "test": "t1",
    "vocabulary": "v1",
    "plan": "p1",
    "cell": "x1",
    "recipe": "y1",
    "run": "n1",
    "fragment": "f1",
    "artefact": "a1",
    "stream": "w1",
    "trajectory": "j1",
}
"""Kind of thing -> prefix of its ids; the digit is the version of the derivation."""


def canonical(value: Any) -> str:
    """Return the one JSON text of ``value``: sorted keys, no spaces, floats by shortest repr.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot say.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)  # 1.0 and 1 are the same setting
    return value


def content_id(kind: str, payload: Any) -> str:
    """Return ``<prefix>-<16 hex digits>``: blake2b of the canonical JSON of ``payload``."""
    digest = hashlib.blake2b(canonical(payload).encode(), digest_size=8).hexdigest()
    return f"{PREFIXES[kind]}-{digest}"


def sha256_hex(data: bytes) -> str:
    """Return the sha256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def ordered_hash(items: Iterable[str]) -> str:
    """Return a hash (32 hex digits) of a sequence of strings in which order matters."""
    digest = hashlib.blake2b(digest_size=16)
    for item in items:
        raw = item.encode()
        digest.update(len(raw).to_bytes(4, "little"))
        digest.update(raw)
    return digest.hexdigest()


def draw_key(seed: int, purpose: str, doc_id: str) -> str:
    """Return md5('calibkit1:<seed>:<purpose>:<doc_id>'), the sort key of a keyed draw.

    The same text that DuckDB's md5() gives, so that a draw can be made in SQL or in Python.
    """
    text = draw_prefix(seed, purpose) + doc_id
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def draw_prefix(seed: int, purpose: str) -> str:
    """Return what stands before the document id in the text that `draw_key` hashes."""
    return f"calibkit1:{seed}:{purpose}:"


def draw_order(seed: int, purpose: str, doc_ids: Sequence[str]) -> NDArray[np.intp]:
    """Return the rows of ``doc_ids`` in the order of a keyed draw: ORDER BY key, doc_id."""
    keys = _draw_keys(seed, purpose, doc_ids)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ranked = keys[order]
    if (ranked[1:] == ranked[:-1]).all(axis=1).any():  # the ids decide
        listed = [(*key, doc_id) for key, doc_id in zip(keys.tolist(), doc_ids, strict=True)]
        order = np.array(sorted(range(len(listed)), key=listed.__getitem__))
    return order.astype(np.intp, copy=False)


def draw_uniform(seed: int, purpose: str, doc_ids: Sequence[str]) -> NDArray[np.float64]:
    """Return one number in (0, 1) per document id, keyed like draw_key (52 bits)."""
    first = _draw_keys(seed, purpose, doc_ids)[:, 0] >> np.uint64(12)
    return np.asarray((first.astype(np.float64) + 0.5) * 2.0**-52)


def _draw_keys(seed: int, purpose: str, doc_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the draw keys as numbers, uint64 (n, 2): the upper and the lower 16 hex digits."""
    prefix, md5 = draw_prefix(seed, purpose), hashlib.md5
    raw = b"".join([md5((prefix + d).encode(), usedforsecurity=False).digest() for d in doc_ids])
    return np.frombuffer(raw, dtype=">u8").reshape(-1, 2).astype(np.uint64)


def keyed_generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return a Philox generator keyed by a seed and what it is for; same on every platform."""
    text = ":".join(["calibkit1", str(seed), *purpose])
    key = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key))


def share_out(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Split ``total`` by largest remainder in proportion to ``weights``; ties by name.

    Returns a count per name, in the order of ``weights``; counts sum to ``total``.
    """
    norm = math.fsum(weights.values())
    if not weights or norm <= 0:
        raise ValueError("share_out needs at least one positive weight")
    exact = {name: total * w / norm for name, w in weights.items()}
    counts = {name: math.floor(x + 1e-9) for name, x in exact.items()}
    rest = total - sum(counts.values())
    by_remainder = sorted(weights, key=lambda name: (-(round(exact[name] - counts[name], 9)), name))
    for name in by_remainder[:rest]:
        counts[name] += 1
    return counts
