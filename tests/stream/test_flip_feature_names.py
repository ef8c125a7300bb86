"""What a recipe may leave out is what the flip predictor sees."""

from __future__ import annotations

from typing import get_args

from calibkit.quantize.flip_features import FEATURES
from calibkit.recipe.stream_model import Feature


def test_a_recipe_can_name_every_feature_and_no_other() -> None:
    assert get_args(Feature) == FEATURES
