"""Intermediate results that several jobs of one worker have in common, kept between them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Content, made_once
from calibkit.engine.calibrate import brevitas_thresholds
from calibkit.engine.plain import Evaluation
from calibkit.engine.shifts import FloatSites, float_sites, ordered_weights
from calibkit.engine.statistics import collect_statistics
from calibkit.identity import HARNESS, content_id
from calibkit.measure.ks import ordered
from calibkit.models.checkpoints import from_arrays, network_config
from calibkit.models.scoring import token_nll
from calibkit.onnx.quantized import OnnxQuantized, onnx_quantized
from calibkit.quantize.networks import Arrays
from calibkit.quantize.ranges import SiteStatistics
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefacts
from calibkit.sweep.float_side import (
    FloatReference,
    first,
    float_evaluation,
    reference_on,
)
from calibkit.sweep.jobs import ModelRef, Places


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
def observed_by_brevitas(
    places: Places, model: ModelRef, subset_tokens: str, batch: int
) -> dict[str, float]:
    """Return the thresholds of Brevitas's own observer; they serve every bit width.

    Its pass through Brevitas's layers takes most of a minute, so one worker does it for all.
    """
    shelf = artefacts(places)
    key = content_id("artefact", ["brevitas-ranges", HARNESS, model.id, subset_tokens, batch])

    def observe() -> Content:
        arrays, _ = float_model(places, model.key)
        subset, _ = labelled(places, subset_tokens)
        scheme = resolve(SchemeSettings(observer="brevitas", observer_batch=batch), bits=8)
        found = brevitas_thresholds(model.kind, arrays, subset, scheme)
        return {}, {"made_from": [model.id, subset_tokens], **found}

    found = made_once(shelf, "ranges", key, observe).config
    return {site: float(value) for site, value in found.items() if site != "made_from"}


@lru_cache(maxsize=2)
def onnx_dynamic(places: Places, model: ModelRef) -> OnnxQuantized:
    """Return ONNX Runtime's dynamic quantization of a model, which reads no documents."""
    return onnx_quantized(model.kind, float_model(places, model.key)[0], "onnx-dynamic")


@lru_cache(maxsize=8)
def onnx_dynamic_evaluation(places: Places, model: ModelRef, tokens: str) -> Evaluation:
    """Return what `onnx_dynamic` says of test documents; the same for every subset."""
    return onnx_dynamic(places, model).evaluate(*labelled(places, tokens))


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
    """Return the float model's cross-entropies, sorted: per token, or per document.

    It reads the whole test set for them, as long as a cell does, so one worker does it for all.
    """
    key = content_id("artefact", ["float-token-nll", HARNESS, model.id, tokens])

    def score() -> Content:
        arrays, config = float_model(places, model.key)
        documents, labels = labelled(places, tokens)
        if model.kind == "generative":
            network = from_arrays(dict(arrays), network_config(config))
            found = ordered(token_nll(network, documents, labels))
        else:
            found = ordered(float_evaluation(arrays, config, documents, labels).token_nll)
        return {"nll": found}, {"made_from": [model.id, tokens]}

    return made_once(artefacts(places), "reference", key, score).tensors["nll"]


@lru_cache(maxsize=64)
def float_reference(places: Places, model: ModelRef, tokens: str) -> FloatReference:
    """Return how a float model behaves on the first documents of a noise level."""
    arrays, config = float_model(places, model.key)
    documents, labels = labelled(places, tokens)
    return reference_on(model.kind, arrays, config, documents, labels)
