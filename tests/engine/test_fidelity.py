"""Brevitas's own gpfq_mode against both float passes of ours."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from calibkit.engine.calibrate import calibrate
from calibkit.engine.gram import linear_gram
from calibkit.quantize.networks import linear_name, weight_proxies, weight_tensors
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.ragged import Ragged

STEPS = 16
"""All documents are as long: gpfq_mode would take padding for tokens of the generative model."""


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    return Ragged.of([np.r_[2, rng.integers(4, 60, size=STEPS - 2), 3] for _ in range(120)])


class OneLabel(nn.Module):
    """A generative network with one run of the decoder a call, where gpfq_mode stops."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, ids, label):
        states = self.network.hidden_states(ids[:, :-1])
        return self.network.decode(states, self.network.label_vectors()[label])


def codes_of_gpfq_mode(network, documents):
    """What Brevitas makes of the linear layer when left to itself."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        from brevitas.graph.gpfq import gpfq_mode

        copy, name = deepcopy(network), linear_name(network.kind)
        ids = torch.from_numpy(np.stack([documents[i] for i in range(len(documents))])).long()
        generative = network.kind == "generative"
        model = OneLabel(copy) if generative else copy
        with gpfq_mode(model, dtype=torch.float64) as mode:
            if generative:
                for label in range(len(network.log_prior)):
                    mode.model(ids, label)
            else:
                mode.model(ids, torch.full((len(documents),), STEPS))
            mode.update()
        value, scale = weight_proxies(copy)[name].tensor_quant(weight_tensors(copy)[name])[:2]
        return torch.round(value / scale).numpy()


@pytest.mark.parametrize("bits", [4, 8])
def test_the_float_pass_of_brevitas_gives_its_codes_and_the_float_model_others(
    float_classifier, documents, bits
):
    kind, arrays = float_classifier.kind, float_classifier.arrays

    def calibrated(**settings):
        return calibrate(kind, arrays, documents, resolve(SchemeSettings(**settings), bits=bits))

    nearest = calibrated().network
    theirs = codes_of_gpfq_mode(nearest, documents)
    alive = (linear_gram(nearest, arrays, documents).quantized.diagonal() > 0).numpy()
    defective = calibrated(rounding="gpfq", float_pass="brevitas")
    # Brevitas prunes the columns of dead inputs
    assert (defective.codes != theirs)[:, alive].mean() <= 1e-3
    assert (calibrated(rounding="gpfq").codes != theirs)[:, alive].mean() > 0.1


def test_the_float_pass_leaves_the_quantizers_as_they_were(float_classifier, documents):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    settings = SchemeSettings(rounding="gpfq", float_pass="brevitas")
    network = calibrate(kind, arrays, documents, resolve(settings, bits=4)).network
    other = calibrate(kind, arrays, documents, resolve(SchemeSettings(), bits=4)).network
    ids = torch.from_numpy(documents[0].astype(np.int64))[None]
    with torch.inference_mode():
        assert torch.equal(network.hidden_states(ids), other.hidden_states(ids))
