"""What moves that a small sample recommends do on a large one: lessons from simulated drifts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.calibrate import calibrate
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.updating import flip, problems, update_ranges
from calibkit.identity import keyed_generator
from calibkit.quantize.flip_features import Evidence, site_kind
from calibkit.quantize.networks import Arrays
from calibkit.quantize.rounding.flips import greedy_flips
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged
from calibkit.stream.simulated_drifts import SimulatedDrift, Simulator, draw_drift

DRIFTS = 12
"""Simulated drifts that a predictor learns from."""

STARTS = 3
"""Networks, each calibrated on documents of its own, that the drifts meet in turn."""

LARGE = 800
"""Documents that the truth is measured on."""

ROWS = 1024
"""Rows of a layer that a trial keeps; the others of a large vocabulary are alike."""

TAUGHT = 256
"""Rows of a layer that lessons are taken from."""

ROUNDS = 8
"""Moves that each of them makes, one after the other."""

EACH = 3
"""Lessons of a row before each move: so many of its best codes, and as many at random."""


@dataclass(frozen=True)
class Lessons:
    """Codes that a small sample had a view of, and what a large one says.

    features: (n, features) float32; optimum: the small sample's, in steps (n,); wanted: so that
    2 wanted - 1 is what the move gains on the large sample, in units of the stake (n,); weight:
    the stake relative to what the best moves of the layer gain (n,).
    """

    features: Tensor
    optimum: Tensor
    wanted: Tensor
    weight: Tensor

    @classmethod
    def joined(cls, parts: list[Lessons]) -> Lessons:
        """Return all lessons in one."""
        names = ("features", "optimum", "wanted", "weight")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Trial:
    """A deployed network that meets a drift: its layers on a small and on a large sample.

    The large sample has no document of the small one; both are of the same drifted text. Of large
    layers, some rows.
    """

    drift: SimulatedDrift
    small: dict[str, CodeProblem]
    large: dict[str, CodeProblem]


def trials(
    kind: str,
    arrays: Arrays,
    scheme: Scheme,
    simulator: Simulator,
    *,
    size: int,
    seed: int,
    most: float,
    count: int = DRIFTS,
    large: int = LARGE,
) -> Iterator[Trial]:
    """Yield simulated drifts and what they do to the network, as it would be on a device.

    The network was calibrated on ``size`` documents as they were; ranges are those of the small
    sample; every second network has made greedy moves for another small sample before.
    """
    starts = [
        _deployed(kind, arrays, scheme, simulator.tokens, size, seed, start)
        for start in range(min(STARTS, count))
    ]
    for number in range(count):
        generator = keyed_generator(seed, "flip lessons", f"drift {number}")
        drift = draw_drift(generator, simulator.count)
        before, small, rest = simulator.samples(drift, [size, size, large], generator)
        state = starts[number % len(starts)]
        if number % 2:
            earlier = update_ranges(state, arrays, scheme, before)
            state, _ = flip(
                earlier, arrays, scheme, before, lambda _, p: greedy_flips(p, most), most=most
            )
        state = update_ranges(state, arrays, scheme, small)
        yield Trial(
            drift,
            _thinned(problems(state, arrays, scheme, small), seed, number),
            _thinned(problems(state, arrays, scheme, rest), seed, number),
        )


def _thinned(found: dict[str, CodeProblem], seed: int, number: int) -> dict[str, CodeProblem]:
    """Return the layers with at most `ROWS` rows each, the same for every sample."""
    generator = keyed_generator(seed, "flip lessons", f"rows {number}")
    thinned = {}
    for site, problem in found.items():
        order = generator.permutation(len(problem.codes))
        at = torch.from_numpy(np.sort(order[:ROWS]))
        thinned[site] = replace(
            problem,
            weight=problem.weight[at],
            scale=problem.scale[at] if problem.scale.ndim else problem.scale,
            codes=problem.codes[at],
            offset=None if problem.offset is None else problem.offset[at],
        )
    return thinned


def _deployed(
    kind: str, arrays: Arrays, scheme: Scheme, tokens: Ragged, size: int, seed: int, start: int
) -> IntegerState:
    generator = keyed_generator(seed, "flip lessons", f"start {start}")
    subset = tokens.take(generator.permutation(len(tokens))[:size])
    return IntegerState.of(calibrate(kind, arrays, subset, scheme), arrays, scheme)


def lessons(trial: Trial, seed: int, number: int) -> Lessons:
    """Return what there is to learn from a trial, of all its layers.

    Rows move one code after the other as the small sample says, so that lessons are of all the
    situations that an update gets into, the last moves included: what a sample recommends then is
    more often its own accident.
    """
    parts: list[Lessons] = []
    for site, small in trial.small.items():
        generator = keyed_generator(seed, "flip lessons", f"trial {number}", site)
        parts += _of_site(site, small, trial.large[site], generator)
    return Lessons.joined(parts)


def _of_site(
    site: str, small: CodeProblem, large: CodeProblem, generator: np.random.Generator
) -> Iterator[Lessons]:
    evidence = Evidence.of(site_kind(site), small)
    rows, columns = small.codes.shape
    reference = evidence.gain.max(dim=1).values.clamp_min(0).mean().clamp_min(1e-30)
    chosen = torch.from_numpy(np.sort(generator.permutation(rows)[:TAUGHT]))
    evidence, slope = evidence.take(chosen), large.slope[chosen]
    for _ in range(min(ROUNDS, columns)):
        best, found = evidence.gain.topk(min(EACH, columns), dim=1)
        goes = (best[:, 0] > 0).nonzero()[:, 0]
        if not len(goes):
            return
        evidence, slope, best, found = (
            evidence.take(goes),
            slope[goes],
            best[goes],
            found[goes],
        )
        others = torch.from_numpy(generator.integers(0, columns, size=(len(goes), EACH)))
        yield _compared(evidence, slope, large.power, torch.cat([found, others], 1), reference)
        # mostly the best move, now and then the second or third: predictors choose otherwise
        place = torch.from_numpy(generator.choice(found.shape[1], size=len(goes), p=_odds(found)))
        place = torch.where(best.gather(1, place[:, None])[:, 0] > 0, place, 0)
        column = found.gather(1, place[:, None])[:, 0]
        delta = evidence.direction.gather(1, column[:, None]) * evidence.step
        slope = slope + delta * large.gram.quantized[column]
        evidence = evidence.after(column)


def _odds(found: Tensor) -> list[float]:
    others = found.shape[1] - 1
    return [0.7, *[0.3 / others] * others] if others else [1.0]


def _compared(
    evidence: Evidence, slope: Tensor, power: Tensor, columns: Tensor, reference: Tensor
) -> Lessons:
    """Return lessons of some codes of each row. slope, power: on the large sample."""

    def chosen(values: Tensor) -> Tensor:
        return values.expand(slope.shape).gather(1, columns)

    possible = chosen(evidence.open).flatten()
    stake, step, inputs = chosen(evidence.stake), chosen(evidence.step), chosen(evidence.power)
    true = -chosen(evidence.direction) * chosen(slope) / (step * inputs)
    wanted = true - (chosen(power) / inputs - 1) / 2
    return Lessons(
        evidence.features(columns).flatten(0, 1)[possible],
        chosen(evidence.optimum).flatten()[possible].to(torch.float32),
        wanted.flatten()[possible].clamp(-50, 50).to(torch.float32),
        (stake / reference).flatten()[possible].clamp_max(10).to(torch.float32),
    )
