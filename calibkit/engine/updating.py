"""Updates of a quantized network on a stream, without gradients: its ranges, then its codes.

What never changes are the steps of the weights, and the biases unless asked (`Biases`). Each update
looks at a subset with the float model as the reference: of the activations' ranges, or of the
outputs of the layers, ||W X - W_q X_q||^2, gates first and then the linear layer, which reads the
states of the new gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from calibkit.engine import cost
from calibkit.engine.calibrate import chosen_ranges
from calibkit.engine.correction import PASSES
from calibkit.engine.float_pass import RememberedStates
from calibkit.engine.integer_state import IntegerState
from calibkit.engine.update import (
    GATE_SITES,
    LAYERS,
    Biases,
    Layer,
    Update,
    UpdateReport,
    check,
)
from calibkit.quantize.networks import Arrays
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.rounding.sequences import allowed
from calibkit.quantize.schemes import Rounding, Scheme
from calibkit.ragged import Ragged

__all__ = [
    "Chooser",
    "Layer",
    "UpdateReport",
    "flip",
    "moved",
    "problems",
    "reround",
    "update_ranges",
]

Chooser = Callable[[str, CodeProblem], Tensor]
"""Returns moves (rows, columns) of -1, 0, 1 for the codes of a weight site."""


def update_ranges(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    subset: Ragged,
    *,
    floats: RememberedStates | None = None,
) -> IntegerState:
    """Return the state with the activation ranges that calibration on ``subset`` would find.

    The float model's, so that they do not depend on the codes. floats: keeps its hidden states for
    what is updated next. Raises BadInput for an empty subset and for a dynamic scheme.
    """
    check(scheme, subset)
    with torch.inference_mode():
        thresholds, zero_points = chosen_ranges(state.kind, arrays, subset, scheme, floats=floats)
    return state.with_ranges(thresholds, zero_points)


def problems(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    tokens: Ragged,
    *,
    biases: Biases = "stay",
) -> dict[str, CodeProblem]:
    """Return all gates and the linear layer with their inputs under the present network, by site.

    tokens: what the moments are taken over. Raises BadInput as `update_ranges` does.
    """
    update = Update.of(state, arrays, scheme, tokens, biases)
    with torch.inference_mode():
        return {**update.problems("gates"), **update.problems("linear")}


def reround(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    subset: Ragged,
    *,
    method: Rounding = "gpfq",
    guard: bool = True,
    biases: Biases = "stay",
    layers: Sequence[Layer] = LAYERS,
    floats: RememberedStates | None = None,
) -> tuple[IntegerState, UpdateReport]:
    """Round gates and linear layer anew, from the float weights, on the inputs of ``subset``.

    The gates `PASSES` times, each time under the states of the codes before, as in calibration.
    guard: a site whose new codes are worse on its inputs than its old ones keeps the old ones.
    layers: which kinds; those left out keep their codes. floats: the float model's hidden states on
    the subset, where they are known. Raises BadInput as `update_ranges` does.
    """
    update = Update.of(state, arrays, scheme, subset, biases, floats)
    with torch.inference_mode():
        if "gates" in layers:
            _reround_gates(update, method, guard=guard)
        if "linear" in layers:
            seen = update.moments("linear")
            problem = update.problem(update.last, seen)
            found = {update.last: (problem, update.rounded(problem, method))}
            update.settle(found, seen, guard=guard)
    return update.state, update.report()


def _reround_gates(update: Update, method: Rounding, *, guard: bool) -> None:
    before, seen = update.state, update.moments("gates")
    for turn in range(PASSES):
        posed = {site: update.problem(site, seen) for site in GATE_SITES}
        codes = {site: update.rounded(problem, method) for site, problem in posed.items()}
        if turn < PASSES - 1:
            update.put(codes, seen)
            seen = seen.halfway(update.moments("gates"))
    update.state = before  # whose codes the new ones are compared with
    found = {site: (update.problem(site, seen), new) for site, new in codes.items()}
    update.settle(found, seen, guard=guard)


def flip(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    subset: Ragged,
    choose: Chooser,
    *,
    most: float,
    guard: bool = True,
    biases: Biases = "stay",
    layers: Sequence[Layer] = LAYERS,
    floats: RememberedStates | None = None,
) -> tuple[IntegerState, UpdateReport]:
    """Move codes of gates and linear layer by one where ``choose`` says so.

    most: the largest share of a site's codes that may move; what would leave the range does not
    move. guard: a site that the moves would make worse on the subset keeps its codes.
    layers, floats: as in `reround`; gates come first, in whatever order they are named. Raises
    BadInput as `update_ranges` does, ValueError for moves that break the rules.
    """
    update = Update.of(state, arrays, scheme, subset, biases, floats)
    with torch.inference_mode():
        for layer in (one for one in LAYERS if one in layers):
            seen, found = update.moments(layer), {}
            for site in update.sites(layer):
                problem = update.problem(site, seen)
                new = moved(site, problem, choose(site, problem), most)
                found[site] = (problem, new)
                count = int((new != problem.codes).sum())
                update.macs += cost.moves_macs(count, new.shape[1])
            update.settle(found, seen, guard=guard)
    return update.state, update.report()


def moved(site: str, problem: CodeProblem, moves: Tensor, most: float) -> Tensor:
    """Return the codes after these moves, kept in range.

    Raises ValueError for moves of another shape, by more than one, or of too many codes.
    """
    if moves.shape != problem.codes.shape:
        raise ValueError(f"{site}: moves {tuple(moves.shape)}, codes {tuple(problem.codes.shape)}")
    if int(moves.abs().max()) > 1:
        raise ValueError(
            f"{site}: an update moves a code by at most 1, not {int(moves.abs().max())}"
        )
    count, limit = int(moves.count_nonzero()), allowed(most, moves)
    if count > limit:
        raise ValueError(f"{site}: {count} moves; a share of {most:g} is {limit} codes")
    return (problem.codes + moves).clamp_(-problem.top, problem.top)
