"""The shortest settings of a scheme say that scheme, and nothing that could be left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.quantize.presets import PRESETS
from calibkit.quantize.schemes import (
    SchemeSettings,
    has_bits,
    resolve,
    settings_from,
    unsupported,
)
from calibkit.quantize.shortest import shortest_settings

ESTIMATORS = st.sampled_from(["percentile", "minmax", "mse", "output-mse", "kl"])
ROUNDINGS = st.sampled_from(["nearest", "gpfq", "gptq", "qronos", "least-squares", "distill"])
SITES = st.sampled_from(["lstm.*", "*", "input", "lstm.cell", "classifier.*", "decoder.input"])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "preset": st.sampled_from(list(PRESETS)),
        "bits": st.dictionaries(SITES, st.integers(2, 8), max_size=3),
        "weights": st.sampled_from(["per-tensor", "per-channel"]),
        "observer": st.sampled_from(["calibkit", "brevitas"]),
        "observer_batch": st.integers(1, 128),
        "ranges": ESTIMATORS | st.dictionaries(SITES, ESTIMATORS, min_size=1, max_size=3),
        "weight_ranges": st.sampled_from(["minmax", "mse"]),
        "percentile": st.sampled_from([99.0, 99.999, 100.0]),
        "symmetric": st.booleans(),
        "separate_io": st.booleans(),
        "separate_hv": st.booleans(),
        "dynamic": st.booleans(),
        "rounding": ROUNDINGS
        | st.dictionaries(st.sampled_from(["linear", "gates"]), ROUNDINGS, min_size=1)
        | st.just(dict.fromkeys(["linear", "gates", "embedding"], "distill")),
        "bias_correction": st.booleans(),
        "cell_guard": st.booleans(),
        "arithmetic": st.sampled_from(["float-torch", "float-native", "integer"]),
        "float_pass": st.sampled_from(["float", "brevitas"]),
    },
)


def said(settings: SchemeSettings) -> dict[str, object]:
    return settings.model_dump(exclude_unset=True)


def leaves(values: dict[str, object]) -> int:
    return sum(
        1 + (len(value) if isinstance(value, dict) else 0)
        for key, value in values.items()
        if key != "preset"
    )


@given(SETTINGS, st.integers(2, 8))
def test_it_says_the_same_scheme_in_no_more_words(values, bits):
    settings = settings_from(values)
    if unsupported(settings) or not has_bits(settings, bits):
        return
    scheme = resolve(settings, bits=bits)
    shortest = shortest_settings(scheme)
    assert not unsupported(shortest)
    assert resolve(shortest, bits=bits).id == scheme.id
    kept = said(shortest)
    assert leaves(kept) <= leaves(said(settings))
    for key in kept.keys() - {"preset"}:
        rest = settings_from({other: value for other, value in kept.items() if other != key})
        assert unsupported(rest) or resolve(rest, bits=bits).id != scheme.id


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"preset": "brevitas-default"}),
        ({"preset": "robust-mixed"}, {"preset": "robust-mixed"}),
        ({"preset": "paper"}, {"preset": "paper"}),
        ({"observer": "brevitas"}, {"preset": "paper"}),
        ({"rounding": "gpfq"}, {"preset": "brevitas-default", "rounding": "gpfq"}),
        (
            {"preset": "robust", "ranges": {"lstm.*": "minmax"}, "percentile": None},
            {"preset": "robust", "ranges": {"lstm.*": "minmax"}},
        ),
        (
            {"rounding": {"linear": "distill", "gates": "distill", "embedding": "distill"}},
            {"preset": "brevitas-default", "rounding": "distill"},
        ),
        ({"dynamic": True}, {"preset": "brevitas-default", "dynamic": True}),
        (
            {"preset": "robust", "arithmetic": "integer", "cell_guard": False},
            {"preset": "robust", "arithmetic": "integer", "cell_guard": False},
        ),
    ],
)
def test_well_known_schemes_are_short(values, expected):
    given = {key: value for key, value in values.items() if value is not None}
    scheme = resolve(settings_from(given), bits=4)
    assert said(shortest_settings(scheme)) == expected


@pytest.mark.parametrize("preset", ["onnx-dynamic", "onnx-static"])
def test_of_another_tool_s_scheme_the_preset_is_all_there_is_to_say(preset):
    scheme = resolve(settings_from({"preset": preset}), bits=8)
    assert said(shortest_settings(scheme, preset="mine")) == {"preset": preset}


def test_at_eight_bits_two_presets_are_one_and_the_named_one_is_said():
    scheme = resolve(settings_from({"preset": "robust-mixed"}), bits=8)
    assert said(shortest_settings(scheme)) == {"preset": "robust"}
    assert said(shortest_settings(scheme, preset="robust-mixed")) == {"preset": "robust-mixed"}
