"""Noisy documents as a model reads them: token ids, of corrupted texts or of a control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.noise.kinds import CONTROLS, MATCH
from calibkit.corpora.noise.texts import check_kind, corrupt
from calibkit.corpora.vocabulary import MOST_TOKENS, UNK, Vocabulary
from calibkit.errors import BadInput
from calibkit.identity import keyed_generator
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class NoisyTokens:
    """Token ids of corrupted documents, in the order given, and what the corruption did.

    tokens: cut like a model's input, in <bos> ... <eos>. realised_rate and length_drift as in
    NoisyTexts; for a control the places are the tokens that the vocabulary has, and no length
    changes. oov_rate: unknown tokens / tokens of the whole documents, before they are cut, so that
    it does not depend on how much a model reads.
    """

    tokens: Ragged
    realised_rate: float
    eligible: int
    changed: int
    oov_rate: float
    length_drift: float


def corrupt_tokens(
    texts: Sequence[str],
    doc_ids: Sequence[str],
    kind: str,
    level: float,
    seed: int,
    vocabulary: Vocabulary,
    *,
    most_tokens: int = MOST_TOKENS,
) -> NoisyTokens:
    """Return the token ids of ``texts`` under any kind of noise, controls and 'none' included.

    Raises what `corrupt` raises, except that controls are allowed.
    """
    check_kind(kind, level)
    if len(texts) != len(doc_ids):
        raise BadInput(f"noise {kind}: {len(texts)} texts but {len(doc_ids)} document ids")
    noisy = corrupt(texts, doc_ids, CONTROLS.get(kind, kind), level, seed)
    whole = vocabulary.encode(noisy.texts, most_tokens=None)
    realised, drift = noisy.realised_rate, noisy.length_drift
    eligible, changed = noisy.eligible, noisy.changed
    if kind in CONTROLS:
        clean = vocabulary.encode(texts, most_tokens=None)
        whole, eligible, changed = match_unknown(clean, whole, doc_ids, seed)
        realised, drift = changed / eligible if eligible else 0.0, 0.0
    read = len(whole.ids) - 2 * len(whole)
    unknown = int(np.count_nonzero(whole.ids == UNK))
    return NoisyTokens(
        tokens=_cut(whole, most_tokens),
        realised_rate=realised,
        eligible=eligible,
        changed=changed,
        oov_rate=unknown / read if read else 0.0,
        length_drift=drift,
    )


def match_unknown(
    clean: Ragged, noisy: Ragged, doc_ids: Sequence[str], seed: int
) -> tuple[Ragged, int, int]:
    """Return ``clean`` with <unk> for so many known tokens that each document's share is noisy's.

    Which tokens go first is a keyed order of each document, which depends on nothing else; shares
    are met up to rounding to whole tokens (half up), and clean <unk> stay. A document of which the
    noise left no token keeps its own. Both are whole documents in <bos> ... <eos>. The second and
    third value count the known tokens, <bos> and <eos> apart, and those replaced.
    """
    document = np.repeat(np.arange(len(clean)), clean.lengths)
    wrapping = np.zeros(len(clean.ids), dtype=np.bool_)
    wrapping[clean.offsets[:-1]] = wrapping[clean.offsets[1:] - 1] = True
    known = np.flatnonzero(~wrapping & (clean.ids != UNK))
    order = known[np.lexsort((_token_draws(clean, doc_ids, seed)[known], document[known]))]
    starts = np.searchsorted(document[known], np.arange(len(clean)))
    rank = np.arange(len(order)) - starts[document[order]]
    tokens, left = clean.lengths - 2, np.maximum(noisy.lengths - 2, 1)
    wanted = (2 * tokens * _unknown(noisy) + left) // (2 * left)
    hit = order[rank < (wanted - _unknown(clean))[document[order]]]
    ids = clean.ids.copy()
    ids[hit] = UNK
    return Ragged(ids, clean.offsets), len(known), len(hit)


def _unknown(tokens: Ragged) -> NDArray[np.int64]:
    """Return the number of <unk> in each document (documents,)."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(tokens.ids == UNK, dtype=np.int64)])
    return np.diff(running[tokens.offsets])


def _token_draws(tokens: Ragged, doc_ids: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return one uniform per token, <bos> and <eos> included, from a stream per document."""
    draws = np.empty(len(tokens.ids))
    for row, doc_id in enumerate(doc_ids):
        generator = keyed_generator(seed, "noise", MATCH, doc_id)
        generator.random(out=draws[tokens.offsets[row] : tokens.offsets[row + 1]])
    return draws


def _cut(tokens: Ragged, most: int) -> Ragged:
    """Return documents with at most ``most`` tokens between <bos> and <eos>."""
    place = np.arange(len(tokens.ids)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
    keep = place <= most
    keep[tokens.offsets[1:] - 1] = True
    lengths = np.minimum(tokens.lengths, most + 2)
    return Ragged(tokens.ids[keep], np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))
