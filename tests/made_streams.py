"""Made-up trajectories of a stream recipe: rows as a run leaves them, numbers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calibkit.store import Store, insert

WHEN = datetime(2026, 1, 2, 3, 4, 5)
PHASES = (("calm", 1), ("typos", 2), ("rare", 1))
UPDATES = {
    "frozen": ("frozen", "frozen"),
    "gpfq": ("reservoir", "gpfq"),
    "flips": ("reservoir", "greedy-flips"),
    "recalibrated": ("everything", "recalibrate"),
}
MACS = {"frozen": 0, "gpfq": 40, "flips": 10, "recalibrated": 400}
"""Of the model, at each step."""


@dataclass(frozen=True)
class Trajectory:
    """One planned trajectory: what tells it from others."""

    method: str = "frozen"
    seed: int = 0
    model: str = "discriminative"
    model_seed: int = 0
    size: int = 64
    bits: int = 4
    preset: str = "robust"

    @property
    def id(self) -> str:  # noqa: A003 - what it is
        return (
            f"j1-{self.model}.{self.model_seed}.{self.method}.{self.size}.{self.bits}"
            f".{self.preset}.{self.seed}"
        )


Accuracy = Callable[[Trajectory, int, int], float]
"""Trajectory, step, phase -> accuracy."""


def phase_of(step: int, phases: Sequence[tuple[str, int]] = PHASES) -> int | None:
    """Return the phase of a step's batch; None for step 0."""
    ends = 0
    for phase, (_, batches) in enumerate(phases):
        ends += batches
        if 0 < step <= ends:
            return phase
    return None


def trajectories(
    *,
    methods: Sequence[str] = tuple(UPDATES),
    seeds: int = 6,
    models: Sequence[tuple[str, int]] = (("discriminative", 0),),
) -> list[Trajectory]:
    """Return every method under every float model and seed."""
    return [
        Trajectory(method, seed, model, model_seed)
        for seed in range(seeds)
        for model, model_seed in models
        for method in methods
    ]


def make_streams(
    store: Store,
    planned: Sequence[Trajectory],
    accuracy: Accuracy,
    *,
    phases: Sequence[tuple[str, int]] = PHASES,
    steps_done: Callable[[Trajectory], int | None] = lambda one: None,
    recipe: str = "stream-made",
    version: str = "y1-stream",
    text: str = "name: stream-made\n",
    started: datetime = WHEN,
) -> None:
    """Plan trajectories and go through them as far as ``steps_done`` says (None: to the end).

    Step s of a trajectory takes s + .25 seconds and s * 100 MB; one document comes and one goes.
    """
    tables: dict[str, list[dict[str, Any]]] = {
        "runs": [dict(run_id=f"n1-{version}", recipe=recipe, recipe_id=version, recipe_text=text,
                      started_at=started, command="calibkit stream made.yaml", workers=2,
                      git_commit="abc", git_dirty=False, host="here", versions={"python": "3"})],
        "stream_phases": [
            dict(stream_id=f"v1-{version}", phase=phase, name=name, batches=batches,
                 noise_kind="keyboard" if name == "typos" else "none",
                 noise=0.1 if name == "typos" else 0.0, documents=16,
                 labels='{"World": 1, "Sports": 3}' if name == "typos" else None)
            for phase, (name, batches) in enumerate(phases)
        ],
        "stream_trajectories": [],
        "stream_steps": [],
        "stream_evaluations": [],
        "stream_documents": [],
    }  # fmt: skip
    steps = sum(batches for _, batches in phases)
    for ordinal, one in enumerate(planned):
        tables["stream_trajectories"].append(_planned(one, ordinal, recipe, version))
        wanted = steps_done(one)
        last = steps if wanted is None else wanted
        for step in range(last + 1):
            tables["stream_steps"].append(_step(one, step, phase_of(step, phases), version))
            tables["stream_documents"] += _documents(one, step, phase_of(step, phases))
            for phase in range(len(phases)):
                score = accuracy(one, step, phase)
                tables["stream_evaluations"].append(
                    dict(trajectory_id=one.id, step=step, phase=phase, documents=40,
                         accuracy=score, macro_f1=score - 0.01, worst_label_accuracy=score / 2,
                         nll=1 - score, mean_abs_h=0.2, flags="", float_accuracy=0.9,
                         float_nll=0.1)
                )  # fmt: skip
    with store.writing() as con:
        for table, rows in tables.items():
            insert(con, table, rows)


def _planned(one: Trajectory, ordinal: int, recipe: str, version: str) -> dict[str, Any]:
    subset_update, model_update = UPDATES[one.method]
    return dict(
        recipe_id=version, trajectory_id=one.id, stream_id=f"v1-{version}", recipe=recipe,
        ordinal=ordinal, corpus="news", model=one.model, model_kind=one.model,
        model_seed=one.model_seed, method=one.method, subset_update=subset_update,
        model_update=model_update, params={}, policy="start", policy_kind="stratified",
        size=one.size, seed=one.seed, bits=one.bits, preset=one.preset,
        scheme_id=f"q1-{one.preset}-{one.bits}",
    )  # fmt: skip


def _step(one: Trajectory, step: int, phase: int | None, version: str) -> dict[str, Any]:
    moves = one.method != "frozen"
    first = f"s1-{one.size}-{one.seed}"
    subset = [first if not (moves and at) else f"{first}-{one.method}-{at}" for at in range(9)]
    return dict(
        trajectory_id=one.id, step=step, phase=phase, documents=16 if step else None,
        subset_id=subset[step], parent_subset_id=subset[step - 1] if step else None,
        subset_documents=one.size, came=int(moves and step > 0), gone=int(moves and step > 0),
        flips=3 * step if one.method == "flips" else 0, flip_share=0.0, refused="",
        macs_subset=2 if moves and step else 0, macs_model=MACS[one.method] if step else 1000,
        seconds_subset=0.25, seconds_model=float(step), peak_mb=100.0 * step, model_bytes=5000,
        model_id=f"m1-{one.model}-{one.model_seed}", run_id=f"n1-{version}", host="here",
        measured_at=WHEN,
    )  # fmt: skip


def _documents(one: Trajectory, step: int, phase: int | None) -> list[dict[str, Any]]:
    """At step 0, two documents come; at each later one, if the subset moves, the oldest goes."""
    me = dict(trajectory_id=one.id, step=step, corpus_id="c1-news", label="World")
    if step == 0:
        return [dict(me, doc_id=f"d{n}", event="came", misses=n) for n in (0, 1)]
    if one.method == "frozen":
        return []
    return [
        dict(me, doc_id=f"d{step + 1}", event="came", phase=phase, misses=step),
        dict(me, doc_id=f"d{step - 1}", event="left", misses=step + 10),
    ]
