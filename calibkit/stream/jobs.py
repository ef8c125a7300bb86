"""What a worker is asked to do for a stream: plain values that travel. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calibkit.identity import content_id
from calibkit.recipe.streams import MethodChoice
from calibkit.sweep.jobs import Engine, ModelRef, Places


@dataclass(frozen=True)
class Arrival:
    """A batch: the phase that it comes in, and the artefact of its tokens, labels and ids."""

    phase: int
    tokens: str
    corpus_id: str


@dataclass(frozen=True)
class Start:
    """The first calibration subset: its id, its documents, and the artefact of their tokens."""

    subset_id: str
    doc_ids: tuple[str, ...]
    tokens: str


@dataclass(frozen=True)
class TrajectoryJob:
    """Take one deployed network through all batches by one method, and measure it after each.

    hold_outs: artefacts of the documents that each phase is measured on. train_tokens: those that
    the float model was trained on, from which drifts are simulated. seed: of the draw. anew: the
    store has lost steps that it had, so that neither their fragments nor where the trajectory
    stands count.
    """

    places: Places
    trajectory_id: str
    model: ModelRef
    corpus_id: str
    labels: tuple[str, ...]
    scheme: Mapping[str, Any]
    method: MethodChoice
    size: int
    seed: int
    start: Start
    batches: tuple[Arrival, ...]
    hold_outs: tuple[str, ...]
    train_tokens: str
    engine: Engine
    run_id: str
    host: str
    anew: bool = False


@dataclass(frozen=True)
class PredictorJob:
    """Train the flip predictor that trajectories of one model and scheme share."""

    places: Places
    model: ModelRef
    scheme: Mapping[str, Any]
    train_tokens: str
    size: int
    without: tuple[str, ...]
    most_flips: float


def step_fragment(trajectory_id: str, step: int) -> str:
    """Return the name of the fragment that a step writes."""
    return content_id("fragment", [trajectory_id, "step", step])


StreamJob = TrajectoryJob | PredictorJob
