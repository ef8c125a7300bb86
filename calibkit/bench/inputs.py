"""Self-made documents and float models: sizes and statistics of real ones, contents of nobody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.ragged import Ragged

TOKENS = 46
"""Mean number of words of a document, as in news headlines with their first sentences."""

MOST_WORDS = 80
SPECIALS = 4
UNKNOWN, BEGIN, END = 1, 2, 3
WIDTH = 100
"""Length of word vectors and hidden states."""


def zipf(words: int) -> NDArray[np.float64]:
    """Return the probabilities of words by rank: proportional to 1 / (rank + 2.7) (Zipf 1935)."""
    weights = 1.0 / (np.arange(1, words + 1) + 2.7)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def documents(count: int, vocabulary: int, *, seed: int = 0) -> Ragged:
    """Return ``count`` documents of 4 to 80 words, 46 on average, each in <bos> ... <eos>."""
    rng = np.random.default_rng([seed, count])
    lengths = np.clip(rng.gamma(9.0, TOKENS / 9.0, size=count).astype(np.int64), 4, MOST_WORDS)
    ranks = rng.choice(
        vocabulary - SPECIALS, size=int(lengths.sum()), p=zipf(vocabulary - SPECIALS)
    )
    words = np.split((ranks + SPECIALS).astype(np.int32), np.cumsum(lengths)[:-1])
    return Ragged.of([np.r_[BEGIN, one, END].astype(np.int32) for one in words])


def with_noise(tokens: Ragged, share: float, *, seed: int = 0) -> Ragged:
    """Return the documents with a share of their words replaced by <unk>."""
    rng = np.random.default_rng([seed, 1])
    hit = (rng.random(len(tokens.ids)) < share) & (tokens.ids >= SPECIALS)
    return Ragged(np.where(hit, UNKNOWN, tokens.ids).astype(np.int32), tokens.offsets)


def label_ids(count: int, labels: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return one label id per document; every label occurs where there are enough documents."""
    rng = np.random.default_rng([seed, 2])
    return rng.permutation(np.arange(count) % labels).astype(np.int64)


@dataclass(frozen=True)
class FloatWeights:
    """A float model: its kind, and its arrays by the names of torch's state dict."""

    kind: str
    arrays: dict[str, NDArray[np.float32]]


def float_weights(
    kind: str, vocabulary: int, labels: int, *, width: int = WIDTH, seed: int = 0
) -> FloatWeights:
    """Return weights drawn with the scales that trained ones have.

    The decoder's bias holds the log frequencies of the words, which is what training ends near.
    """
    rng = np.random.default_rng([seed, 3])

    def drawn(sd: float, *shape: int) -> NDArray[np.float64]:
        return rng.normal(size=shape) * sd

    arrays = {
        "embedding.weight": drawn(0.4, vocabulary, width),
        "lstm.weight_ih_l0": drawn(0.2, 4 * width, width),
        "lstm.weight_hh_l0": drawn(0.15, 4 * width, width),
        "lstm.bias_ih_l0": drawn(0.1, 4 * width),
        "lstm.bias_hh_l0": drawn(0.1, 4 * width),
    }
    arrays["embedding.weight"][0] = 0.0
    if kind == "discriminative":
        arrays["classifier.weight"] = drawn(0.5, labels, width)
        arrays["classifier.bias"] = drawn(0.1, labels)
    else:
        shares = np.concatenate([np.full(SPECIALS, 1e-4), zipf(vocabulary - SPECIALS)])
        arrays["label_embedding.weight"] = drawn(0.7, labels, width)
        arrays["decoder.weight"] = drawn(0.15, vocabulary, 2 * width)
        arrays["decoder.bias"] = np.log(shares) + drawn(0.1, vocabulary)
        arrays["log_prior"] = np.full(labels, -np.log(labels))
    return FloatWeights(kind, {name: a.astype(np.float32) for name, a in arrays.items()})


def texts(count: int, *, types: int = 20_000, seed: int = 0) -> list[str]:
    """Return ``count`` texts of made-up words, with capitals, digits and full stops."""
    rng = np.random.default_rng([seed, 4])
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    sizes = np.clip(rng.poisson(5, size=types), 2, 14)
    spelt = rng.choice(letters, size=int(sizes.sum()), p=zipf(len(letters)))
    words = ["".join(one) for one in np.split(spelt, np.cumsum(sizes)[:-1])]
    words = [w.capitalize() if i % 11 == 0 else str(i) if i % 23 == 0 else w
             for i, w in enumerate(words)]  # fmt: skip
    lengths = np.clip(rng.gamma(9.0, TOKENS / 9.0, size=count).astype(np.int64), 4, MOST_WORDS)
    chosen = rng.choice(types, size=int(lengths.sum()), p=zipf(types))
    return [
        " ".join(words[place] for place in one) + "."
        for one in np.split(chosen, np.cumsum(lengths)[:-1])
    ]
