"""Schemes: everything that decides how a float network becomes an integer one. No torch here.

A recipe's ``quantize:`` mapping is validated as `SchemeSettings`; together with a preset and the
axes of ``grid:`` it resolves to a `Scheme`, which is what a cell is measured under.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calibkit.errors import BadInput
from calibkit.identity import content_id
from calibkit.quantize.contradictions import (
    CALIBRATED,
    Problem,
    contradictions,
    useless_under_dynamic,
    useless_under_peer,
)
from calibkit.quantize.presets import (
    DEFAULT_OBSERVER_BATCH,
    DEFAULT_PERCENTILE,
    PEER_BITS,
    PRESETS,
    Preset,
    Quantizer,
)
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES

Bits = Annotated[int, Field(ge=2, le=8)]
Estimator = Literal["percentile", "minmax", "mse", "output-mse", "kl"]
Rounding = Literal["nearest", "gpfq", "gptq", "qronos", "least-squares", "distill"]
Observer = Literal["calibkit", "brevitas"]
Granularity = Literal["per-tensor", "per-channel"]
Arithmetic = Literal["float-torch", "float-native", "integer"]
FloatPass = Literal["float", "brevitas"]

ROUNDINGS: dict[str, tuple[Rounding, ...]] = {
    "linear": ("nearest", "gpfq", "gptq", "qronos", "least-squares", "distill"),
    "gates": ("nearest", "gpfq", "gptq", "qronos", "least-squares", "distill"),
    "embedding": ("nearest", "distill"),
}
"""Layer kind -> how its weights may be rounded."""

READ_FLOAT_INPUTS: tuple[Rounding, ...] = ("gpfq", "qronos", "least-squares")
"""Roundings that compare a layer's inputs with those of the float network."""


class SchemeSettings(BaseModel):
    """What ``quantize:`` may say. Every key but ``preset`` overrides the preset.

    A mapping by site pattern or by layer kind overrides what it names; the rest stays the preset's.
    A preset that is another tool's quantizer takes no other key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    preset: Preset = "brevitas-default"
    bits: dict[str, Bits] | None = None
    """Bit width by site pattern (shell wildcards); sites that match none take the grid's bits."""
    weights: Granularity | None = None
    observer: Observer | None = None
    observer_batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Documents per calibration batch; it changes results only under ``observer: brevitas``."""
    ranges: dict[str, Estimator] | Estimator | None = None
    """Range estimator of the activations, one for all or by site pattern."""
    weight_ranges: Literal["minmax", "mse"] | None = None
    """Range estimator of the weights; the calibration documents have no part in it."""
    percentile: Annotated[float, Field(gt=50, le=100)] | None = None
    symmetric: bool | None = None
    """false: activations of both signs have codes 0 .. 2^b - 1 around an integer zero point, so
    that their range has two ends of its own."""
    separate_io: bool | None = None
    """Own scales for the LSTM's input and hidden state: the input keeps the grid of ``input``, and
    ``lstm.io`` is the hidden state's alone."""
    separate_hv: bool | None = None
    """Own scales for h and v in the generative decoder: v keeps the grid of the label embedding,
    and ``decoder.input`` is h's alone."""
    dynamic: bool | None = None
    """Every row of activations (one document, one step, one site) is quantized over its own range,
    at the moment of use; no calibration documents. A reference for the others."""
    rounding: dict[Literal["linear", "gates", "embedding"], Rounding] | Rounding | None = None
    """nearest; gpfq, gptq, qronos, least-squares: codes that keep the layer's outputs on the
    calibration documents; distill: all codes and biases, trained together to keep the network's
    outputs. One word means ``linear``, and distill there means every layer."""
    bias_correction: bool | None = None
    """Biases of the gates and of the linear layer take up the mean error of its outputs."""
    float_pass: FloatPass | None = None
    """brevitas: the float inputs that ``linear`` rounding compares with are those of Brevitas
    0.13.4, which leaves the LSTM's activations quantized in its float pass. Only there for
    fidelity; no effect on a rounding that reads no float inputs."""
    cell_guard: bool | None = None
    """Cap the range of ``lstm.cell`` where its step would be so wide that the LSTM goes dead."""
    arithmetic: Arithmetic | None = None
    """float-torch: Brevitas's numbers. float-native: these, but for the last digits of likelihoods.
    integer: whole numbers alone, the same on every machine."""


