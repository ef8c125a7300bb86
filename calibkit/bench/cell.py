"""Whole cells: ranges, rounding, a clean and three noisy evaluations, distribution statistics.

What the cells of a model share is no part of a cell on either side: the float model's own
evaluation and its values at the sites, against which shifts are measured.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.bench import inputs, plain_path
from calibkit.bench.engine import NEAR, same_scores, sample_of, scheme_of, thousands
from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages, Work
from calibkit.engine.calibrate import Calibrated, brevitas_thresholds, calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import linear_gram
from calibkit.engine.plain import Evaluation, evaluate
from calibkit.engine.shifts import (
    FLOAT_QUANTIZED,
    FloatSites,
    activation_shifts,
    float_sites,
    ordered_weights,
    weight_shifts,
)
from calibkit.engine.statistics import collect_statistics
from calibkit.measure.ks import ordered
from calibkit.measure.shift import Shift, shift_between
from calibkit.quantize.installation import install
from calibkit.quantize.networks import (
    QuantGenerative,
    build,
    linear_name,
    quantized_weight,
    site_weight,
    weight_tensors,
)
from calibkit.quantize.ranges import rank_from_top, weight_scale
from calibkit.quantize.rounding import gpfq
from calibkit.quantize.schemes import Scheme
from calibkit.quantize.sites import WEIGHT_SITES
from calibkit.ragged import Ragged

NOISE = (0.05, 0.10, 0.20)
SHIFTED = 128
"""Test documents over which activation shifts are measured, as in a sweep."""

MOST_ROWS = 1e-3
"""Share of GPFQ's rows that may differ: a value half-way between two codes, rounded the other way
by float noise (Brevitas keeps its targets in float32), changes what follows in its row."""

ARITHMETIC: Any = {"torch": "float-torch", "native": "float-native"}


@dataclass(frozen=True)
class Outcome:
    """What a cell came to, as far as its way has it: the plain one works on samples."""

    scores: NDArray[np.float64]
    shifts: dict[str, float]

    @property
    def fingerprint(self) -> str:
        """A hash of the scores."""
        return hashlib.sha256(np.ascontiguousarray(self.scores).tobytes()).hexdigest()


@dataclass(frozen=True)
class Made:
    """A cell's inputs: float model, subset, and test documents at every noise level."""

    kind: str
    documents: int
    vocabulary: int
    labels: int
    subset_size: int
    bits: int

    @cached_property
    def weights(self) -> inputs.FloatWeights:
        """The float model."""
        return inputs.float_weights(self.kind, self.vocabulary, self.labels)

    @cached_property
    def scheme(self) -> Scheme:
        """The default scheme with GPFQ."""
        return scheme_of(self.bits, "gpfq")

    @cached_property
    def subset(self) -> Ragged:
        """The calibration documents."""
        return inputs.documents(self.subset_size, self.vocabulary, seed=1)

    @cached_property
    def clean(self) -> Ragged:
        """The test documents."""
        return inputs.documents(self.documents, self.vocabulary)

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Their labels."""
        return inputs.label_ids(self.documents, self.labels)

    @cached_property
    def sites(self) -> FloatSites:
        """The float model's values at every activation site."""
        first = self.clean.take(range(min(SHIFTED, self.documents)))
        return float_sites(self.kind, self.weights.arrays, first)

    @cached_property
    def sorted_weights(self) -> dict[str, NDArray[np.float32]]:
        """The float model's weights, sorted."""
        return ordered_weights(self.kind, self.weights.arrays)

    @cached_property
    def float_nll(self) -> NDArray[np.float32]:
        """Cross-entropies to compare with; made up, like the float model's training."""
        rng = np.random.default_rng(5)
        count = self.documents
        if self.kind == "generative":
            count = int((self.clean.lengths - 1).sum())
        made: NDArray[np.float32] = rng.gamma(4.0, 1.5, size=count).astype(np.float32)
        return ordered(made)

    def calibrated(self) -> Calibrated:
        """Return the quantized network."""
        return calibrate(self.kind, self.weights.arrays, self.subset, self.scheme)


