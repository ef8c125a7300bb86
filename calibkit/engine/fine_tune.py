"""Back-propagation through the quantized network: what an update with gradients could reach.

A reference, not something for a device: it needs labels, float weights behind the codes, and the
memory and time of training.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.batches import make_batch
from calibkit.engine.integer_state import IntegerState, refuse_dynamic
from calibkit.engine.straight_through import StraightThrough
from calibkit.errors import BadInput
from calibkit.quantize.networks import Arrays
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged

BATCH = 16
"""Documents a step: a subset of 64 is four steps an epoch."""

CLIP = 1.0
"""The largest norm of a gradient, as in the training of the float models."""


def fine_tune(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    tokens: Ragged,
    labels: NDArray[np.int64],
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> IntegerState:
    """Return the state after training on labelled documents, all scales frozen.

    Codes of all weight sites and biases are trained by Adam, on float weights that stand behind
    the codes (`StraightThrough`). The loss is the float model's: cross-entropy of the true label,
    or of the true label's tokens. The order of the documents comes from the seed and not from the
    order in which they are given. Raises BadInput for no documents and for a dynamic scheme.
    """
    refuse_dynamic(scheme)
    if not len(tokens):
        raise BadInput("the subset is empty; fine-tuning needs at least one document")
    generative = state.kind == "generative"
    order, draw = _order(tokens, labels), np.random.default_rng(seed)
    with torch.inference_mode(mode=False), torch.enable_grad():
        truth = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        network = StraightThrough(state, arrays, scheme)
        parameters = network.parameters()
        adam = torch.optim.Adam(parameters, lr=learning_rate)
        for _ in range(epochs):
            shuffled = draw.permutation(len(order))
            for start in range(0, len(order), BATCH):
                rows = order[np.sort(shuffled[start : start + BATCH])]  # longest first
                one = make_batch(tokens, rows, drop_last=generative)
                adam.zero_grad(set_to_none=True)
                network.loss(one, tokens, truth).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, CLIP)
                adam.step()
        codes = {site: network.codes(site).numpy() for site in state.codes}
        biases = {site: bias.detach().numpy().copy() for site, bias in network.biases.items()}
    return state.with_codes(codes, biases)


def _order(tokens: Ragged, labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the rows longest first, then by content and label: the same for every shuffle."""
    keys = [
        (-len(tokens[row]), tokens[row].tobytes(), int(labels[row])) for row in range(len(tokens))
    ]
    return np.array(sorted(range(len(tokens)), key=keys.__getitem__), dtype=np.intp)
