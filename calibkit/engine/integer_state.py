"""What a device holds of a calibrated network: integer codes, scales and biases, and no floats.

A state is what updates on a stream pass on from step to step. It gives back the very network it
was taken from, and a network with other codes or ranges as easily.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.errors import BadInput
from calibkit.quantize.installation import install
from calibkit.quantize.networks import (
    QUANTIZED,
    Arrays,
    QuantClassifier,
    activation_impl,
    activation_proxies,
    build,
    gate_modules,
    linear_name,
    set_weight,
    site_weight,
)
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.rounding import round_nearest
from calibkit.quantize.scaling import CodeRange
from calibkit.quantize.schemes import Scheme
from calibkit.quantize.sites import GATES, WEIGHT_SITES

if TYPE_CHECKING:
    from calibkit.engine.calibrate import Calibrated

Codes = Mapping[str, NDArray[np.int8]]

_FLOAT = 4  # bytes of a scale, a threshold or a bias
_ZERO_POINT = 1


@dataclass(frozen=True)
class IntegerState:
    """A calibrated network as numbers.

    codes: of every weight site (rows, columns) int8, a gate's input-to-hidden and hidden-to-hidden
    columns side by side; weight_scales: the steps () or (rows, 1) float32 of the same sites, which
    no update changes; biases: (rows,) float32 of the gates and the linear layer, by site.
    thresholds: of every activation site; zero_points: of those whose range is asymmetric.
    """

    kind: str
    codes: Codes
    weight_scales: Mapping[str, NDArray[np.float32]]
    biases: Mapping[str, NDArray[np.float32]]
    thresholds: Mapping[str, float]
    zero_points: Mapping[str, int]

    @classmethod
    def of(cls, done: Calibrated, arrays: Arrays, scheme: Scheme) -> IntegerState:
        """Take a calibrated network apart; arrays, scheme: what it was calibrated from and by.

        Raises BadInput for a dynamic scheme: it has no ranges that could be updated.
        """
        refuse_dynamic(scheme)
        kind = done.network.kind
        scales = {
            site: weight_scale(done.weight_thresholds[site], scheme.bits_of(site))
            for site in WEIGHT_SITES[kind]
        }
        codes = {
            site: done.site_codes[site].chosen
            if site in done.site_codes
            else _nearest(arrays, site, scales[site], scheme)
            for site in WEIGHT_SITES[kind]
        }
        biases = {site: bias.numpy().copy() for site, bias in bias_tensors(done.network).items()}
        zero_points = {
            site: -int(ranged.low)
            for site, proxy in activation_proxies(done.network).items()
            if isinstance(ranged := activation_impl(proxy).int_quant, CodeRange)
        }
        return cls(kind, codes, scales, biases, dict(done.activation_thresholds), zero_points)

    def network(self, arrays: Arrays, scheme: Scheme) -> QuantClassifier:
        """Return the network that the state stands for, bit for bit the one it was taken from.

        arrays: of the float model, for its shapes and the prior of its labels.
        """
        refuse_dynamic(scheme)
        network = build(self.kind, arrays, QUANTIZED)
        thresholds = {
            site: _threshold(scale, scheme.bits_of(site))
            for site, scale in self.weight_scales.items()
        }
        install(network, scheme, thresholds, self.thresholds, self.zero_points)
        self.write_weights(network)
        return network

    def write_weights(self, network: QuantClassifier, sites: Collection[str] | None = None) -> None:
        """Put codes and biases into a network that has this state's scales already.

        sites: those that may differ from what the network has; all of them when not given.
        """
        for site in self.codes if sites is None else sites:
            codes, scale = self.codes[site], self.weight_scales[site]
            value = torch.from_numpy(codes) * torch.from_numpy(scale)
            if not site.startswith("lstm."):
                set_weight(network, site, value)
                continue
            width = network.embedding.embedding_dim
            set_weight(network, f"{site}.input", value[:, :width])
            set_weight(network, f"{site}.hidden", value[:, width:])
        with torch.no_grad():
            for site, bias in bias_tensors(network).items():
                bias.copy_(torch.from_numpy(self.biases[site]))

    def with_codes(
        self, codes: Codes, biases: Mapping[str, NDArray[np.float32]] | None = None
    ) -> IntegerState:
        """Return the state with other codes, and biases, of the sites that are given."""
        return replace(
            self, codes={**self.codes, **codes}, biases={**self.biases, **(biases or {})}
        )

    def with_ranges(
        self, thresholds: Mapping[str, float], zero_points: Mapping[str, int]
    ) -> IntegerState:
        """Return the state with other ranges of all activation sites."""
        return replace(self, thresholds=dict(thresholds), zero_points=dict(zero_points))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return codes, scales and biases by name, to be stored; `config` has the rest."""
        parts: dict[str, Mapping[str, NDArray[Any]]]
        parts = {"codes": self.codes, "scale": self.weight_scales, "bias": self.biases}
        return {f"{part}/{site}": value for part, of in parts.items() for site, value in of.items()}

    def config(self) -> dict[str, Any]:
        """Return the activations' ranges, JSON-ready."""
        return {"thresholds": dict(self.thresholds), "zero_points": dict(self.zero_points)}

    @classmethod
    def from_tensors(
        cls, kind: str, tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
    ) -> IntegerState:
        """Rebuild a state from `tensors` and `config`."""

        def part(name: str) -> dict[str, NDArray[Any]]:
            head = f"{name}/"
            # a copy: stored tensors may be maps of a file that cannot be written to
            return {
                key.removeprefix(head): np.array(value)
                for key, value in tensors.items()
                if key.startswith(head)
            }

        thresholds = {site: float(value) for site, value in config["thresholds"].items()}
        zero_points = {site: int(value) for site, value in config["zero_points"].items()}
        return cls(kind, part("codes"), part("scale"), part("bias"), thresholds, zero_points)

    def bytes(self, scheme: Scheme) -> int:
        """Return what a device stores: packed codes, and four bytes a scale, range or bias."""
        codes = sum(-(-c.size * scheme.bits_of(site) // 8) for site, c in self.codes.items())
        floats = sum(scale.size for scale in self.weight_scales.values())
        floats += sum(bias.size for bias in self.biases.values()) + len(self.thresholds)
        return codes + _FLOAT * floats + _ZERO_POINT * len(self.zero_points)


def refuse_dynamic(scheme: Scheme) -> None:
    """Raise BadInput for a scheme without ranges of its own."""
    if scheme.dynamic:
        raise BadInput(
            "quantize.dynamic: a dynamic scheme takes its ranges from the text at hand, so there "
            "is nothing to update on a stream; leave it out, or use preset robust"
        )


def bias_tensors(network: QuantClassifier) -> dict[str, Tensor]:
    """Return the network's own biases (rows,) of the gates and the linear layer, by site."""
    found = {f"lstm.weight_{gate}": module.bias for gate, module in gate_modules(network).items()}
    last = linear_name(network.kind)
    return {site: bias.detach() for site, bias in (*found.items(), (last, _layer_bias(network)))}


def float_biases(kind: str, arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """Return the float model's biases by the names that `bias_tensors` gives them."""
    gates = np.split(arrays["lstm.bias_ih_l0"] + arrays["lstm.bias_hh_l0"], len(GATES))
    found = {f"lstm.weight_{gate}": part for gate, part in zip(GATES, gates, strict=True)}
    last = linear_name(kind)
    every = {**found, last: arrays[f"{last}.bias"]}
    return {site: np.asarray(bias, dtype=np.float32) for site, bias in every.items()}


def _layer_bias(network: QuantClassifier) -> Tensor:
    bias: Tensor = getattr(network, linear_name(network.kind)).bias
    return bias


def _nearest(
    arrays: Arrays, site: str, scale: NDArray[np.float32], scheme: Scheme
) -> NDArray[np.int8]:
    weight = torch.from_numpy(site_weight(arrays, site))
    codes = round_nearest(weight, torch.from_numpy(scale), scheme.bits_of(site))
    found: NDArray[np.int8] = codes.numpy().astype(np.int8)
    return found


def _threshold(scale: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Return a threshold whose step is this scale, to the last bit."""
    top = np.float32(2 ** (bits - 1) - 1)
    exact = np.asarray(scale * top, dtype=np.float32)
    for towards in (np.float32(np.inf), np.float32(0)):
        wrong = weight_scale(exact, bits) != scale
        nudged = np.nextafter(np.asarray(scale * top, dtype=np.float32), towards)
        exact = np.where(wrong, nudged, exact).astype(np.float32)
    assert np.array_equal(weight_scale(exact, bits), scale)
    return exact
