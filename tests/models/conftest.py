from dataclasses import dataclass

import numpy as np
import pytest

from calibkit.models.networks import Discriminative, Generative
from calibkit.models.settings import settings_from
from calibkit.models.training import Trained, train
from calibkit.ragged import Ragged

VOCABULARY, LABELS = 40, 3


@dataclass(frozen=True)
class Sample:
    tokens: Ragged
    labels: np.ndarray


def written(documents: int, seed: int) -> Sample:
    """Documents of 1 to 15 words; every label prefers words of its own third of the types."""
    rng = np.random.default_rng(seed)
    labels = np.arange(documents) % LABELS
    sequences = []
    for label in labels:
        own = rng.integers(4 + 12 * label, 16 + 12 * label, size=rng.integers(1, 16))
        words = np.where(rng.random(len(own)) < 0.7, own, rng.integers(4, VOCABULARY, len(own)))
        sequences.append([2, *words.tolist(), 3])
    return Sample(Ragged.of(sequences), labels)


@pytest.fixture(scope="session")
def training() -> Sample:
    return written(240, 0)


@pytest.fixture(scope="session")
def validation() -> Sample:
    return written(60, 1)


@pytest.fixture(params=["discriminative", "generative"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def model(kind):
    """An untrained network with weights large enough to tell labels and words apart."""
    import torch

    network = Discriminative if kind == "discriminative" else Generative
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        return network(VOCABULARY, LABELS, embedding=8, hidden=12).eval()


@pytest.fixture(scope="session")
def learn(training, validation):
    """Train a small model; keyword arguments override settings."""

    def run(kind: str, *, seed: int = 0, progress=None, **values) -> Trained:
        chosen = {"epochs": 3, "hidden": 12, "embedding": 8, "learning_rate": 0.02, "batch": 16}
        return train(
            settings_from(kind, chosen | values),
            training.tokens,
            training.labels,
            validation.tokens,
            validation.labels,
            LABELS,
            VOCABULARY,
            seed,
            progress=progress,
        )

    return run
