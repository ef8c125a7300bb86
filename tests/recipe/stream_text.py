"""A recipe of a stream that is right, so that a test can make one thing wrong with it."""

RIGHT = """\
calibkit: 1
name: example
corpus: {name: docs, from: docstrings}
models:
  generative: {epochs: 2}
  fast: {use: discriminative, epochs: 3, seeds: [0, 1]}
policies: {start: {use: stratified}}
quantize: {preset: robust}
stream:
  batch: 8
  hold_out: 20
  phases:
    - {name: as-trained, batches: 2}
    - {name: typos, batches: 1, noise: {keyboard: 0.1}}
    - {name: torches, batches: 2, labels: {torch: 3, numpy: 1}}
    - {name: rare, batches: 1, between: {rarity: [0.5, 1]}}
methods:
  frozen: {subset: frozen, model: frozen}
  gpfq: {subset: reservoir, model: gpfq}
  learned: {subset: reservoir, model: learned-flips, most_flips: 0.01}
grid:
  model: [generative, fast]
  method: [frozen, gpfq, learned]
  policy: [start]
  size: [16]
  seed: [0, 1]
  bits: [4]
"""

PHASES = RIGHT[RIGHT.index("  phases:\n") : RIGHT.index("methods:")]


def instead_of_phases(*lines: str) -> str:
    """The recipe with other lines under ``stream`` in the place of its phases."""
    return RIGHT.replace(PHASES, "".join(f"  {line}\n" for line in lines))
