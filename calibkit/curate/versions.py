"""Versions of how documents are looked at and changed: what a choice depends on beside itself.

A policy's own version says when the same parameters begin to choose other documents. What many
policies share has versions of its own: raising one must make every request that reads it a new one,
or the store would answer with documents that were chosen by the old numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from calibkit.corpora.noise import noise_version
from calibkit.curate.features import AT_BITS, FEATURES
from calibkit.identity import HARNESS
from calibkit.policies import AnyPolicy, NoiseMix, minhash

AS_INGESTED = frozenset({"tokens", "duplicates", "given", "subset", "writer"})
"""Needs that are read as they stand in the store, or computed without features."""

QUANTIZED = frozenset({"disagreement", "misses", "chain"})
"""Needs for which models are quantized as in a cell."""

SIGNATURES = frozenset({"minhash", "near-test"})
"""Needs that read MinHash signatures."""


def versions_of(policy: AnyPolicy) -> dict[str, object]:
    """Return the versions of all that a policy reads, by name; part of what identifies a request.

    Only those above 1: what was asked for before the first change keeps its key.
    """
    needs = _names(policy.every_need)
    found: dict[str, object] = {}
    if FEATURES > 1 and needs - AS_INGESTED:
        found["features"] = FEATURES
    if minhash.VERSION > 1 and needs & SIGNATURES:
        found["minhash"] = minhash.VERSION
    if AT_BITS > 1 and needs & QUANTIZED:
        found["at bits"] = AT_BITS
    if HARNESS > 1 and needs & QUANTIZED:
        found["harness"] = HARNESS
    if isinstance(policy, NoiseMix) and noise_version(policy.noise) != 1:
        found["noise"] = noise_version(policy.noise)
    return found


def _names(needs: Iterable[str]) -> frozenset[str]:
    return frozenset(need.partition(":")[0] for need in needs)
