"""A scheme on the command line: ``--preset`` and ``--set``, as a recipe's quantize section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibkit.cli.build_subset import parameters
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.quantize.schemes import SchemeSettings


def base_settings(preset: str, given: Sequence[str]) -> SchemeSettings:
    """Return the scheme settings of ``--preset`` and ``--set``."""
    from calibkit.recipe.settings import quantize_settings

    values: dict[str, Any] = parameters(given, "--set", "weights=per-channel")
    if "preset" in values:
        raise BadInput(f"--set preset={values['preset']}: write --preset {values['preset']}")
    return quantize_settings({"preset": preset, **values})


def check_kind(settings: SchemeSettings, kind: str) -> None:
    """Refuse patterns and keys that have no effect on this kind of model."""
    from calibkit.quantize.schemes import unmatched_patterns
    from calibkit.recipe.yaml_source import path_text

    problems = [
        f"{path_text(('quantize', *path))}: {message}"
        for path, message in unmatched_patterns(settings, (kind,))
    ]
    if problems:
        raise BadInput("\n".join(problems))
