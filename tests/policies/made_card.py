"""A made-up pool for coverage cards: three topics, some near copies, a model with three sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibkit.policies.card import CardDocuments, Reference, SiteReference
from calibkit.policies.mmd import fourier_kernel
from calibkit.quantize.estimators import Histogram
from calibkit.ragged import Ragged

TYPES = 300
SITES = ("input", "lstm.cell", "classifier.input")
CUT = 30


@dataclass(frozen=True)
class MadePool:
    documents: CardDocuments
    reference: Reference
    vectors: np.ndarray
    values: list[np.ndarray]
    """Per site: the values (documents, 40) that the pool's documents have there."""


def made_pool(n: int = 600, seed: int = 0) -> MadePool:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    lengths = rng.integers(2, 50, size=n)
    zipf = 1 / np.arange(1, TYPES + 40)
    words = [rng.choice(len(zipf), size=k, p=zipf / zipf.sum()) + 4 for k in lengths]
    kept = [np.where(w < 4 + TYPES, w, 1)[:CUT] for w in words]  # the rare ones are unknown
    tokens = Ragged.of([np.r_[2, w, 3] for w in kept])
    centres = 2 * rng.standard_normal((3, 8))
    vectors = (centres[labels] + rng.standard_normal((n, 8))).astype(np.float32)
    kernel = fourier_kernel(vectors, np.arange(200), np.random.Generator(np.random.Philox(0)), 128)
    signatures = rng.integers(0, 2**32, size=(n, 64), dtype=np.uint32)
    copies = rng.choice(n, size=n // 20, replace=False)
    signatures[copies[1:]] = signatures[copies[:-1]]  # equal neighbours, two by two
    signatures[copies[1:], :6] = rng.integers(0, 2**32, size=(len(copies) - 1, 6), dtype=np.uint32)
    scale = (1.0 + labels[:, None] + rng.gamma(2.0, 0.4, size=(n, 1))) * lengths[:, None] ** 0.25
    values = [(scale * rng.standard_normal((n, 40))).astype(np.float32) for _ in SITES]
    inputs = rng.standard_normal((n, 5)) * (0.5 + rng.random((n, 1)))
    inputs @= np.linalg.inv(np.linalg.cholesky(inputs.T @ inputs / n)).T
    gram = (inputs[:, :, None] * inputs[:, None, :]).astype(np.float32)
    documents = CardDocuments(
        label_ids=labels.astype(np.int64),
        lengths=lengths.astype(np.int64),
        tokens=tokens,
        features=kernel.steps(vectors),
        signatures=signatures,
        in_test=np.zeros(n, dtype=bool),
        near_test=rng.random(n) < 0.05,
        ranges=np.stack([np.stack([v.min(axis=1), v.max(axis=1)], axis=1) for v in values], axis=1),
        gram=gram,
        inputs=np.ones(n),
    )
    sites = {
        name: SiteReference.of(Histogram.of(v.ravel()))
        for name, v in zip(SITES, values, strict=True)
    }
    reference = Reference.of(
        documents, labels=3, vocabulary_types=TYPES, kernel=kernel, sites=sites
    )
    return MadePool(documents, reference, vectors, values)