@dataclass(frozen=True)
class Scheme:
    """A fully resolved quantization scheme; equal schemes have equal ids.

    ``bits`` is the nominal width; ``site_bits`` and ``ranges`` are (pattern, value) pairs of which
    the first that matches a site decides.
    """

    bits: int
    site_bits: tuple[tuple[str, int], ...]
    weights: Granularity
    observer: Observer
    observer_batch: int
    ranges: tuple[tuple[str, Estimator], ...]
    weight_ranges: Literal["minmax", "mse"]
    percentile: float
    symmetric: bool
    separate_io: bool
    separate_hv: bool
    dynamic: bool
    rounding: tuple[tuple[str, Rounding], ...]
    bias_correction: bool
    cell_guard: bool
    arithmetic: Arithmetic
    float_pass: FloatPass = "float"
    quantizer: Quantizer = "calibkit"
    """Whose quantizer it is. Of another tool's, `calibkit.onnx.quantized` says what it does; every
    field but ``bits`` is then as usual and says nothing."""

    @property
    def by_peer(self) -> bool:
        """Whether another tool quantizes: a network without calibkit's sites, codes and ranges."""
        return self.quantizer != "calibkit"

    @property
    def reads_documents(self) -> bool:
        """Whether a number can depend on the calibration documents."""
        return not self.dynamic and self.quantizer != "onnx-dynamic"

    def quantities(self, asked: Iterable[str]) -> tuple[str, ...]:
        """Return those of the distributions asked for that its networks have.

        Another tool's network has no activation quantizers under calibkit's names.
        """
        return tuple(one for one in asked if not (self.by_peer and one == "activations"))

    @property
    def id(self) -> str:
        """Content id of the scheme; the preset it came from is not part of it."""
        return content_id("scheme", self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the scheme as JSON-ready values; `scheme_from_dict` is the inverse.

        Of another tool's quantizer, only what it is: a setting that it does not have is not told.
        """
        if self.by_peer:
            return {"quantizer": self.quantizer, "bits": self.bits}
        plain = asdict(self)
        for key in ("site_bits", "ranges", "rounding"):
            plain[key] = [list(pair) for pair in plain[key]]
        if self.observer == "calibkit":
            plain["observer_batch"] = 0  # no number depends on it
        if all(estimator != "percentile" for _, estimator in self.ranges):
            plain["percentile"] = 0
        if self.float_pass == "float":
            del plain["float_pass"]  # a scheme keeps the id it had before there was a choice
        del plain["quantizer"]  # likewise
        return plain

    def bits_of(self, site: str) -> int:
        """Return the bit width of a weight or activation site."""
        return next((b for p, b in self.site_bits if fnmatchcase(site, p)), self.bits)

    def estimator_of(self, site: str) -> Estimator:
        """Return the range estimator of an activation site."""
        return next(e for p, e in self.ranges if fnmatchcase(site, p))

    def rounding_of(self, layer_kind: str) -> Rounding:
        """Return the rounding of a layer kind: linear, gates or embedding."""
        return dict(self.rounding)[layer_kind]

    @property
    def distilled(self) -> bool:
        """Whether all codes and biases are trained together, instead of layer by layer."""
        return self.rounding_of("linear") == "distill"

    def corrects_bias(self, layer_kind: str) -> bool:
        """Return whether biases of a layer kind (linear, gates) take up mean errors.

        Least squares is an affine fit for the gates. For the linear layer it is a linear one: with
        few bits its weights may fall short of the fit, and a bias that does not shrink decides.
        """
        affine = layer_kind == "gates" and self.rounding_of(layer_kind) == "least-squares"
        return self.bias_correction or affine


def scheme_from_dict(plain: Mapping[str, Any]) -> Scheme:
    """Rebuild a scheme from `Scheme.as_dict`."""
    if "quantizer" in plain:
        return peer_scheme(plain["quantizer"])
    values = dict(plain)
    for key in ("site_bits", "ranges", "rounding"):
        values[key] = tuple((str(p), v) for p, v in values[key])
    if not values["observer_batch"]:
        values["observer_batch"] = DEFAULT_OBSERVER_BATCH
    values["percentile"] = float(values["percentile"] or DEFAULT_PERCENTILE)
    return Scheme(**values)


def quantizer_of(settings: SchemeSettings) -> Quantizer:
    """Return whose quantizer the preset is."""
    found: Quantizer = PRESETS[settings.preset]["quantizer"]
    return found


def has_bits(settings: SchemeSettings, bits: int) -> bool:
    """Return whether the settings can be had at this width; another tool's only at its own."""
    return quantizer_of(settings) == "calibkit" or bits == PEER_BITS


def peer_scheme(quantizer: Quantizer) -> Scheme:
    """Return the one scheme of another tool's quantizer."""
    return replace(resolve(SchemeSettings(), bits=PEER_BITS), quantizer=quantizer)


def merged_settings(settings: SchemeSettings) -> dict[str, Any]:
    """Return every setting but the preset: what is given, else what the preset says.

    Site patterns of ``bits`` and ``ranges`` are tried in this order: those given, then those of
    the preset; a word instead of a mapping stands for the pattern ``*``. Dynamic quantization
    overrides all that the preset says of calibration documents.
    """
    base = PRESETS[settings.preset]
    if settings.dynamic:
        base = base | {key: PRESETS["brevitas-default"][key] for key in CALIBRATED}
    given = {k: v for k, v in settings.model_dump().items() if v is not None and k != "preset"}
    merged = {**base, **given}
    for key in ("bits", "ranges"):
        merged[key] = _patterns(given.get(key, {}), base[key])
    merged["rounding"] = _roundings(base["rounding"], given.get("rounding"))
    return merged


def _patterns(given: Any, base: Any) -> dict[str, Any]:
    first, then = (v if isinstance(v, Mapping) else {"*": v} for v in (given, base))
    if "*" in first:  # nothing gets past it
        return dict(first)
    return {**first, **{pattern: value for pattern, value in then.items() if pattern not in first}}


def _roundings(base: Mapping[str, Rounding], value: Any) -> dict[str, Rounding]:
    """One word means the linear layers (what Brevitas's own GPFQ covers); a mapping says more.

    Distillation of the linear layers is that of the whole network: what else a mapping says beside
    it is a contradiction, and found as one.
    """
    override = value if isinstance(value, Mapping) else {"linear": value} if value else {}
    if override.get("linear") == "distill":
        base = {kind: "distill" for kind in base}
    return dict(sorted({**base, **override}.items()))


def unsupported(settings: SchemeSettings) -> list[Problem]:
    """Return (key path, message) for every setting that this version refuses by name.

    Settings that contradict each other are refused whoever says them, the recipe or its preset; a
    path is always one that the recipe wrote.
    """
    found: list[Problem] = []

    def refuse(path: tuple[str, ...], value: object, allowed: str) -> None:
        found.append((path, f"{value!r} is not supported by this version; use {allowed}"))

    given = settings.rounding or {}
    for kind, rounding in (given if isinstance(given, dict) else {"linear": given}).items():
        path = ("rounding", kind) if isinstance(given, dict) else ("rounding",)
        if kind == "embedding" and rounding != "nearest" and rounding != "distill":
            message = "an embedding's inputs are one-hot, so that no column can make up for another"
            allowed = "use nearest, or distill for all layers"
            found.append((path, f"{message}: {rounding} is nearest rounding; {allowed}"))
        elif rounding not in ROUNDINGS[kind]:
            refuse(path, rounding, ", ".join(ROUNDINGS[kind]))
    if quantizer_of(settings) != "calibkit":
        return useless_under_peer(settings)
    if settings.dynamic:
        return found + useless_under_dynamic(settings)
    return found + contradictions(settings, merged_settings(settings))


def unmatched_patterns(settings: SchemeSettings, kinds: tuple[str, ...]) -> list[Problem]:
    """Return (key path, message) for what has no effect on any of the models.

    That is a site pattern that matches no site, and a scale of its own for a label vector that no
    model has.
    """
    activations = {s for kind in kinds for s in ACTIVATION_SITES[kind]}
    weights = {s for kind in kinds for s in WEIGHT_SITES[kind]}
    found: list[Problem] = []
    for key, sites in (("bits", weights | activations), ("ranges", activations)):
        value = getattr(settings, key)
        for pattern in value if isinstance(value, dict) else ():
            if not any(fnmatchcase(site, pattern) for site in sites):
                listed = ", ".join(sorted(sites))
                found.append(((key, pattern), f"matches no quantizer; there are: {listed}"))
    if settings.separate_hv and "generative" not in kinds:
        found.append((("separate_hv",), "only the generative decoder reads [h ; v]; leave it out"))
    return found


def with_linear_rounding(settings: SchemeSettings, rounding: Rounding) -> SchemeSettings:
    """Return the settings with another rounding of the linear layers, the others as they are.

    Where these are distilled and the linear layers not, or the other way round, the settings
    contradict themselves and `unsupported` says so.
    """
    given = settings.rounding if isinstance(settings.rounding, dict) else {}
    return settings.model_copy(update={"rounding": {**given, "linear": rounding}})


def resolve(
    settings: SchemeSettings,
    *,
    bits: int,
    rounding: Rounding | None = None,
    preset: Preset | None = None,
) -> Scheme:
    """Resolve settings and the axes of one grid point to a scheme.

    Order of precedence: grid axis, then ``quantize``, then the preset.
    Raises BadInput for what this version does not support.
    """
    chosen = settings if preset is None else settings.model_copy(update={"preset": preset})
    if rounding is not None:
        chosen = with_linear_rounding(chosen, rounding)
    problems = unsupported(chosen)
    if problems:
        path, message = problems[0]
        raise BadInput(f"quantize.{'.'.join(path)}: {message}")
    if not has_bits(chosen, bits):
        raise BadInput(
            f"quantize.preset: {chosen.preset} quantizes to {PEER_BITS} bits, and {bits} are asked "
            f"for; ask for {PEER_BITS}, or take a preset of calibkit's own"
        )
    if quantizer_of(chosen) != "calibkit":
        return peer_scheme(quantizer_of(chosen))
    merged = merged_settings(chosen)
    site_bits = tuple(merged["bits"].items())
    written = len(chosen.bits or {})
    while len(site_bits) > written and site_bits[-1][1] == bits:
        site_bits = site_bits[:-1]  # the preset says nothing new: one scheme, one id
    reads_floats = merged["rounding"]["linear"] in READ_FLOAT_INPUTS
    return Scheme(
        bits=bits,
        site_bits=site_bits,
        weights=merged["weights"],
        observer=merged["observer"],
        observer_batch=merged["observer_batch"],
        ranges=tuple(merged["ranges"].items()),
        weight_ranges=merged["weight_ranges"],
        percentile=float(merged["percentile"]),
        symmetric=merged["symmetric"],
        separate_io=merged["separate_io"],
        separate_hv=merged["separate_hv"],
        dynamic=merged["dynamic"],
        rounding=tuple(merged["rounding"].items()),
        bias_correction=merged["bias_correction"],
        cell_guard=merged["cell_guard"],
        arithmetic=merged["arithmetic"],
        float_pass=merged["float_pass"] if reads_floats else "float",
    )


def rounding_name(scheme: Scheme) -> str:
    """Return the word that stands in the ``rounding`` column of results.

    The linear layers' rounding when the others round to nearest, else every kind that does not.
    """
    if scheme.distilled:
        return "distill"
    by_kind = dict(scheme.rounding)
    corrected = [f"{kind}:{r}" for kind, r in sorted(by_kind.items()) if r != "nearest"]
    if all(kind == "linear" or r == "nearest" for kind, r in by_kind.items()):
        return by_kind["linear"]
    return ",".join(corrected)


def settings_from(plain: Mapping[str, Any]) -> SchemeSettings:
    """Validate a plain mapping; raises BadInput with the path of the first offending key."""
    try:
        return SchemeSettings.model_validate(dict(plain))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"quantize.{path}: {first['msg']}") from None
