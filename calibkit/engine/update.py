"""An update of a quantized network on its way: what its layers read, their codes, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine import cost
from calibkit.engine.float_pass import FloatModel, RememberedStates
from calibkit.engine.gram import gate_gram, linear_gram
from calibkit.engine.integer_state import IntegerState, float_biases, refuse_dynamic
from calibkit.errors import BadInput
from calibkit.quantize.networks import Arrays, QuantClassifier, linear_name, site_weight
from calibkit.quantize.rounding import Gram, bias_shift, round_by
from calibkit.quantize.rounding.problem import CodeProblem
from calibkit.quantize.schemes import Rounding, Scheme
from calibkit.quantize.sites import GATES
from calibkit.ragged import Ragged

Biases = Literal["stay", "follow"]
"""What becomes of a bias that took up the mean error of its layer's outputs in calibration.

It is right for the codes and the text of then (`Scheme.corrects_bias`). stay: it is what it was,
and the codes answer for the whole error that is left with it. follow: it takes up the mean error
again, as in calibration. A device can do that too: a bias is an integer in units of its layer's
input and weight steps, and its shift comes from means that are accumulated anyway. But it is one
more thing that an update changes.
"""

Layer = Literal["gates", "linear"]
LAYERS: tuple[Layer, ...] = ("gates", "linear")
GATE_SITES = tuple(f"lstm.weight_{gate}" for gate in GATES)


@dataclass(frozen=True)
class UpdateReport:
    """What an update did.

    flips: codes that differ from those before, of ``codes`` that could have moved. refused: sites
    that kept their codes because the new ones would have been worse on the subset.
    objective_before, objective_after: mean square error of the layers' outputs on the subset, as a
    share of the float outputs' mean square, mean over sites; each site under the inputs on which
    its codes were chosen. macs: multiply-adds.
    """

    flips: int
    codes: int
    refused: tuple[str, ...]
    objective_before: float
    objective_after: float
    macs: int


@dataclass
class Update:
    """An update on its way: the state so far, its network, and what has been done to it."""

    state: IntegerState
    arrays: Arrays
    scheme: Scheme
    subset: Ragged
    biases: Biases
    network: QuantClassifier
    work: cost.Work
    floats: RememberedStates
    macs: int = 0
    flips: int = 0
    codes: int = 0
    refused: list[str] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        state: IntegerState,
        arrays: Arrays,
        scheme: Scheme,
        subset: Ragged,
        biases: Biases,
        floats: RememberedStates | None = None,
    ) -> Update:
        """Begin with a state; floats: the float model's hidden states, where they are known."""
        check(scheme, subset)
        network = state.network(arrays, scheme)
        work = cost.Work.of(state.kind, arrays, subset)
        known = floats or RememberedStates(FloatModel.of(state.kind, arrays))
        return cls(state, arrays, scheme, subset, biases, network, work, known)

    @property
    def last(self) -> str:
        """The linear layer's site."""
        return linear_name(self.state.kind)

    def sites(self, layer: Layer) -> tuple[str, ...]:
        """Return the weight sites of a layer kind."""
        return GATE_SITES if layer == "gates" else (self.last,)

    def moments(self, layer: Layer) -> Gram:
        """Return the moments of what a layer reads under the present network."""
        shared = self.floats.known and (layer == "gates" or self.scheme.float_pass == "float")
        passes = 1 if shared else 2
        if layer == "gates":
            self.macs += cost.gate_gram_macs(self.work, exact=True, passes=passes)
            return gate_gram(self.network, self.arrays, self.subset, exact=True, floats=self.floats)
        self.macs += cost.linear_gram_macs(self.work, exact=True, passes=passes)
        return linear_gram(
            self.network,
            self.arrays,
            self.subset,
            float_pass=self.scheme.float_pass,
            exact=True,
            floats=self.floats,
        )

    def follows(self, site: str) -> bool:
        """Return whether the site's bias takes up the mean error of the codes that come."""
        layer = "linear" if site == self.last else "gates"
        return self.biases == "follow" and self.scheme.corrects_bias(layer)

    def problem(self, site: str, seen: Gram) -> CodeProblem:
        """Return a site with its present codes."""
        scale = torch.from_numpy(self.state.weight_scales[site])
        weight = torch.from_numpy(site_weight(self.arrays, site))
        codes = torch.from_numpy(self.state.codes[site]).to(torch.float32)
        bits = self.scheme.bits_of(site)
        if self.follows(site):
            return CodeProblem(weight, scale, bits, codes, seen.centred())
        offset = self.state.biases[site].astype(np.float64)
        offset -= float_biases(self.state.kind, self.arrays)[site]
        kept = torch.from_numpy(offset) if offset.any() else None
        return CodeProblem(weight, scale, bits, codes, seen, kept)

    def problems(self, layer: Layer) -> dict[str, CodeProblem]:
        """Return the sites of a layer kind under the present network."""
        seen = self.moments(layer)
        return {site: self.problem(site, seen) for site in self.sites(layer)}

    def rounded(self, problem: CodeProblem, method: Rounding) -> Tensor:
        """Return codes (rows, columns) float32 of a site by a rounding method, from its floats."""
        self.macs += cost.rounding_macs(method, *problem.codes.shape)
        return rounded(problem, method)

    def put(self, codes: Mapping[str, Tensor], seen: Gram) -> None:
        """Give sites other codes, and the biases that go with them."""
        biases: dict[str, NDArray[np.float32]] = {}
        for site, chosen in codes.items():
            if self.follows(site):
                weight = torch.from_numpy(site_weight(self.arrays, site))
                value = chosen * torch.from_numpy(self.state.weight_scales[site])
                exact = torch.from_numpy(float_biases(self.state.kind, self.arrays)[site])
                biases[site] = (exact + bias_shift(weight, value, seen)).to(torch.float32).numpy()
        whole = {site: chosen.numpy().astype(np.int8) for site, chosen in codes.items()}
        self.state = self.state.with_codes(whole, biases)
        self.state.write_weights(self.network, (*codes,))

    def settle(
        self, found: Mapping[str, tuple[CodeProblem, Tensor]], seen: Gram, *, guard: bool
    ) -> None:
        """Give sites their codes for good, or leave them what they had, and book it.

        found: of every site, the problem with the codes that it had, and the new ones.
        """
        kept: dict[str, Tensor] = {}
        for site, (problem, new) in found.items():
            change = float(problem.objective_change(new).sum())
            moves, labels = int((new != problem.codes).sum()), problem.gram.labels
            together = 0 if labels is None else len(labels.quantized)
            self.macs += cost.slope_macs(*new.shape, labels=together)
            self.macs += cost.objective_macs(*new.shape, moves=moves)
            worse = guard and change > 0
            if worse:
                self.refused.append(site)
            kept[site] = problem.codes if worse else new
            self.codes += new.numel()
            self.flips += int((kept[site] != problem.codes).sum())
            power, error = float(problem.output_power.sum()), float(problem.objective.sum())
            self.before.append(error / power)
            self.after.append((error + (0.0 if worse else change)) / power)
        self.put(kept, seen)

    def report(self) -> UpdateReport:
        """Return what has been done."""
        before, after = float(np.mean(self.before)), float(np.mean(self.after))
        refused = tuple(self.refused)
        return UpdateReport(self.flips, self.codes, refused, before, after, self.macs)


