"""The flip predictor of a model and a scheme: trained before deployment, kept as an artefact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.curate.encoding import Content, made_once
from calibkit.identity import HARNESS, content_id, keyed_generator
from calibkit.models.training import one_thread
from calibkit.quantize.flip_features import site_kind
from calibkit.quantize.networks import Arrays
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged
from calibkit.stream.flip_lessons import DRIFTS, LARGE, Lessons, Trial, lessons, trials
from calibkit.stream.flip_network import FlipPredictor, TrustNetwork, fresh, kept_features
from calibkit.stream.simulated_drifts import Simulator
from calibkit.stream.versions import PREDICTORS
from calibkit.sweep.jobs import ModelRef, Places
from calibkit.sweep.shared import artefacts, float_model, labelled

__all__ = ["FlipPredictor", "predictor_for", "train_predictor"]

FOLDS = 3
"""Parts of the drifts, of which each is kept from the network that is tried on it."""

STRENGTHS = (0.0, 0.25, 0.5, 1.0)

STEPS = 600
BATCH = 2048
LEARNING_RATE = 3e-3


def predictor_for(
    places: Places,
    model: ModelRef,
    scheme: Scheme,
    train_tokens: str,
    *,
    size: int,
    seed: int = 0,
    without: Sequence[str] = (),
    most: float = 0.02,
) -> FlipPredictor:
    """Return the flip predictor of a float model under a scheme, trained where it is not there.

    train_tokens: artefact of the documents that the model was trained on; the rest as for
    `train_predictor`. Of several processes that ask at once, one trains. Raises UnknownName for a
    feature that there is not.
    """
    kept_features(without)
    made_from = [model.id, train_tokens]
    settings = {"scheme": scheme.as_dict(), "size": size, "seed": seed, "most": most}
    off = sorted(set(without))
    key = content_id("artefact", ["predictor", PREDICTORS, HARNESS, *made_from, settings, off])

    def train() -> Content:
        arrays, _ = float_model(places, model.key)
        tokens, labels = labelled(places, train_tokens)
        found = train_predictor(
            model.kind, arrays, scheme, tokens, labels, size=size, seed=seed, without=off, most=most
        )
        return found.tensors(), {"made_from": made_from, **settings, "without": off}

    tensors = made_once(artefacts(places), "predictor", key, train).tensors
    return FlipPredictor.from_tensors(tensors, off)


def train_predictor(
    kind: str,
    arrays: Arrays,
    scheme: Scheme,
    tokens: Ragged,
    labels: NDArray[np.integer],
    *,
    size: int,
    seed: int = 0,
    without: Sequence[str] = (),
    most: float = 0.02,
    drifts: int = DRIFTS,
    large: int = LARGE,
) -> FlipPredictor:
    """Return a flip predictor trained on simulated drifts of the training text.

    tokens, labels: what the float model was trained on. size: documents of the subsets that
    updates will look at; most: largest share of a site's codes that one will move. without:
    features turned off, in training and in use. drifts: how many it learns from; large: documents
    of each on which the truth is measured.

    Runs on one thread and draws from generators of its own: the same input gives the same weights
    on one machine. Raises BadInput for fewer than two documents or a dynamic scheme, UnknownName
    for a feature that there is not.
    """
    kept_features(without)
    simulator = Simulator.of(tokens, labels)
    with one_thread():
        drifted = trials(
            kind,
            arrays,
            scheme,
            simulator,
            size=size,
            seed=seed,
            most=most,
            count=drifts,
            large=large,
        )
        with torch.inference_mode():
            met = list(drifted)
            parts = [lessons(trial, seed, number) for number, trial in enumerate(met)]
        strength = followed(met, parts, seed, without, most)
        return FlipPredictor(fitted(Lessons.joined(parts), seed, without), tuple(without), strength)


def followed(
    met: Sequence[Trial],
    parts: Sequence[Lessons],
    seed: int,
    without: Sequence[str],
    most: float,
) -> tuple[float, float]:
    """Return how far a network that learned these lessons should be followed, by kind of layer.

    Measured on trials that networks did not learn from, a third of them at a time: the strength
    whose moves lower the objective most on the large samples, relative to what it was there. The
    smallest of equals; 0, the greedy rule, where there are too few trials to tell.
    """
    if len(met) < FOLDS:
        return (0.0, 0.0)
    gained = np.zeros((2, len(STRENGTHS)))
    for fold in range(FOLDS):
        learned = [part for number, part in enumerate(parts) if number % FOLDS != fold]
        network = fitted(Lessons.joined(learned), seed, without)
        for place, strength in enumerate(STRENGTHS):
            predictor = FlipPredictor(network, tuple(without), (strength, strength))
            for trial in met[fold::FOLDS]:
                gained[:, place] += _gained(trial, predictor, most)
    gates, linear = (STRENGTHS[int(place)] for place in gained.argmax(axis=1))
    return (gates, linear)


def _gained(trial: Trial, predictor: FlipPredictor, most: float) -> tuple[float, float]:
    """Return the share of the large sample's objective that moves take away, by kind of layer."""
    found = {"gates": 0.0, "linear": 0.0}
    with torch.inference_mode():
        for site, small in trial.small.items():
            large = trial.large[site]
            codes = small.codes + predictor.choose(site, small, most)
            change = float(large.objective_change(codes).sum())
            found[site_kind(site)] -= change / max(float(large.objective.sum()), 1e-30)
    return found["gates"], found["linear"]


def fitted(learned: Lessons, seed: int, without: Sequence[str] = ()) -> TrustNetwork:
    """Return a network that was fitted to lessons.

    The loss is the squared error of what a move gains, weighted by the stake and, since the best
    codes of a layer lie far from their optima, divided by the optimum.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        x = learned.features.clone() * kept_features(without)
        optimum, wanted = learned.optimum.clone(), learned.wanted.clone()
        weight = learned.weight / (1 + learned.optimum)
        weight = weight.clone() / weight.mean().clamp_min(1e-30)
        state = int(keyed_generator(seed, "flip predictor", "weights").integers(2**62))
        network = fresh(torch.Generator().manual_seed(state))
        network.mean.copy_(x.mean(0))
        network.spread.copy_(x.std(0).clamp_min(1e-3))
        adam = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        slower = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, total_iters=STEPS)
        order = keyed_generator(seed, "flip predictor", "order")
        for _ in range(STEPS):
            rows = torch.from_numpy(order.integers(0, len(x), size=BATCH))
            error = network(x[rows], optimum[rows]) - wanted[rows]
            adam.zero_grad()
            (weight[rows] * error.square()).mean().backward()
            adam.step()
            slower.step()
    return network.requires_grad_(False).eval()  # noqa: FBT003
