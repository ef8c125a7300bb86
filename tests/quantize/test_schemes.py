from dataclasses import replace

import pytest

from calibkit.errors import BadInput
from calibkit.quantize.contradictions import refuse_peer
from calibkit.quantize.presets import PRESETS
from calibkit.quantize.schemes import (
    SchemeSettings,
    has_bits,
    resolve,
    rounding_name,
    scheme_from_dict,
    settings_from,
    unmatched_patterns,
)
from calibkit.quantize.sites import ACTIVATION_SITES, LSTM_SITES, WEIGHT_SITES


def test_a_scheme_survives_its_own_plain_form():
    settings = SchemeSettings(
        bits={"lstm.cell": 8, "lstm.*": 6}, ranges={"input": "minmax"}, percentile=99
    )
    scheme = resolve(settings, bits=4, rounding="gpfq")
    again = scheme_from_dict(scheme.as_dict())
    assert again == scheme
    assert again.id == scheme.id


def test_the_first_pattern_that_matches_decides_and_the_grid_fills_the_rest():
    scheme = resolve(SchemeSettings(bits={"lstm.cell": 8, "lstm.*": 6}), bits=4)
    sites = ("lstm.cell", "lstm.io", "lstm.weight_cell", "input", "decoder")
    assert [scheme.bits_of(s) for s in sites] == [8, 6, 6, 4, 4]
    by_site = resolve(SchemeSettings(ranges={"lstm.*": "minmax"}), bits=4)
    assert by_site.estimator_of("lstm.io") == "minmax"
    assert by_site.estimator_of("input") == "percentile"


def test_a_grid_axis_overrides_the_settings_and_they_the_preset():
    settings = SchemeSettings(rounding="gpfq", percentile=99.5)
    assert resolve(settings, bits=4).rounding_of("linear") == "gpfq"
    assert resolve(settings, bits=4, rounding="nearest").rounding_of("linear") == "nearest"
    assert resolve(settings, bits=4).percentile == 99.5
    assert rounding_name(resolve(settings, bits=4)) == "gpfq"


def test_the_axis_rounding_means_the_linear_layer_and_leaves_the_gates_alone():
    settings = SchemeSettings(rounding={"gates": "least-squares"})
    found = [resolve(settings, bits=4, rounding=r) for r in (None, "nearest", "gptq", "qronos")]
    assert {s.rounding_of("gates") for s in found} == {"least-squares"}
    assert [rounding_name(s) for s in found] == [
        "gates:least-squares",
        "gates:least-squares",
        "gates:least-squares,linear:gptq",
        "gates:least-squares,linear:qronos",
    ]


def test_distillation_is_that_of_all_layers():
    every = ("embedding", "gates", "linear")
    word = resolve(SchemeSettings(rounding="distill"), bits=4)
    assert word.distilled and {word.rounding_of(kind) for kind in every} == {"distill"}
    assert rounding_name(word) == "distill"
    for said in ({"linear": "distill"}, dict.fromkeys(every, "distill")):
        assert resolve(settings_from({"rounding": said}), bits=4) == word
    robust = resolve(SchemeSettings(preset="robust", rounding="distill"), bits=4)
    assert robust.rounding == word.rounding and not robust.corrects_bias("gates")
    assert scheme_from_dict(word.as_dict()) == word
    plain = resolve(SchemeSettings(), bits=4)
    assert replace(word, rounding=plain.rounding) == plain and word.id != plain.id
    # the float pass of Brevitas is nothing that it reads
    assert resolve(SchemeSettings(rounding="distill", float_pass="brevitas"), bits=4) == word


def test_an_axis_with_distillation_says_so_for_every_layer():
    for settings in (SchemeSettings(), SchemeSettings(rounding="gpfq")):
        assert resolve(settings, bits=4, rounding="distill").distilled
    whole = SchemeSettings(rounding="distill")
    assert resolve(whole, bits=4, rounding="nearest") == resolve(SchemeSettings(), bits=4)
    gates = SchemeSettings(rounding={"gates": "gpfq"})
    with pytest.raises(BadInput, match=r"quantize\.rounding\.gates: gpfq beside linear: distill"):
        resolve(gates, bits=4, rounding="distill")


def test_an_embedding_is_told_why_it_is_rounded_to_nearest():
    with pytest.raises(BadInput, match="one-hot.*gptq is nearest rounding; use nearest, or"):
        resolve(SchemeSettings(rounding={"embedding": "gptq"}), bits=4)


