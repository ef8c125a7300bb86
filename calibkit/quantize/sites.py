"""The quantizers of the two networks by name: sites of weights and activations. No torch here."""

from __future__ import annotations

GATES = ("input", "forget", "cell", "output")
"""Brevitas's names of the LSTM gates, in torch's row order W_ii | W_if | W_ig | W_io."""

WEIGHT_SITES = {
    "discriminative": ("embedding", *(f"lstm.weight_{g}" for g in GATES), "classifier"),
    "generative": (
        "embedding",
        *(f"lstm.weight_{g}" for g in GATES),
        "label_embedding",
        "decoder",
    ),
}
"""Model kind -> weight tensors that have a quantizer, in the order of the forward pass.

An LSTM gate's input-to-hidden and hidden-to-hidden matrices share one quantizer, as in Brevitas.
"""

LSTM_SITES = (
    "lstm.io",
    *(f"lstm.acc_{g}" for g in GATES),
    "lstm.sigmoid_input",
    "lstm.sigmoid_forget",
    "lstm.tanh_cell",
    "lstm.sigmoid_output",
    "lstm.cell",
    "lstm.tanh_hidden",
)
"""Activation quantizers of one LSTM layer.

``lstm.io`` quantizes the layer's input and its hidden output (one scale, as in Brevitas);
``lstm.cell`` quantizes f * c, i * g and their sum.
"""

ACTIVATION_SITES = {
    "discriminative": ("input", *LSTM_SITES, "classifier.input"),
    "generative": ("input", *LSTM_SITES, "decoder.input"),
}
"""Model kind -> activation quantizers, in the order of the forward pass."""

UNSIGNED_SITES = ("lstm.sigmoid_input", "lstm.sigmoid_forget", "lstm.sigmoid_output")
"""Activation sites whose values are never negative, quantized to 0 .. 2^b - 1."""

LINEAR_SITES = {"discriminative": ("classifier",), "generative": ("decoder",)}
"""Model kind -> linear layers, the ones that rounding ``linear`` reaches."""
