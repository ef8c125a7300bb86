"""What a store has measured of a stream recipe, one record per finished trajectory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import duckdb

SETTING = ("model", "policy", "size", "bits", "preset", "scheme_id")
MEANS = (
    "online_accuracy", "final_accuracy", "online_float_accuracy", "final_float_accuracy",
    "online_nll", "final_nll", "backward_transfer", "forgetting", "forward_transfer", "flips",
    "macs", "seconds", "peak_mb", "model_bytes",
)  # fmt: skip
"""Columns of `stream_forgetting` that are averaged over trajectories."""

_WHOLE = f"""
    SELECT trajectory_id, method, subset_update, model_update, model_kind, model_seed, seed, steps,
           {", ".join(SETTING)}, {", ".join(MEANS)}
    FROM stream_forgetting WHERE recipe = ?
    ORDER BY model, policy, size, bits DESC, preset, scheme_id, method, model_seed, seed
"""
_IN_PHASES = """
    SELECT trajectory_id, phase, phase_name, avg(accuracy ORDER BY step)
    FROM stream_results WHERE recipe = ? AND is_current
    GROUP BY trajectory_id, phase, phase_name ORDER BY trajectory_id, phase
"""
_ORDER = """
    SELECT method, min(ordinal) FROM core.stream_state WHERE recipe = ? GROUP BY method ORDER BY 2
"""


@dataclass(frozen=True)
class Setting:
    """Where methods are compared: all but the method, the float model's seed and the draw."""

    model: str
    policy: str
    size: int
    bits: int | None
    preset: str
    scheme_id: str


@dataclass(frozen=True)
class Gone:
    """A trajectory that has gone through all batches.

    values: by the names in ``MEANS``, NULL where not defined. in_phases: accuracy on the phase that
    was current, mean over its batches; phases: their names.
    """

    setting: Setting
    method: str
    subset_update: str
    model_update: str
    model_kind: str
    model_seed: int
    seed: int
    steps: int
    values: dict[str, float | None]
    phases: tuple[str, ...]
    in_phases: tuple[float, ...]

    @property
    def is_frozen(self) -> bool:
        """Whether neither its subset nor its network ever changed."""
        return self.subset_update == self.model_update == "frozen"


@dataclass(frozen=True)
class Streamed:
    """The finished trajectories of a recipe's latest version, and its methods in their order."""

    recipe: str
    methods: tuple[str, ...]
    gone: tuple[Gone, ...]


def read_streamed(con: duckdb.DuckDBPyConnection, recipe: str) -> Streamed:
    """Return what the views say of a stream recipe; empty where they know none of that name."""
    phases: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for trajectory, _, name, accuracy in con.execute(_IN_PHASES, [recipe]).fetchall():
        phases[trajectory].append((name, accuracy))
    gone = []
    found = con.execute(_WHOLE, [recipe])
    names = [str(column[0]) for column in found.description or []]
    for row in found.fetchall():
        of = dict(zip(names, row, strict=True))
        gone.append(
            Gone(
                setting=Setting(*(of[name] for name in SETTING)),
                method=of["method"],
                subset_update=of["subset_update"],
                model_update=of["model_update"],
                model_kind=of["model_kind"],
                model_seed=of["model_seed"],
                seed=of["seed"],
                steps=of["steps"],
                values={name: None if of[name] is None else float(of[name]) for name in MEANS},
                phases=tuple(name for name, _ in phases[of["trajectory_id"]]),
                in_phases=tuple(value for _, value in phases[of["trajectory_id"]]),
            )
        )
    methods = tuple(name for name, _ in con.execute(_ORDER, [recipe]).fetchall())
    return Streamed(recipe, methods, tuple(gone))