def rounded(problem: CodeProblem, method: Rounding) -> Tensor:
    """Return codes (rows, columns) float32 chosen anew from a problem's float weights.

    An offset is what a column of ones, which the quantized side reads as 0, would have to give
    back: it stands first, so that every code answers for it.
    """
    if problem.offset is None:
        return round_by(method, problem.weight, problem.scale, problem.bits, problem.gram)
    quantized, floats = problem.gram.means()
    nothing = torch.zeros_like(quantized)
    gram = Gram(
        _bordered(torch.zeros_like(quantized[:1]), nothing, nothing, problem.gram.quantized),
        _bordered(torch.zeros_like(quantized[:1]), nothing, quantized, problem.gram.mixed),
        torch.cat([nothing[:1], quantized]),
        torch.cat([torch.ones_like(floats[:1]), floats]),
    )
    weight = torch.cat([-problem.offset[:, None].to(torch.float32), problem.weight], dim=1)
    return round_by(method, weight, problem.scale, problem.bits, gram)[:, 1:].contiguous()


def _bordered(corner: Tensor, row: Tensor, column: Tensor, matrix: Tensor) -> Tensor:
    """Return a matrix with one row above it and one column before it."""
    above = torch.cat([corner, row])[None]
    return torch.cat([above, torch.cat([column[:, None], matrix], dim=1)])


def check(scheme: Scheme, subset: Ragged) -> None:
    """Raise BadInput for a subset of no documents and for a scheme without ranges of its own."""
    refuse_dynamic(scheme)
    if not len(subset):
        raise BadInput("the subset is empty; an update needs at least one document")
