"""A small network that says which integer codes to move by one, trained before deployment.

The greedy rule (`calibkit.quantize.rounding.flips`) takes a small subset at its word. The network
has seen, on simulated drifts, what moves that a small sample recommended did on a large one, and
says of each code how far its optimum can be believed: the expected optimum on all of the text is
``trust * optimum on the subset + shift``, and a move is made where that is worth it. Everything
else is as in the greedy rule, so that the difference is what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calibkit.engine.cost import error_macs, predictor_macs
from calibkit.errors import UnknownName
from calibkit.quantize.flip_features import FEATURES, Evidence, site_kind
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.rounding.sequences import Sequences

HIDDEN = (24, 12)
"""Units of the two hidden layers: 590 parameters in all."""

SHORTLIST = 12
"""Codes of a row that the network is asked about before each move: the greedy rule's best."""


class TrustNetwork(nn.Module):
    """Features (n, features) and optima on the subset (n,) -> expected optima on the text (n,).

    asked: how many it has been asked for, ever; prepared: multiply-adds of what it was told, ever.
    Trust lies between 0 and 2, the shift between -1 and 1 steps. Fresh, it is the greedy rule:
    trust 1, shift 0.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(len(FEATURES), HIDDEN[0])
        self.second = nn.Linear(HIDDEN[0], HIDDEN[1])
        self.last = nn.Linear(HIDDEN[1], 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.asked = 0
        self.prepared = 0
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("spread", torch.ones(len(FEATURES)))

    def forward(self, x: Tensor, optimum: Tensor) -> Tensor:
        """Return the expected optima, in steps, of the codes' own directions."""
        self.asked += optimum.numel()
        hidden = torch.relu(self.first((x - self.mean) / self.spread))
        found = self.last(torch.relu(self.second(hidden)))
        return 2 * torch.sigmoid(found[..., 0]) * optimum + torch.tanh(found[..., 1])


@dataclass(frozen=True, eq=False)
class FlipPredictor:
    """A trained network, with the features that it does without.

    strength: how far the network is followed in the gates and in the linear layer, from 0 (the
    greedy rule) to 1; it is measured on drifts that networks did not learn from.
    """

    network: TrustNetwork
    without: tuple[str, ...] = ()
    strength: tuple[float, float] = (1.0, 1.0)

    def choose(self, site: str, problem: CodeProblem, most: float) -> Tensor:
        """Return moves (rows, columns) int8 of -1, 0, 1, of at most a share ``most`` of the codes.

        Round by round, every row makes the move that is expected to lower the objective most, given
        its moves before, the slope updated after each; a code moves once. Merging the rows' moves
        by what they are expected to gain gives the ones that are made. Deterministic. Raises
        ValueError for a problem without the float inputs' second moments.
        """
        found = Sequences.up_to(most, problem.codes)
        if found.budget <= 0:
            return found.moves()
        with torch.inference_mode():
            evidence = Evidence.of(site_kind(site), problem)
            self.network.prepared += error_macs(*problem.codes.shape)
            at = torch.arange(len(problem.codes))
            bound = torch.full((len(at),), torch.inf, dtype=torch.float64)
            while True:
                best, column = self.best(evidence)
                bound = torch.minimum(bound, best)
                kept = (best > 0) & (bound > found.least())
                if not bool(kept.any()):
                    return found.moves()
                at, bound, column = at[kept], bound[kept], column[kept]
                evidence = evidence.take(kept)
                direction = evidence.direction.gather(1, column[:, None])[:, 0]
                found.add(bound, at, column, direction)
                evidence = evidence.after(column)

    def best(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return each row's best move: what it is expected to gain (rows,), and its column (rows,).

        -inf where a row has no move.
        """
        shortlist = min(SHORTLIST, evidence.codes.shape[1])
        by_sample, columns = evidence.gain.topk(shortlist, dim=1)
        expected = optimum = evidence.optimum.gather(1, columns)
        strength = self.strength[evidence.kind == "linear"]
        if strength:
            x = evidence.features(columns) * kept_features(self.without)
            trusted = self.network(x, optimum.to(torch.float32)).to(torch.float64)
            expected = optimum + strength * (trusted - optimum)
        gain = (2 * expected - 1) * evidence.stake.gather(1, columns)
        best, place = gain.masked_fill_(by_sample == -torch.inf, -torch.inf).max(dim=1)
        return best, columns.gather(1, place[:, None])[:, 0]

    @property
    def macs(self) -> int:
        """Multiply-adds of all that the network has been told and asked for so far."""
        asked = predictor_macs(self.network.asked, (len(FEATURES), *HIDDEN, 2))
        return self.network.prepared + asked

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the network's arrays by name, to be stored; ``without`` is stored beside them."""
        arrays = {name: t.numpy().copy() for name, t in self.network.state_dict().items()}
        return arrays | {"strength": np.array(self.strength)}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], without: Sequence[str] = ()
    ) -> FlipPredictor:
        """Rebuild a predictor from `tensors`."""
        network = fresh(torch.Generator().manual_seed(0))
        arrays = {name: torch.from_numpy(np.array(t)) for name, t in tensors.items()}
        gates, linear = arrays.pop("strength").tolist()
        network.load_state_dict(arrays)
        return cls(network.requires_grad_(False), tuple(without), (gates, linear))  # noqa: FBT003


def fresh(generator: torch.Generator) -> TrustNetwork:
    """Return an untrained network, its weights drawn from ``generator`` alone."""
    with torch.random.fork_rng(devices=[]):  # torch draws weights of its own, overwritten here
        network = TrustNetwork()
    with torch.no_grad():
        for layer in (network.first, network.second):
            bound = layer.in_features**-0.5
            for tensor in (layer.weight, layer.bias):
                tensor.uniform_(-bound, bound, generator=generator)
    return network


def kept_features(without: Sequence[str]) -> Tensor:
    """Return 1 for features that are used and 0 for those that are not: (features,) float32.

    Raises UnknownName for a feature that there is not.
    """
    for name in without:
        if name not in FEATURES:
            raise UnknownName("feature", name, FEATURES)
    return torch.tensor([float(name not in without) for name in FEATURES])