def test_the_float_pass_is_part_of_a_scheme_only_where_rounding_reads_it():
    defective = SchemeSettings(float_pass="brevitas")
    for rounding in ("nearest", "gptq"):
        plain = resolve(SchemeSettings(), bits=4, rounding=rounding)
        assert resolve(defective, bits=4, rounding=rounding) == plain
    for rounding in ("gpfq", "qronos", "least-squares"):
        plain = resolve(SchemeSettings(), bits=4, rounding=rounding)
        other = resolve(defective, bits=4, rounding=rounding)
        assert other == replace(plain, float_pass="brevitas") and other.id != plain.id
        assert scheme_from_dict(other.as_dict()) == other
        assert "float_pass" not in plain.as_dict()
        assert scheme_from_dict(plain.as_dict()) == plain


@pytest.mark.parametrize("bias", [False, True])
def test_least_squares_always_moves_the_bias_of_gates(bias):
    for gates in ("nearest", "gpfq", "least-squares"):
        settings = SchemeSettings(rounding={"gates": gates}, bias_correction=bias)
        scheme = resolve(settings, bits=4, rounding="least-squares")
        assert scheme.corrects_bias("gates") is (bias or gates == "least-squares")
        assert scheme.corrects_bias("linear") is bias


def test_each_preset_is_what_its_name_says():
    own = [name for name in PRESETS if not name.startswith("onnx")]
    schemes = {name: resolve(SchemeSettings(preset=name), bits=4) for name in own}
    assert len({s.id for s in schemes.values()}) == len(schemes) == 4
    paper, robust, mixed = (schemes[n] for n in ("paper", "robust", "robust-mixed"))
    assert (paper.observer, paper.weights, paper.weight_ranges) == (
        "brevitas", "per-tensor", "minmax",
    )  # fmt: skip
    assert paper.estimator_of("lstm.io") == "percentile" and paper.percentile == 99.999
    assert (robust.estimator_of("lstm.io"), robust.weight_ranges) == ("output-mse", "mse")
    assert (robust.weights, robust.rounding_of("linear")) == ("per-channel", "gpfq")
    assert robust.cell_guard and mixed.cell_guard and not paper.cell_guard
    assert {robust.bits_of(s) for s in ACTIVATION_SITES["generative"]} == {4}
    assert {mixed.bits_of(s) for s in LSTM_SITES} == {8}
    others = {*ACTIVATION_SITES["generative"], *WEIGHT_SITES["generative"]} - {*LSTM_SITES}
    assert {mixed.bits_of(s) for s in others} == {4}
    assert replace(mixed, site_bits=()) == robust


def test_every_key_but_the_preset_overrides_it():
    given = {
        "weights": "per-channel", "ranges": "minmax", "weight_ranges": "minmax",
        "rounding": "gpfq", "cell_guard": False, "arithmetic": "float-native",
    }  # fmt: skip
    plain = resolve(settings_from(given), bits=3)
    robust = resolve(settings_from({**given, "preset": "robust"}), bits=3)
    assert robust == plain


def test_site_bits_of_the_recipe_come_before_those_of_the_preset():
    settings = SchemeSettings(preset="robust-mixed", bits={"lstm.acc_*": 6, "decoder": 5})
    scheme = resolve(settings, bits=4)
    sites = ("lstm.acc_input", "lstm.cell", "decoder", "input")
    assert [scheme.bits_of(s) for s in sites] == [6, 8, 5, 4]
    everywhere = resolve(SchemeSettings(preset="robust-mixed", bits={"*": 5}), bits=4)
    assert everywhere.bits_of("lstm.cell") == 5


def test_a_preset_that_says_nothing_new_at_a_width_is_the_same_scheme():
    eight = [resolve(SchemeSettings(preset=p), bits=8) for p in ("robust", "robust-mixed")]
    assert eight[0] == eight[1]
    written = resolve(SchemeSettings(preset="robust", bits={"lstm.cell": 8}), bits=8)
    assert written != eight[0]  # what a recipe writes stays in its scheme, and in the old ids


def test_the_ids_of_schemes_that_stores_hold_do_not_change():
    assert resolve(SchemeSettings(), bits=4).id == "q1-6b50469be23701f7"
    settings = SchemeSettings(ranges="mse", weight_ranges="mse", bits={"lstm.cell": 8})
    assert resolve(settings, bits=3, rounding="gpfq").id == "q1-d8fc3a4c5ea65bbb"


