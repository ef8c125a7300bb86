"""Distribution shifts of a quantized network: weights and activations, site by site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import Batch, batches
from calibkit.engine.calibrate import Calibrated
from calibkit.engine.choice import agrees
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.mirror import SMALLEST_PRODUCT, Mirror
from calibkit.engine.plain import States
from calibkit.engine.quantizers import Quantizer, quantizer_of
from calibkit.measure.ks import ordered
from calibkit.measure.shift import (
    Shift,
    clip_rate,
    code_changes,
    range_use,
    shift_between,
    shift_between_levels,
    shift_to_levels,
    sqnr_db,
)
from calibkit.measure.wasserstein import BLOCK
from calibkit.quantize.networks import (
    Arrays,
    QuantClassifier,
    QuantDiscriminative,
    activation_impl,
    activation_proxies,
    linear_name,
    quantized_weight,
    site_weight,
    watch,
)
from calibkit.quantize.ranges import weight_scale
from calibkit.quantize.schemes import Scheme
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES
from calibkit.ragged import Ragged

FLOAT_QUANTIZED = "float-quantized"
NEAREST_ROUNDED = "nearest-rounded"

Flat = NDArray[np.float32]

CODES = 127
"""Integer codes of a weight lie between -CODES and CODES."""


@dataclass(frozen=True)
class FloatSites:
    """The float model's values at every activation site over some documents.

    values: flat, position by position in packed order; ordered: the same, sorted. The decoder's
    input is represented by its h half: v_y does not depend on the documents.
    """

    values: dict[str, Flat]
    ordered: dict[str, Flat]

    def seen_by(self, site: str, network: QuantClassifier) -> tuple[Flat, Flat]:
        """Return what a site's quantizer is shown in a network, in order and sorted."""
        if site != "lstm.io" or site in network.input_sites:
            return self.values[site], self.ordered[site]
        hidden = self.values[site][len(self.values["input"]) :]  # the inputs come first
        return hidden, ordered(hidden)


def float_sites(kind: str, arrays: Arrays, tokens: Ragged) -> FloatSites:
    """Run the float model over the documents and keep what every site sees."""
    model = FloatModel.of(kind, arrays)
    parts: dict[str, list[list[Tensor]]] = {site: [] for site in ACTIVATION_SITES[kind]}
    with torch.inference_mode():
        for done in model.passes(tokens):
            for site, found in done.sites.items():
                kept = found[:1] if site == "decoder.input" else found
                parts[site].append([v.values for v in kept])
    values = {site: _flat(parts.pop(site)) for site in tuple(parts)}  # frees the pieces
    return FloatSites(values, {site: ordered(v) for site, v in values.items()})


def activation_shifts(
    done: Calibrated,
    scheme: Scheme,
    tokens: Ragged,
    reference: FloatSites,
    *,
    states: States | None = None,
) -> list[Shift]:
    """Return, per activation site, how the quantized network's values differ from the float ones.

    tokens: the documents that ``reference`` was made from. Exact over all of their real tokens.
    states: the network's hidden states by an engine that agrees with Brevitas, where at hand.
    A dynamic quantizer has no one range, hence no threshold, clip rate or range use.
    """
    kind = done.network.kind
    found, proxies = (
        _quantized_sites(done.network, tokens, states),
        activation_proxies(done.network),
    )
    rows = []
    for site in ACTIVATION_SITES[kind]:
        values, exact = reference.seen_by(site, done.network)
        if scheme.dynamic:
            shift = shift_between("activations", site, FLOAT_QUANTIZED, exact, found[site])
            error = sqnr_db(values, found[site])
            rows.append(replace(shift, bits=scheme.bits_of(site), sqnr_db=error))
            continue
        quantizer = quantizer_of(activation_impl(proxies[site]))
        assert isinstance(quantizer, Quantizer)
        step, low, high = (float(quantizer.scale), int(quantizer.low), int(quantizer.high))
        codes = np.rint(found[site] / np.float32(step)).astype(np.int64)
        counts = np.bincount(codes - low, minlength=high - low + 1)
        levels, counts = np.flatnonzero(counts) + low, counts[counts > 0]
        shift = shift_to_levels("activations", site, FLOAT_QUANTIZED, exact, levels * step, counts)
        rows.append(
            replace(
                shift,
                bits=scheme.bits_of(site),
                threshold=done.activation_thresholds[site],
                sqnr_db=sqnr_db(values, found[site]),
                clip_rate=clip_rate(exact, low * step, high * step),
                range_use=range_use(exact, low * step, high * step),
            )
        )
    return rows


def _quantized_sites(
    network: QuantClassifier, tokens: Ragged, states: States | None
) -> dict[str, Flat]:
    """Return what every quantizer gives at real tokens; by the mirror where it is Brevitas's."""
    last = f"{linear_name(network.kind)}.input"
    sites = ACTIVATION_SITES[network.kind]
    parts: dict[str, list[list[Tensor]]] = {site: [] for site in sites}
    quantize = activation_impl(activation_proxies(network)[last])
    mirror = Mirror(network)
    equal = network.dynamic or agrees(network, mirror, tokens, states=states)
    with torch.inference_mode():
        for one in batches(tokens, drop_last=not isinstance(network, QuantDiscriminative)):
            enough = network.dynamic or (equal and len(one.rows) >= SMALLEST_PRODUCT)
            found = mirror.values(one) if enough else _brevitas_values(network, one)
            head = found["lstm.io"][-1]
            if isinstance(network, QuantDiscriminative):
                head = one.mean(head)
            found[last] = [quantize(head)[0]]
            for site in sites:
                parts[site].append(found[site])
    return {site: _flat(parts.pop(site)) for site in tuple(parts)}


