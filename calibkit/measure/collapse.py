"""Signs that an accuracy comes from a network that no longer works."""

from __future__ import annotations

DEAD_STATE = "dead-lstm"
ONE_LABEL = "one-label"


def flags(*, mean_abs_h: float, float_mean_abs_h: float, majority_share: float) -> tuple[str, ...]:
    """Return the collapse flags of one measurement.

    dead-lstm: mean |h| is below 1 % of the float model's, so the hidden state says nothing (a
    generative model can still score well from its label embedding alone). one-label: at least
    99.9 % of the predictions are one label.
    """
    found = []
    if mean_abs_h < 0.01 * float_mean_abs_h:
        found.append(DEAD_STATE)
    if majority_share >= 0.999:
        found.append(ONE_LABEL)
    return tuple(found)
