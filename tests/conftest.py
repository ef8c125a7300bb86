"""Float models as arrays and documents as token lists, made by hand: no corpus, no training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from calibkit.ragged import Ragged


@dataclass(frozen=True)
class HandMade:
    """A float model: its kind, its arrays by state-dict name, its configuration."""

    kind: str
    arrays: dict[str, np.ndarray]
    config: dict[str, Any]


def hand_made(
    kind: str,
    *,
    seed: int = 0,
    vocabulary: int = 60,
    embedding: int = 12,
    hidden: int = 16,
    labels: int = 3,
    gain: float = 0.4,
) -> HandMade:
    rng = np.random.default_rng(seed)
    arrays = {
        "embedding.weight": rng.normal(size=(vocabulary, embedding)),
        "lstm.weight_ih_l0": rng.normal(size=(4 * hidden, embedding)) * gain,
        "lstm.weight_hh_l0": rng.normal(size=(4 * hidden, hidden)) * gain,
        "lstm.bias_ih_l0": rng.normal(size=4 * hidden) * 0.2,
        "lstm.bias_hh_l0": rng.normal(size=4 * hidden) * 0.2,
    }
    arrays["embedding.weight"][0] = 0.0  # padding
    config = {"kind": kind, "vocabulary": vocabulary, "labels": labels}
    config |= {"embedding": embedding, "hidden": hidden}
    if kind == "discriminative":
        arrays["classifier.weight"] = rng.normal(size=(labels, hidden))
        arrays["classifier.bias"] = rng.normal(size=labels) * 0.1
    else:
        arrays["label_embedding.weight"] = rng.normal(size=(labels, hidden))
        arrays["decoder.weight"] = rng.normal(size=(vocabulary, 2 * hidden)) * 0.2
        arrays["decoder.bias"] = rng.normal(size=vocabulary)
        arrays["log_prior"] = np.log(np.arange(1, labels + 1) / np.arange(1, labels + 1).sum())
        config["label_dim"] = hidden
    return HandMade(kind, {k: v.astype(np.float32) for k, v in arrays.items()}, config)


def wrapped_documents(n: int, *, seed: int = 0, longest: int = 20, vocabulary: int = 60) -> Ragged:
    """n documents <bos> ... <eos> of 0 to ``longest`` words; the first has none."""
    rng = np.random.default_rng(seed)
    sizes = [0, *rng.integers(0, longest + 1, size=n - 1)]
    return Ragged.of([np.r_[2, rng.integers(4, vocabulary, size=k), 3] for k in sizes])


@pytest.fixture(scope="session")
def make_model() -> Callable[..., HandMade]:
    return hand_made


@pytest.fixture(scope="session")
def make_documents() -> Callable[..., Ragged]:
    return wrapped_documents


@pytest.fixture(scope="session", params=["discriminative", "generative"])
def float_classifier(request: pytest.FixtureRequest) -> HandMade:
    """Each of the two classifiers in turn."""
    return hand_made(request.param)


@pytest.fixture(scope="session")
def discriminative_classifier() -> HandMade:
    return hand_made("discriminative")


@pytest.fixture(scope="session")
def generative_classifier() -> HandMade:
    return hand_made("generative")


@pytest.fixture(scope="session")
def wrapped() -> Ragged:
    """60 documents of 2 to 22 tokens."""
    return wrapped_documents(60)


@pytest.fixture(scope="session")
def wrapped_labels(wrapped: Ragged) -> np.ndarray:
    return np.arange(len(wrapped), dtype=np.int64) % 3
