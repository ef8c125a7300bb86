"""Where a trajectory stands: what the device would hold after a step, kept to go on from there.

One file per trajectory, replaced whole after each step and gone after the last one. It is a
convenience: without it, or with a damaged one, the trajectory is followed from its start again and
comes to the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from calibkit.engine.integer_state import IntegerState
from calibkit.ragged import Ragged
from calibkit.store.files import disk_told, safe_name, write_whole
from calibkit.stream.members import Members
from calibkit.sweep.jobs import Places

log = logging.getLogger(__name__)

_DIGEST = 32


@dataclass(frozen=True, eq=False)
class Standing:
    """A trajectory after a step.

    state: the deployed network's integers. subset: the calibration documents. subset_id: theirs.
    shadow: the network that learned flips would have made of it, where flips of their number are
    made at random.
    """

    step: int
    state: IntegerState
    subset: Members
    subset_id: str
    shadow: IntegerState | None = None


def keep(places: Places, trajectory_id: str, standing: Standing) -> None:
    """Write where the trajectory stands, whole or not at all."""
    tensors: dict[str, NDArray[Any]] = {
        f"state/{name}": value for name, value in standing.state.tensors().items()
    }
    config: dict[str, Any] = {
        "step": standing.step,
        "subset_id": standing.subset_id,
        "doc_ids": list(standing.subset.doc_ids),
        "state": standing.state.config(),
    }
    if standing.shadow is not None:
        tensors |= {f"shadow/{name}": v for name, v in standing.shadow.tensors().items()}
        config["shadow"] = standing.shadow.config()
    members = standing.subset
    tensors |= {
        "subset/ids": members.tokens.ids,
        "subset/offsets": members.tokens.offsets,
        "subset/labels": members.labels,
        "subset/phases": members.phases,
        "subset/misses": members.misses,
        "subset/right": members.right,
    }
    tensors["config"] = np.frombuffer(json.dumps(config).encode(), dtype=np.uint8)
    data = save_tensors({name: np.ascontiguousarray(t) for name, t in tensors.items()})
    path = _path(places, trajectory_id)
    with disk_told(f"keep where the trajectory {trajectory_id} stands"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, hashlib.sha256(data).digest() + data)


def resumed(places: Places, trajectory_id: str, kind: str) -> Standing | None:
    """Return where the trajectory stands; None where nothing whole was kept."""
    path = _path(places, trajectory_id)
    with disk_told(f"read where the trajectory {trajectory_id} stands"):
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
    digest, data = raw[:_DIGEST], raw[_DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        log.warning("%s is damaged; the trajectory is followed from its start again", path)
        return None
    tensors = load_tensors(data)
    config = json.loads(tensors.pop("config").tobytes())
    parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "shadow": {}, "subset": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = value
    of = parts["subset"]
    subset = Members(
        tuple(config["doc_ids"]),
        Ragged(of["ids"], of["offsets"]),
        of["labels"],
        of["phases"],
        of["misses"],
        of["right"],
    )
    shadow = None
    if "shadow" in config:
        shadow = IntegerState.from_tensors(kind, parts["shadow"], config["shadow"])
    state = IntegerState.from_tensors(kind, parts["state"], config["state"])
    return Standing(int(config["step"]), state, subset, str(config["subset_id"]), shadow)


def forget(places: Places, trajectory_id: str) -> None:
    """Remove what is kept of a trajectory that has come to its end."""
    with disk_told(f"forget where the trajectory {trajectory_id} stood"):
        _path(places, trajectory_id).unlink(missing_ok=True)


def _path(places: Places, trajectory_id: str) -> Path:
    folder = places.fragments.parent / "streams"
    return folder / f"{safe_name('trajectory', trajectory_id)}.safetensors"