def cell(
    *,
    kind: str,
    documents: int,
    vocabulary: int,
    labels: int,
    subset: int,
    bits: int,
    sample: int,
    name: str = "",
) -> Case:
    """Return a whole cell; sample: documents of which the plain path is timed, then scaled."""
    made = Made(kind, documents, vocabulary, labels, subset, bits)
    return Case(
        name or f"{kind} cell",
        {
            "plain": _plainly(made, sample),
            "torch": _by("torch", made),
            "native": _by("native", made),
        },
        lambda expected, found: _right(made, sample, expected, found),
        {
            "documents": documents,
            "vocabulary": vocabulary,
            "labels": labels,
            "subset": subset,
            "bits": bits,
            "noise_levels": len(NOISE),
            "rounding": "gpfq, linear layer",
            "plain_documents": min(sample, documents),
            "plain_subset": min(sample, subset),
            "plain_scaling": "linear in documents",
            "against": f"Brevitas, scores within {NEAR:g} relative; its GPFQ in float64, all but"
            f" {MOST_ROWS:g} of the rows; ranges: all values sorted; KS: scipy",
        },
    )


def _by(engine: Any, made: Made) -> Work:
    def work(stages: Stages) -> Outcome:
        arrays, scheme = made.weights.arrays, made.scheme
        levels = [made.clean, *(inputs.with_noise(made.clean, share) for share in NOISE)]
        shared = made.sites, made.sorted_weights, made.float_nll, made.truth, made.subset
        with stages("ranges"):
            seen = collect_statistics(made.kind, arrays, made.subset, percentile=scheme.percentile)
        with stages("rounding"):
            done = calibrate(made.kind, arrays, made.subset, scheme, statistics=seen)
        with stages("evaluate"):
            kernels = kernels_by(engine, done.network, made.clean, arithmetic=ARITHMETIC[engine])
            found = [evaluate(done.network, t, made.truth, kernels=kernels) for t in levels]
        with stages("statistics"):
            first = made.clean.take(range(min(SHIFTED, made.documents)))
            shifts = weight_shifts(arrays, done, scheme, shared[1])
            shifts += activation_shifts(done, scheme, first, made.sites, states=kernels.states)
            shifts.append(_nll_shift(made.float_nll, found[0]))
        return Outcome(found[0].scores, _distances(shifts))

    return work


def _nll_shift(before: NDArray[np.float32], after: Evaluation) -> Shift:
    return shift_between("token-nll", "output", FLOAT_QUANTIZED, before, after.token_nll)


def _distances(shifts: list[Shift]) -> dict[str, float]:
    return {
        s.site: s.ks
        for s in shifts
        if s.pair == FLOAT_QUANTIZED and s.quantity in ("weights", "activations")
    }


def _plainly(made: Made, sample: int) -> Work:
    rows = sample_of(made.clean, sample)
    part = made.subset.take(range(min(sample, made.subset_size)))
    times = made.subset_size / len(part)
    cache: list[Calibrated] = []

    def work(stages: Stages) -> Outcome:
        if not cache:
            cache.append(made.calibrated())
        done, arrays = cache[0], made.weights.arrays
        tested, sites, nll = made.clean.take(rows), made.sites, made.float_nll
        with torch.inference_mode(), stages("ranges", times=times):
            brevitas_thresholds(made.kind, arrays, part, made.scheme)
        plain_path.rounded(_nearest(made, done), part, stages, times=times)
        with torch.inference_mode():
            with stages("evaluate", times=(1 + len(NOISE)) * made.documents / len(rows)):
                found = plain_path.scores(done.network, tested)
            with stages("statistics"):
                shifts = _plain_shifts(made, done, sites)
            some = nll[: max(1, round(len(nll) * len(rows) / made.documents))]
            with stages("statistics", times=len(nll) / len(some)):
                _scipy_distances(some, some[::-1].copy())
        return Outcome(found, shifts)

    return work


def _nearest(made: Made, done: Calibrated) -> Any:
    """Return the calibrated network as it is before its linear layer is rounded."""
    network = build(made.kind, made.weights.arrays)
    install(network, made.scheme, done.weight_thresholds, done.activation_thresholds)
    return network


def _plain_shifts(made: Made, done: Calibrated, sites: FloatSites) -> dict[str, float]:
    first = made.clean.take(range(min(SHIFTED, made.documents)))
    arrays, found = made.weights.arrays, {}
    for site in WEIGHT_SITES[made.kind]:
        parts = [f"{site}.{p}" for p in ("input", "hidden")] if site.startswith("lstm.") else [site]
        after = np.concatenate([quantized_weight(done.network, p).numpy() for p in parts], axis=1)
        found[site] = _scipy_distances(site_weight(arrays, site).ravel(), after.ravel())
    for site, values in plain_path.site_values(done.network, first).items():
        found[site] = _scipy_distances(sites.values[site], values)
    return found


def _scipy_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the Kolmogorov-Smirnov distance by scipy, which also finds Wasserstein's."""
    from scipy.stats import ks_2samp, wasserstein_distance

    wasserstein_distance(a, b)
    return float(ks_2samp(a, b, method="asymp").statistic)


