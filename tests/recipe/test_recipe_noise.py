from __future__ import annotations

import pytest

from calibkit.corpora.noise import noise_kinds
from calibkit.errors import RecipeError
from calibkit.recipe import load_recipe


def test_every_kind_of_noise_can_be_asked_for(right, tmp_path):
    path = tmp_path / "recipe.yaml"
    kinds = ", ".join(f"{kind}: [0.1, 0.05]" for kind in noise_kinds())
    path.write_text(right.replace("keyboard: [0.05, 0.10]", kinds))
    found = load_recipe(path).measure.noise
    assert found == tuple((kind, level) for kind in noise_kinds() for level in (0.05, 0.1))


def test_a_control_of_an_unknown_kind_is_refused(right, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(right.replace("keyboard:", "unk-match-orc:"))
    with pytest.raises(RecipeError, match="did you mean 'unk-match-ocr'"):
        load_recipe(path)
