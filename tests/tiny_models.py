"""Settings of models that are trained in a second."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "epochs": 3,
    "hidden": 12,
    "embedding": 12,
    "min_count": 1,
    "batch": 8,
    "learning_rate": 0.02,
}