def _right(made: Made, sample: int, expected: Outcome, found: Outcome) -> dict[str, bool]:
    rows = sample_of(made.clean, sample)
    close = [abs(found.shifts[site] - ks) <= 1e-9 for site, ks in expected.shifts.items()]
    return {
        "ranges": _ranges_are_right(made),
        "rounding": _rounding_is_right(made, sample),
        "evaluate": same_scores(expected.scores, found.scores[rows]),
        "statistics": len(close) == len(found.shifts) and all(close),
    }


def _ranges_are_right(made: Made) -> bool:
    """Return whether every percentile is the one that sorting all values finds."""
    arrays, q = made.weights.arrays, made.scheme.percentile
    small = made.subset.take(range(min(32, made.subset_size)))
    seen = collect_statistics(made.kind, arrays, small, percentile=q)
    parts: dict[str, list[NDArray[np.float32]]] = {}
    with torch.inference_mode():
        for one in FloatModel.of(made.kind, arrays).passes(small):
            for site, calls in one.sites.items():
                repeated = [np.repeat(v.values.abs().numpy().ravel(), v.times) for v in calls]
                parts.setdefault(site, []).append(np.concatenate(repeated))
    for site, values in parts.items():
        magnitudes = np.sort(np.concatenate(values))
        if seen[site].percentile(q) != magnitudes[-rank_from_top(len(magnitudes), q)]:
            return False
    return True


def _rounding_is_right(made: Made, sample: int) -> bool:
    """Return whether GPFQ on Gram matrices gives the codes of Brevitas's, on some documents."""
    arrays, name = made.weights.arrays, linear_name(made.kind)
    small = made.subset.take(range(min(sample, 64, made.subset_size)))
    done = made.calibrated()
    network = _nearest(made, done)
    bits = made.scheme.bits_of(name)
    scale = torch.from_numpy(weight_scale(done.weight_thresholds[name], bits))
    with torch.inference_mode():
        weight = weight_tensors(network)[name].clone()
        ours = gpfq(weight, scale, bits, linear_gram(network, arrays, small)).numpy()
    theirs = plain_path.brevitas_codes(_nearest(made, done), arrays, small)
    return float((ours != theirs).any(axis=1).mean()) <= MOST_ROWS


# ------------------------------------------------------------------------- parts of cells


def second_bits(
    *, kind: str, documents: int, vocabulary: int, labels: int, subset: int, bits: int
) -> Case:
    """Return calibration at a second bit width; here ``plain`` is calibrating from nothing."""
    made = Made(kind, documents, vocabulary, labels, subset, bits)
    arrays, percentile = made.weights.arrays, made.scheme.percentile

    def from_nothing(stages: Stages) -> Calibrated:
        tokens = made.subset
        with stages("calibrate"):
            return calibrate(kind, arrays, tokens, made.scheme)

    seen = collect_statistics(kind, arrays, made.subset, percentile=percentile)

    def shared(stages: Stages) -> Calibrated:
        with stages("calibrate"):
            return calibrate(kind, arrays, made.subset, made.scheme, statistics=seen)

    def right(expected: Calibrated, found: Calibrated) -> dict[str, bool]:
        same = expected.activation_thresholds == found.activation_thresholds
        return {"calibrate": same and np.array_equal(expected.codes, found.codes)}

    return Case(
        f"second bit width, {kind}",
        {"plain": from_nothing, "torch": shared},
        right,
        {
            "subset": subset,
            "vocabulary": vocabulary,
            "labels": labels,
            "bits": bits,
            "against": "the first bit width of the subset, code for code",
        },
    )


def evaluation(*, kind: str, documents: int, vocabulary: int, labels: int, bits: int) -> Case:
    """Return one evaluation of a calibrated network, to be done by several workers at once."""
    made = Made(kind, documents, vocabulary, labels, 32, bits)
    done = made.calibrated()

    def by(engine: Any) -> Work:
        def work(stages: Stages) -> Outcome:
            kernels = kernels_by(engine, done.network, made.clean, arithmetic=ARITHMETIC[engine])
            with stages("evaluate"):
                found = evaluate(done.network, made.clean, made.truth, kernels=kernels)
            return Outcome(found.scores, {})

        return work

    assert isinstance(done.network, QuantGenerative) == (kind == "generative")
    return Case(
        f"two workers, {kind}",
        {"torch": by("torch"), "native": by("native")},
        lambda expected, found: {"evaluate": expected.fingerprint == found.fingerprint},
        {"documents": documents, "vocabulary": vocabulary, "labels": labels, "clock": "wall"},
    )


__all__ = ["Made", "Outcome", "cell", "evaluation", "second_bits", "thousands"]
