"""Presets of other tools in a grid: what they refuse, and where it is said."""

from __future__ import annotations

import pytest
from stream_text import RIGHT as STREAM

from calibkit.errors import RecipeError
from calibkit.recipe import parse_recipe, parse_stream_recipe

TAKES_NONE = (
    "the preset onnx-static is another tool's quantizer, which takes no settings of calibkit's; "
    "leave it out, or say it under `schemes:` for the presets that have it"
)


def peers(right: str) -> str:
    text = right.replace("rounding: [nearest, gpfq]", "preset: [robust, onnx-static]")
    return text.replace("bits: [8, 4]", "bits: [8]")


def problems(text: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        parse_recipe(text)
    return [line.partition(": ")[2] for line in error.value.problems]


def test_they_are_crossed_with_everything_like_presets(right: str) -> None:
    cells = list(parse_recipe(peers(right)).cells())
    found = {(c.preset, c.bits, c.rounding, c.scheme.quantizer) for c in cells}
    assert found == {
        ("robust", 8, "gpfq", "calibkit"),
        ("onnx-static", 8, "nearest", "onnx-static"),
    }
    assert len(cells) == 2 * len([c for c in cells if c.preset == "robust"])


def test_a_scheme_of_the_recipe_may_be_one(right: str) -> None:
    text = peers(right).replace("[robust, onnx-static]", "[ours, theirs]")
    schemes = "schemes: {ours: {preset: robust}, theirs: {preset: onnx-dynamic}}"
    text = text.replace("quantize: {preset: brevitas-default}", schemes)
    found = {c.preset: c.scheme.quantizer for c in parse_recipe(text).cells()}
    assert found == {"ours": "calibkit", "theirs": "onnx-dynamic"}


def test_a_width_that_they_lack_is_left_out_or_excluded(right: str) -> None:
    text = peers(right).replace("bits: [8]", "bits: [8, 4]")
    (told,) = problems(text)
    assert told == (
        "grid.bits[1]: the preset onnx-static quantizes to 8 bits only; leave 4 out, or exclude "
        "{preset: onnx-static, bits: 4}"
    )
    half = "exclude: [{preset: onnx-static, bits: 4, policy: random}]"
    assert problems(text.replace("exclude: []", half)) == [told]
    whole = "exclude: [{preset: [onnx-static], bits: 4}]"
    recipe = parse_recipe(text.replace("exclude: []", whole))
    assert {(c.preset, c.bits) for c in recipe.cells()} == {
        ("robust", 8), ("robust", 4), ("onnx-static", 8),
    }  # fmt: skip
    assert recipe.id() != parse_recipe(peers(right)).id()


def test_one_preset_for_all_names_no_exclusion(right: str) -> None:
    text = right.replace("brevitas-default", "onnx-dynamic").replace("  rounding: [near", "# [")
    (told,) = problems(text)
    assert told == ("grid.bits[1]: the preset onnx-dynamic quantizes to 8 bits only; leave 4 out")


def test_settings_that_they_do_not_take_are_told_where_they_stand(right: str) -> None:
    text = peers(right).replace("{preset: brevitas-default}", "{arithmetic: float-native}")
    assert problems(text) == [f"quantize.arithmetic: {TAKES_NONE}"]
    under_schemes = "schemes: {ours: {preset: robust, arithmetic: float-native}}"
    text = text.replace("quantize: {arithmetic: float-native}", under_schemes)
    parse_recipe(text.replace("[robust, onnx-static]", "[ours, onnx-static]"))
    axis = peers(right).replace("  preset: [", "  rounding: [nearest, gpfq]\n  preset: [")
    assert problems(axis) == [f"grid.rounding[1]: {TAKES_NONE}"]


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("quantize: {preset: robust}", "quantize: {preset: onnx-static}", "quantize.preset"),
        (
            "quantize: {preset: robust}",
            "schemes: {mine: {preset: onnx-static}}",
            "schemes.mine.preset",
        ),
    ],
)
def test_no_stream_goes_through_their_networks(before: str, after: str, where: str) -> None:
    assert before in STREAM
    with pytest.raises(RecipeError, match=rf"{where}: onnx-static is another tool's quantizer"):
        parse_stream_recipe(STREAM.replace(before, after))