def _brevitas_values(network: QuantClassifier, one: Batch) -> dict[str, list[Tensor]]:
    """Return what every quantizer of embedding and LSTM gives, packed, call by call."""
    calls: dict[str, list[Tensor]] = {}
    handles = watch(network, lambda site, value: calls.setdefault(site, []).append(value))
    try:
        network.hidden_states(one.ids)
    finally:
        for handle in handles:
            handle.remove()
    return {site: _real(one, seen) for site, seen in calls.items()}


def _real(one: Batch, seen: Sequence[Tensor]) -> list[Tensor]:
    """Drop padding from a quantizer's calls and put them in packed order, call by call.

    A call on the whole batch (n, steps, width) comes first where there is one; then every step
    makes the same number of calls (n, width), of which only ``active`` rows are real.
    """
    whole = [one.pack(value) for value in seen if value.dim() == 3]
    stepwise = [value for value in seen if value.dim() == 2]
    each = len(stepwise) // len(one.active)
    for place in range(each):
        steps = stepwise[place::each]
        kept = [value[:count] for value, count in zip(steps, one.active, strict=True)]
        whole.append(torch.cat(kept))
    return whole


def _flat(parts: Sequence[Sequence[Tensor]]) -> Flat:
    """Concatenate the batches of each call, then the calls: the same order on both sides."""
    calls = [torch.cat(list(batch)).flatten() for batch in zip(*parts, strict=True)]
    flat: Flat = torch.cat(calls).numpy()
    return flat


def ordered_weights(kind: str, arrays: Arrays) -> dict[str, Flat]:
    """Return every weight site's float values, sorted; they serve every cell of the model."""
    return {site: ordered(site_weight(arrays, site).flatten()) for site in WEIGHT_SITES[kind]}


def weight_shifts(
    arrays: Arrays, done: Calibrated, scheme: Scheme, exact: dict[str, Flat]
) -> list[Shift]:
    """Return, per weight site, float against quantized; and what rounding changed.

    exact: `ordered_weights` of the model. Sites that the scheme's rounding does not reach do not
    depend on calibration. Where rounding is not nearest, a second row (pair nearest-rounded)
    compares its integer codes with those of nearest rounding.
    """
    kind = done.network.kind
    rows = []
    for site in WEIGHT_SITES[kind]:
        before = site_weight(arrays, site)
        parts = [f"{site}.{p}" for p in ("input", "hidden")] if site.startswith("lstm.") else [site]
        pieces = [quantized_weight(done.network, part).numpy() for part in parts]
        after = np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
        threshold = done.weight_thresholds[site]
        top = float(threshold.max())
        levels, counts = _levels(after, weight_scale(threshold, scheme.bits_of(site)))
        shift = shift_to_levels("weights", site, FLOAT_QUANTIZED, exact[site], levels, counts)
        rows.append(
            replace(
                shift,
                bits=scheme.bits_of(site),
                threshold=top,
                sqnr_db=sqnr_db(before, after),
                clip_rate=clip_rate(exact[site], -top, top),
                range_use=range_use(exact[site], -top, top),
            )
        )
        as_nearest = site == linear_name(kind) and scheme.rounding_of("linear") == "nearest"
        if site in done.site_codes and not as_nearest:
            rows.append(_rounding_shift(site, done, scheme))
    return rows


def _levels(values: Flat, step: NDArray[np.float32]) -> tuple[Flat, NDArray[np.int64]]:
    """Return the levels that occur, increasing, and how often; step: () or one per row."""
    if step.ndim:
        levels, counts = np.unique(values, return_counts=True)
        return levels, counts
    rows = max(1, BLOCK // values.shape[1])
    found = np.zeros(2 * CODES + 1, dtype=np.int64)
    for start in range(0, len(values), rows):
        found += _counts(np.rint(values[start : start + rows] / step))
    places = np.flatnonzero(found)
    return (places - CODES).astype(np.float32) * step, found[places]


def _counts(codes: NDArray[Any]) -> NDArray[np.int64]:
    """Return how often each code from -CODES to CODES occurs; widened block by block."""
    flat = codes.reshape(-1)
    found = np.zeros(2 * CODES + 1, dtype=np.int64)
    for start in range(0, len(flat), BLOCK):
        places = flat[start : start + BLOCK].astype(np.int64) + CODES
        found += np.bincount(places, minlength=len(found))
    return found


def _rounding_shift(site: str, done: Calibrated, scheme: Scheme) -> Shift:
    bits = scheme.bits_of(site)
    step = weight_scale(done.weight_thresholds[site], bits)
    nearest, chosen = done.site_codes[site].nearest, done.site_codes[site].chosen
    changed, mean_change = code_changes(nearest, chosen)
    if step.ndim:
        pair = ((nearest * step).flatten(), (chosen * step).flatten())
        shift = shift_between("weights", site, NEAREST_ROUNDED, *pair)
    else:
        levels = np.arange(-CODES, CODES + 1)
        counts = (_counts(nearest), _counts(chosen))
        shift = shift_between_levels("weights", site, NEAREST_ROUNDED, levels * step, *counts)
    return replace(
        shift,
        bits=bits,
        threshold=float(done.weight_thresholds[site].max()),
        # one step for all is no part of a ratio
        sqnr_db=sqnr_db(*pair) if step.ndim else sqnr_db(nearest, chosen),
        code_change_rate=changed,
        mean_code_change=mean_change,
    )
