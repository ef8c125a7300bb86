"""A recipe that is right, so that a test can make one thing wrong with it."""

from __future__ import annotations

import pytest

RIGHT = """\
calibkit: 1
name: example
corpus: {name: docs, from: docstrings}
models:
  generative: {epochs: 2}
  fast: {use: discriminative, epochs: 3, seeds: [0, 1]}
policies:
  random: {use: random}
  one-class: {use: skewed, weights: {torch: 1}}
quantize: {preset: brevitas-default}
grid:
  model: [generative, fast]
  policy: [random, one-class]
  size: [128, 256]
  seed: [0, 1]
  bits: [8, 4]
  rounding: [nearest, gpfq]
exclude: []
measure: {noise: {keyboard: [0.05, 0.10]}, distributions: [weights], documents: 500}
claims: []
"""


@pytest.fixture
def right() -> str:
    """The text of a recipe without a mistake."""
    return RIGHT
