"""calibkit: find, build and judge calibration sets for post-training quantization.

What programs and notebooks use::

    from calibkit import Policy, Recipe, Store

    Store("store/calibkit.duckdb").sql("FROM summary WHERE noise = 0").df()
    Recipe.load("recipes/quickstart.yaml").cells()

Everything else is done by the command line. `Policy` is what policies of one's own are made from.
"""

import importlib
from typing import TYPE_CHECKING, Any

from calibkit._version import __version__

if TYPE_CHECKING:
    from calibkit.policies import Policy
    from calibkit.recipe import Recipe
    from calibkit.store import Store

__all__ = ["Policy", "Recipe", "Store", "__version__"]

_HOMES = {"Policy": "calibkit.policies", "Recipe": "calibkit.recipe", "Store": "calibkit.store"}


def __getattr__(name: str) -> Any:
    """Import a public class when it is first asked for: `import calibkit` alone stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'calibkit' has no attribute {name!r}; it has {__all__}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
