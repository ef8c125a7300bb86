"""Intermediate results that several jobs of one worker have in common, kept between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.float_pass import FloatModel
from calibkit.engine.plain import Evaluation
from calibkit.engine.shifts import FloatSites, float_sites, ordered_weights
from calibkit.engine.statistics import collect_statistics
from calibkit.measure.collapse import Behaviour, state_spread
from calibkit.measure.ks import ordered
from calibkit.models.checkpoints import from_arrays
from calibkit.models.scoring import score, token_nll
from calibkit.quantize.networks import Arrays
from calibkit.quantize.ranges import SiteStatistics
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefacts
from calibkit.sweep.jobs import ModelRef, Places

FIRST_DOCUMENTS = 128
"""Test documents over which activation shifts are measured, and over which a network is compared
with the float model to tell a collapse: the first of the test set, which is in the order of
document ids and so no choice of anybody."""


def first(tokens: Ragged) -> Ragged:
    """Return the first test documents."""
    return tokens.take(range(min(FIRST_DOCUMENTS, len(tokens))))


def artefacts(places: Places) -> Artefacts:
    """Return the artefacts of a store."""
    return Artefacts(places.artefacts)


@lru_cache(maxsize=4)
def float_model(places: Places, key: str) -> tuple[Arrays, Mapping[str, Any]]:
    """Return a float model's arrays and configuration."""
    found = artefacts(places).load("model", key)
    return found.tensors, found.config


@lru_cache(maxsize=16)
def labelled(places: Places, key: str) -> tuple[Ragged, NDArray[np.int64]]:
    """Return token lists and label ids (n,) from a ``tokens`` artefact."""
    tensors = artefacts(places).load("tokens", key).tensors
    tokens = Ragged(tensors["ids"], tensors["offsets"])
    return tokens, tensors["labels"].astype(np.int64)


@lru_cache(maxsize=4)
def statistics(
    places: Places, model: ModelRef, subset_tokens: str, percentile: float
) -> dict[str, SiteStatistics]:
    """Return the site statistics of a model over a subset; they serve every bit width."""
    arrays, _ = float_model(places, model.key)
    subset, _ = labelled(places, subset_tokens)
    return collect_statistics(model.kind, arrays, subset, percentile=percentile)


@lru_cache(maxsize=4)
def model_weights(places: Places, model: ModelRef) -> dict[str, NDArray[np.float32]]:
    """Return a model's sorted weights by site."""
    return ordered_weights(model.kind, float_model(places, model.key)[0])


@lru_cache(maxsize=4)
def model_sites(places: Places, model: ModelRef, tokens: str) -> FloatSites:
    """Return a model's values at every site over the first clean test documents."""
    documents = first(labelled(places, tokens)[0])
    return float_sites(model.kind, float_model(places, model.key)[0], documents)


@lru_cache(maxsize=4)
def float_token_nll(places: Places, model: ModelRef, tokens: str) -> NDArray[np.float32]:
    """Return the float model's cross-entropies, sorted: per token, or per document."""
    arrays, config = float_model(places, model.key)
    documents, labels = labelled(places, tokens)
    if model.kind == "generative":
        network = from_arrays(dict(arrays), network_config(config))
        return ordered(token_nll(network, documents, labels))
    return ordered(float_evaluation(arrays, config, documents, labels).token_nll)


@dataclass(frozen=True)
class FloatReference:
    """What a float model does with the first test documents: the measure of a collapse.

    largest: the largest magnitude at every activation site.
    """

    behaviour: Behaviour
    largest: Mapping[str, float]


@lru_cache(maxsize=64)
def float_reference(places: Places, model: ModelRef, tokens: str) -> FloatReference:
    """Return how a float model behaves on the first documents of a noise level."""
    arrays, config = float_model(places, model.key)
    every, every_label = labelled(places, tokens)
    documents = first(every)
    labels = every_label[: len(documents)]
    total, values, last = 0.0, 0, []
    largest: dict[str, float] = {}
    with torch.inference_mode():
        for done in FloatModel.of(model.kind, arrays).passes(documents):
            total += float(done.hidden.abs().sum(dtype=torch.float64))
            values += done.hidden.numel()
            last.append(done.batch.last(done.hidden).numpy())
            for site, seen in done.sites.items():
                top = max(float(part.values.abs().max()) for part in seen)
                largest[site] = max(largest.get(site, 0.0), top)
    nll = float(float_evaluation(arrays, config, documents, labels).nll.mean())
    spread = state_spread(np.concatenate(last))
    return FloatReference(Behaviour(total / max(values, 1), spread, nll), largest)


def network_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a model's configuration that its network is built from."""
    names = ("kind", "vocabulary", "labels", "embedding", "hidden", "label_dim")
    return {name: config[name] for name in names if name in config}


def float_evaluation(
    arrays: Arrays, config: Mapping[str, Any], tokens: Ragged, labels: NDArray[np.int64]
) -> Evaluation:
    """Measure a float model like a quantized one."""
    model = from_arrays(dict(arrays), network_config(config))
    scores = score(model, tokens)
    nll = scores.nll(labels)
    return Evaluation(
        scores.log_scores,
        nll,
        scores.predicted.astype(np.int64),
        nll.astype(np.float32),
        scores.mean_abs_h,
    )