def test_the_batch_of_the_own_observer_is_no_part_of_the_identity():
    scheme = resolve(SchemeSettings(), bits=4)
    own = [replace(scheme, observer_batch=n).id for n in (8, 64)]
    theirs = [
        resolve(SchemeSettings(observer="brevitas", observer_batch=n), bits=4).id for n in (8, 64)
    ]
    assert own[0] == own[1]
    assert len({*own, *theirs}) == 3


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ({"preset": "paper", "ranges": "mse"}, "ranges"),
        ({"preset": "paper", "percentile": 99.0}, "percentile"),
        ({"preset": "robust", "percentile": 99.0}, "percentile"),
        ({"preset": "robust", "observer": "brevitas"}, "observer"),
        ({"preset": "robust", "observer_batch": 8}, "observer_batch"),
        ({"rounding": "distill", "bias_correction": True}, "bias_correction"),
        ({"rounding": {"gates": "distill"}}, "rounding.gates"),
        ({"rounding": {"embedding": "distill", "linear": "gpfq"}}, "rounding.embedding"),
        ({"rounding": {"linear": "distill", "gates": "nearest"}}, "rounding.gates"),
        ({"rounding": {"linear": "distill", "embedding": "nearest"}}, "rounding.embedding"),
        ({"dynamic": True, "rounding": "distill"}, "rounding"),
        ({"rounding": {"embedding": "gpfq"}}, "rounding.embedding"),
        ({"float_pass": "brevitas", "rounding": {"gates": "gpfq"}}, "float_pass"),
        ({"float_pass": "brevitas", "bias_correction": True}, "float_pass"),
        ({"observer": "brevitas", "separate_io": True}, "separate_io"),
        ({"preset": "paper", "separate_hv": True}, "separate_hv"),
        ({"observer": "brevitas", "cell_guard": True}, "cell_guard"),
        ({"preset": "robust", "observer": "brevitas", "ranges": "percentile"}, "observer"),
        ({"dynamic": True, "ranges": "mse"}, "ranges"),
        ({"dynamic": True, "percentile": 99.0}, "percentile"),
        ({"dynamic": True, "observer": "brevitas"}, "observer"),
        ({"dynamic": True, "cell_guard": True}, "cell_guard"),
        ({"dynamic": True, "separate_io": True}, "separate_io"),
        ({"dynamic": True, "rounding": "gpfq"}, "rounding"),
        ({"dynamic": True, "float_pass": "brevitas"}, "float_pass"),
        ({"dynamic": True, "arithmetic": "integer"}, "arithmetic"),
        ({"dynamic": True, "arithmetic": "float-native"}, "arithmetic"),
        ({"symmetric": False, "ranges": "kl"}, "ranges"),
        ({"symmetric": False, "observer": "brevitas"}, "symmetric"),
        ({"symmetric": False, "preset": "paper"}, "symmetric"),
        ({"symmetric": False, "dynamic": True}, "symmetric"),
        ({"observer_batch": 8}, "observer_batch"),
        ({"ranges": "mse", "percentile": 99.0}, "percentile"),
        ({"observer": "brevitas", "ranges": "minmax"}, "ranges"),
        ({"observer": "brevitas", "percentile": 99.9}, "percentile"),
    ],
)
def test_what_this_version_cannot_do_is_refused_by_name(plain, named):
    with pytest.raises(BadInput, match=rf"quantize\.{named}: "):
        resolve(settings_from(plain), bits=4)


def test_the_arithmetic_is_part_of_a_scheme_and_does_not_follow_the_machine(monkeypatch):
    usual = resolve(SchemeSettings(), bits=4)
    monkeypatch.setenv("CALIBKIT_NO_NATIVE", "1")
    assert resolve(SchemeSettings(), bits=4).id == usual.id
    assert usual.arithmetic == "float-torch"
    others = [SchemeSettings(arithmetic=name) for name in ("float-native", "integer")]
    assert len({usual.id, *(resolve(one, bits=4).id for one in others)}) == 3


@pytest.mark.parametrize("plain", [{"bits": {"input": 9}}, {"percentil": 99}, {"dynamic": 1}])
def test_malformed_settings_name_the_key(plain):
    with pytest.raises(BadInput, match=rf"quantize\.{next(iter(plain))}"):
        settings_from(plain)


