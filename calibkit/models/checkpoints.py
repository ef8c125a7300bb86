"""Networks as plain arrays, and the identity of a model by its content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.errors import BadInput, UnknownName
from calibkit.identity import content_id, sha256_hex
from calibkit.models.networks import Discriminative, Generative, Network
from calibkit.models.settings import KINDS

Arrays = dict[str, NDArray[np.float32]]


def to_arrays(model: Network) -> tuple[Arrays, dict[str, Any]]:
    """Return copies of all weights by name (float32), and the configuration of the network."""
    arrays = {
        name: tensor.detach().to("cpu", copy=True).numpy()
        for name, tensor in model.state_dict().items()
    }
    return arrays, model.config()


def network_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a stored model's configuration that its network is built from."""
    names = ("kind", "vocabulary", "labels", "embedding", "hidden", "label_dim")
    return {name: config[name] for name in names if name in config}


def from_arrays(arrays: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any]) -> Network:
    """Return the network that :func:`to_arrays` took apart: on the CPU, in evaluation mode.

    Raises UnknownName for another kind, BadInput where names or shapes do not fit.
    """
    sizes = dict(config)
    kind = sizes.pop("kind", None)
    if kind not in KINDS:
        raise UnknownName("model kind", str(kind), KINDS)
    network = Discriminative if kind == "discriminative" else Generative
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then overwritten
        model = network(**sizes)
    load_arrays(model, arrays)
    return model.eval()


def load_arrays(model: Network, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Copy arrays into the network in place.

    Raises BadInput where a name is missing or too many, or a shape differs.
    """
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(a.shape) for name, a in arrays.items()}
    if wanted != given:
        wrong = sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))
        raise BadInput(
            f"these arrays are not the weights of this {model.kind} model: "
            + "; ".join(f"{n} is {given.get(n)}, needed {wanted.get(n)}" for n in wrong)
        )
    model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()})


def model_id(arrays: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any]) -> str:
    """Return the content id of a model: equal exactly when all bytes and sizes are equal."""
    tensors = {
        name: [str(a.dtype), list(a.shape), sha256_hex(np.ascontiguousarray(a).tobytes())]
        for name, a in arrays.items()
    }
    return content_id("model", {"config": config, "tensors": tensors})
