import pytest
import torch

from calibkit.engine.calibrate import calibrate
from calibkit.quantize.networks import PORT, build
from calibkit.quantize.schemes import resolve, settings_from


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"preset": "robust"},
        {"preset": "robust", "separate_hv": True, "rounding": "nearest"},
        {"symmetric": False, "weights": "per-channel"},
        {"dynamic": True},
    ],
)
@pytest.mark.parametrize("bits", [8, 3])
def test_label_logits_are_the_decoders_on_no_hidden_state(
    generative_classifier, wrapped, settings, bits
):
    model = generative_classifier
    scheme = resolve(settings_from(settings), bits=bits)
    network = calibrate(model.kind, model.arrays, wrapped, scheme).network
    with torch.inference_mode():
        vectors = network.label_vectors()
        expected = [network.decode(torch.zeros_like(v), v) for v in vectors]
        assert torch.equal(network.label_logits(), torch.stack(expected))


def test_the_ports_label_logits_are_the_float_decoders(generative_classifier):
    network = build("generative", generative_classifier.arrays, PORT)
    with torch.inference_mode():
        vectors = network.label_vectors()
        expected = [network.decode(torch.zeros_like(v), v) for v in vectors]
        assert torch.equal(network.label_logits(), torch.stack(expected))
