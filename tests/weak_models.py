"""Models with one quantizer that is weak on purpose."""

from __future__ import annotations

import dataclasses


def with_weak_embedding(model):
    """A word that no document has takes the range that all the others need."""
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    arrays["embedding.weight"][1] = 40.0
    return dataclasses.replace(model, arrays=arrays)


def with_weak_decoder(model):
    """A weight that always meets an input of 0, and would speak for a word that never comes."""
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    hidden = arrays["lstm.weight_hh_l0"].shape[1]
    arrays["label_embedding.weight"][:, 0] = 0.0
    arrays["decoder.weight"][1, hidden] = 40.0
    return dataclasses.replace(model, arrays=arrays)


def with_weak_cell(model):
    """A unit that counts tokens: its cell state is 20 where others have 1. Nobody reads it."""
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    hidden = arrays["lstm.weight_hh_l0"].shape[1]
    for gate, bias in enumerate((4.0, 4.0, 3.0, -3.0)):
        row = gate * hidden
        arrays["lstm.weight_ih_l0"][row] = arrays["lstm.weight_hh_l0"][row] = 0.0
        arrays["lstm.bias_ih_l0"][row], arrays["lstm.bias_hh_l0"][row] = bias, 0.0
    arrays["lstm.weight_hh_l0"][:, 0] = 0.0
    last = "classifier.weight" if model.kind == "discriminative" else "decoder.weight"
    arrays[last][:, 0] = 0.0
    return dataclasses.replace(model, arrays=arrays)


WEAK = {
    "embedding": ("discriminative", with_weak_embedding),
    "lstm.cell": ("discriminative", with_weak_cell),
    "decoder": ("generative", with_weak_decoder),
}
