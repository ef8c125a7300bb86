"""One epoch of training the generative model, against the straightforward torch loop."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from calibkit.bench import inputs
from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages
from calibkit.identity import keyed_generator
from calibkit.models.batches import shuffled
from calibkit.models.networks import Generative
from calibkit.models.settings import settings_from
from calibkit.models.training import train

SEED = 0
NEAR = 1e-4
"""Relative difference up to which two losses count as the same."""


def generative(*, documents: int, vocabulary: int, labels: int) -> Case:
    """Return one epoch; validation, which the plain loop leaves out, is two documents a label."""
    settings = settings_from("generative", {"epochs": 1})
    tokens = inputs.documents(documents, vocabulary)
    truth = inputs.label_ids(documents, labels)
    valid = inputs.documents(2 * labels, vocabulary, seed=7)
    valid_labels = inputs.label_ids(2 * labels, labels)

    def straightforward(stages: Stages) -> float:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]), stages("epoch"):
            state = int(keyed_generator(SEED, "training", "weights").integers(2**62))
            torch.default_generator.manual_seed(state)
            model = Generative(
                vocabulary, labels, embedding=settings.embedding, hidden=settings.hidden
            )
            words = np.bincount(tokens.ids, minlength=vocabulary) + 1.0
            words[inputs.BEGIN] = 1.0
            with torch.no_grad():
                model.decoder.bias.copy_(torch.from_numpy(np.log(words / words.sum())))
            adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
            total, count = 0.0, 0
            order = keyed_generator(SEED, "training", "epoch 1")
            for part in shuffled(tokens, settings.batch, order):
                ids = torch.from_numpy(part.ids)
                logits = model(ids, torch.from_numpy(truth[part.rows]))
                targets = ids[:, 1:].flatten()
                loss = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=0)
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
                adam.step()
                real = int((part.lengths - 1).sum())
                total += float(loss.detach()) * real
                count += real
        return total / count

    def ours(stages: Stages) -> float:
        with stages("epoch"):
            done = train(settings, tokens, truth, valid, valid_labels, labels, vocabulary, SEED)
        return done.epochs[0].train_loss

    return Case(
        "generative training",
        {"plain": straightforward, "torch": ours},
        lambda a, b: {"epoch": abs(a - b) <= NEAR * abs(a)},
        {
            "documents": documents,
            "vocabulary": vocabulary,
            "labels": labels,
            "against": f"the loss of nn.LSTM, all logits and cross_entropy, within {NEAR:g}",
        },
    )