def test_a_pattern_that_matches_no_quantizer_is_found():
    settings = SchemeSettings(bits={"decoder": 8, "lsmt.*": 4})
    assert [p for p, _ in unmatched_patterns(settings, ("generative",))] == [("bits", "lsmt.*")]
    both = unmatched_patterns(settings, ("discriminative",))
    assert {p for p, _ in both} == {("bits", "decoder"), ("bits", "lsmt.*")}


def test_dynamic_quantization_overrides_what_a_preset_says_of_calibration():
    plain, paper, robust = (
        resolve(SchemeSettings(preset=name, dynamic=True), bits=4)
        for name in ("brevitas-default", "paper", "robust")
    )
    assert plain == paper
    assert robust == replace(plain, weight_ranges="mse", weights="per-channel")
    mixed = resolve(SchemeSettings(preset="robust-mixed", dynamic=True), bits=4)
    assert mixed.bits_of("lstm.cell") == 8
    nothing = {"cell_guard": False, "separate_io": False, "rounding": "nearest"}
    assert resolve(settings_from({"dynamic": True, **nothing}), bits=4) == plain


def test_own_scales_for_h_and_v_need_a_model_that_has_both():
    settings = SchemeSettings(separate_hv=True)
    assert [p for p, _ in unmatched_patterns(settings, ("discriminative",))] == [("separate_hv",)]
    assert unmatched_patterns(settings, ("discriminative", "generative")) == []


@pytest.mark.parametrize("preset", ["onnx-dynamic", "onnx-static"])
def test_another_tool_s_scheme_tells_only_what_it_has(preset):
    scheme = resolve(SchemeSettings(preset=preset), bits=8)
    assert scheme.as_dict() == {"quantizer": preset, "bits": 8}
    assert scheme_from_dict(scheme.as_dict()) == scheme and scheme.by_peer
    assert scheme.reads_documents is (preset == "onnx-static")
    assert rounding_name(scheme) == "nearest"
    assert scheme.quantities(["weights", "activations", "token-nll"]) == ("weights", "token-nll")


def test_calibkit_s_own_schemes_are_not_told_whose_they_are():
    scheme = resolve(SchemeSettings(preset="robust"), bits=8)
    assert "quantizer" not in scheme.as_dict() and not scheme.by_peer
    assert scheme.reads_documents and scheme.quantities(["activations"]) == ("activations",)
    assert not resolve(SchemeSettings(dynamic=True), bits=8).reads_documents


@pytest.mark.parametrize(
    "key",
    [
        {"bits": {"lstm.cell": 8}}, {"weights": "per-channel"}, {"observer": "brevitas"},
        {"observer_batch": 8}, {"ranges": "mse"}, {"weight_ranges": "mse"}, {"percentile": 99.0},
        {"symmetric": True}, {"separate_io": True}, {"separate_hv": True}, {"dynamic": True},
        {"rounding": "gpfq"}, {"rounding": {"gates": "gptq"}}, {"bias_correction": True},
        {"float_pass": "brevitas"}, {"cell_guard": True}, {"arithmetic": "float-native"},
    ],
)  # fmt: skip
def test_another_tool_s_quantizer_takes_no_setting_of_calibkit_s(key):
    (name,) = key
    with pytest.raises(BadInput, match=rf"^quantize\.{name}: the preset onnx-static is another"):
        resolve(settings_from({"preset": "onnx-static", **key}), bits=8)


def test_what_another_tool_does_anyway_may_be_said():
    nothing = {"rounding": "nearest", "arithmetic": "float-torch", "dynamic": False}
    plain = resolve(SchemeSettings(preset="onnx-dynamic"), bits=8)
    assert resolve(settings_from({"preset": "onnx-dynamic", **nothing}), bits=8) == plain
    assert resolve(SchemeSettings(preset="onnx-dynamic"), bits=8, rounding="nearest") == plain


def test_another_tool_s_quantizer_has_eight_bits():
    settings = SchemeSettings(preset="onnx-dynamic")
    assert [bits for bits in range(2, 9) if has_bits(settings, bits)] == [8]
    with pytest.raises(BadInput, match="onnx-dynamic quantizes to 8 bits, and 4 are asked for"):
        resolve(settings, bits=4)


def test_what_needs_calibkit_s_own_network_refuses_others_by_name():
    refuse_peer("calibkit", "never told")
    with pytest.raises(BadInput, match="preset onnx-static is .*, and so it is; take .* as robust"):
        refuse_peer("onnx-static", "so it is")
