"""Parts of recipes that several tests of sweeps write over the base."""

from typing import Any

ONE_CELL: dict[str, Any] = {
    "grid": {"model": ["discriminative"], "policy": ["random"], "seed": [0], "bits": [8]},
    "measure": {"noise": {"keyboard": None}, "distributions": []},
}
