"""How a deployed network is updated: by its name, and what that took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from calibkit.engine.calibrate import calibrate
from calibkit.engine.cost import (
    Work,
    calibrate_macs,
    fine_tune_macs,
    states_macs,
)
from calibkit.engine.fine_tune import fine_tune
from calibkit.engine.float_pass import FloatModel, RememberedStates
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.updating import UpdateReport, flip, reround, update_ranges
from calibkit.policies import Draw
from calibkit.quantize.networks import Arrays
from calibkit.quantize.rounding.flips import greedy_flips, random_flips
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import Scheme
from calibkit.recipe.streams import MethodChoice
from calibkit.stream.members import Members

if TYPE_CHECKING:
    from calibkit.stream.flip_predictor import FlipPredictor


@dataclass(frozen=True)
class Deployed:
    """What is known where updates are made, the same at every step.

    arrays: of the float model, which stays the one to come near to. predictor: trained before,
    where the method moves codes by one.
    """

    kind: str
    arrays: Arrays
    scheme: Scheme
    method: MethodChoice
    draw: Draw
    predictor: FlipPredictor | None = None

    @property
    def learned(self) -> FlipPredictor:
        """The predictor, which the worker has made sure of."""
        assert self.predictor is not None
        return self.predictor


@dataclass(frozen=True, eq=False)
class Updated:
    """A network after an update, and what that did.

    macs: multiply-adds. report: of the codes that were chosen anew, None where none were. shadow:
    see `calibkit.stream.standing.Standing`.
    """

    state: IntegerState
    macs: int
    report: UpdateReport | None = None
    shadow: IntegerState | None = None


Update = Callable[[Deployed, IntegerState, Members, int, IntegerState | None], Updated]
"""(what is known, network, subset, step, shadow) -> the network after the update."""


def flips_between(before: IntegerState, after: IntegerState) -> tuple[int, int]:
    """Return how many codes differ, and how many there are, of gates and linear layer."""
    sites = [site for site in before.codes if site in before.biases]
    changed = sum(int((before.codes[s] != after.codes[s]).sum()) for s in sites)
    return changed, sum(before.codes[s].size for s in sites)


def _frozen(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    return Updated(state, 0)


def _ranges(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    return Updated(
        update_ranges(state, at.arrays, at.scheme, subset.tokens), _range_macs(at, subset)
    )


def _ranged(
    at: Deployed, state: IntegerState, subset: Members
) -> tuple[IntegerState, int, RememberedStates]:
    """Estimate ranges first, where the method does.

    Returns that, its multiply-adds, and the float model's hidden states, which the pass has.
    """
    floats = RememberedStates(FloatModel.of(at.kind, at.arrays))
    if not at.method.ranges:
        return state, 0, floats
    done = update_ranges(state, at.arrays, at.scheme, subset.tokens, floats=floats)
    return done, _range_macs(at, subset), floats


def _range_macs(at: Deployed, subset: Members) -> int:
    return states_macs(Work.of(at.kind, at.arrays, subset.tokens))


def _gpfq(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    ranged, macs, floats = _ranged(at, state, subset)
    done, report = reround(
        ranged, at.arrays, at.scheme, subset.tokens, layers=at.method.layers, floats=floats
    )
    return Updated(done, macs + report.macs, report)


def _greedy_flips(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    most = at.method.most_flips

    def choose(site: str, problem: CodeProblem) -> Tensor:
        return greedy_flips(problem, most)

    return _flipped(at, state, subset, choose)


def _learned_flips(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    predictor, before = at.learned, at.learned.macs

    def choose(site: str, problem: CodeProblem) -> Tensor:
        return predictor.choose(site, problem, at.method.most_flips)

    done = _flipped(at, state, subset, choose)
    return replace(done, macs=done.macs + predictor.macs - before)


def _random_flips(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    """Move as many codes of each site as learned flips do in their own trajectory, at random.

    That trajectory is followed beside this one, as a shadow, and its multiply-adds are not counted:
    random flips need no statistics. Seconds and memory are of both. They are not guarded, or next
    to none would stay.
    """
    learned = _learned_flips(at, shadow or state, subset, step, None).state
    before = shadow or state
    counts = {site: int((before.codes[site] != c).sum()) for site, c in learned.codes.items()}
    ranged, macs, _ = _ranged(at, state, subset)
    moved = {}
    for site, codes in ranged.codes.items():
        if not counts[site]:
            continue
        top = (1 << (at.scheme.bits_of(site) - 1)) - 1
        generator = at.draw.generator("random flips", str(step), site)
        moved[site] = codes + random_flips(codes, top, counts[site], generator)
    return Updated(ranged.with_codes(moved), macs, None, learned)


def _flipped(
    at: Deployed,
    state: IntegerState,
    subset: Members,
    choose: Callable[[str, CodeProblem], Tensor],
) -> Updated:
    ranged, macs, floats = _ranged(at, state, subset)
    most = at.method.most_flips
    done, report = flip(
        ranged,
        at.arrays,
        at.scheme,
        subset.tokens,
        choose,
        most=most,
        layers=at.method.layers,
        floats=floats,
    )
    return Updated(done, macs + report.macs, report)


def _recalibrate(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    """Calibrate the float model anew on the whole subset, as before the stream."""
    done = calibrate(at.kind, at.arrays, subset.tokens, at.scheme)
    macs = calibrate_macs(Work.of(at.kind, at.arrays, subset.tokens), at.scheme)
    return Updated(IntegerState.of(done, at.arrays, at.scheme), macs)


def _fine_tune(
    at: Deployed, state: IntegerState, subset: Members, step: int, shadow: IntegerState | None
) -> Updated:
    """Train the quantized network on the subset and its labels: what gradients would reach."""
    (seed,) = at.draw.seeds([f"fine-tune {step}"])
    tuned = fine_tune(
        state,
        at.arrays,
        at.scheme,
        subset.tokens,
        subset.labels,
        epochs=at.method.epochs,
        learning_rate=at.method.learning_rate,
        seed=seed,
    )
    work = Work.of(at.kind, at.arrays, subset.tokens)
    return Updated(tuned, fine_tune_macs(work, epochs=at.method.epochs))


UPDATES: Mapping[str, Update] = {
    "frozen": _frozen,
    "ranges": _ranges,
    "gpfq": _gpfq,
    "greedy-flips": _greedy_flips,
    "learned-flips": _learned_flips,
    "random-flips": _random_flips,
    "recalibrate": _recalibrate,
    "fine-tune": _fine_tune,
}
"""Name of a model update -> what it does."""
