"""Sensitivities of hand-made models, some of which have one weak quantizer on purpose."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from watchers import Counted
from weak_models import WEAK, with_weak_cell, with_weak_embedding

from calibkit.decide.budget import mean_bits, sizes_of, used
from calibkit.decide.judging import Measured
from calibkit.decide.measuring import Meter
from calibkit.decide.request import Request
from calibkit.decide.sensitivity import sensitivity
from calibkit.decide.subject import Subject
from calibkit.decide.targets import fixed_bits, sites_of, targets
from calibkit.engine import native
from calibkit.engine.calibrate import calibrate
from calibkit.engine.plain import evaluate
from calibkit.errors import BadInput
from calibkit.quantize.networks import site_weight
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES
from calibkit.recipe import parse_recipe
from calibkit.recipe.dump import dump_quantize
from calibkit.sweep.float_side import float_evaluation

RECIPE = """\
calibkit: 1
name: suggested
corpus: {name: made}
models: {KIND: {}}
policies: {random: {use: random}}
grid: {model: [KIND], policy: [random], size: [8], seed: [0], bits: [LOW]}
"""


def subject_of(model, documents) -> Subject:
    """The model with documents of which it gets every one right."""
    zeros = np.zeros(len(documents), dtype=np.int64)
    found = float_evaluation(model.arrays, model.config, documents, zeros)
    return Subject(
        model.kind,
        model.arrays,
        model.config,
        ("one", "two", "three"),
        documents.take(range(24)),
        documents,
        found.predicted,
    )


@pytest.fixture(scope="module")
def subject(float_classifier, wrapped) -> Subject:
    return subject_of(float_classifier, wrapped)


@pytest.fixture(scope="module")
def discriminative(discriminative_classifier, wrapped) -> Subject:
    return subject_of(discriminative_classifier, wrapped)


def study(subject, **asked):
    asked = {"settings": SchemeSettings(), "evaluations": 0, "engine": "plain", **asked}
    watched = Counted("accuracy")
    return sensitivity(subject, Request(**asked), watched), watched


@pytest.fixture
def made_up(monkeypatch):
    """Instead of a network: each quantizer costs more than the one before it, at every width."""

    def measure(meter, scheme):
        count = len(meter.subject.tokens)
        cost = sum(
            (place + 1) * 0.6 ** scheme.bits_of(site) for place, site in enumerate(meter.sites)
        )
        right = np.arange(count) >= min(cost / 60, 1) * count
        return Measured(
            float(right.mean()),
            cost,
            right,
            np.array([count, 0, 0]),
            1.0,
            0.2,
            (),
            scheme,
            np.full(count, cost),
        )

    monkeypatch.setattr(Meter, "_measure", measure)


def of_kind(report, kind):
    return [row for row in report.rows if row.kind == kind]


# ------------------------------------------------------------------------------ weak on purpose


@pytest.mark.parametrize("site", WEAK)
def test_the_weak_quantizer_is_found_first(site, make_model, wrapped):
    kind, weakened = WEAK[site]
    subject = subject_of(weakened(make_model(kind)), wrapped)
    only = ("lstm.weight_output", site, "lstm.tanh_hidden")
    report, _ = study(subject, low=4, settings=SchemeSettings(ranges="minmax"), only=only)
    worst, *others = of_kind(report, "low-alone")
    best = of_kind(report, "high-alone")[0]
    assert (worst.name, worst.sites, worst.bits) == (site, (site,), 4)
    assert best.name == site
    loss = -worst.difference.difference
    singles = [row for row in others if len(row.sites) == 1]
    assert loss > 0.1 and loss > 2 * max(-row.difference.difference for row in singles)
    assert worst.difference.high < 0


def test_the_weak_quantizer_gets_the_bits(discriminative_classifier, wrapped):
    subject = subject_of(with_weak_embedding(discriminative_classifier), wrapped)
    only = ("lstm.weight_output", "embedding")
    report, _ = study(subject, low=3, budget=5.0, evaluations=14, only=only)
    bits = report.suggestion.bits
    assert bits["embedding"] > bits["lstm.weight_output"]
    even, suggested = report.rows[-2:]
    assert even.name == "uniform" and even.mean_bits["weights"] <= 5
    assert suggested.measured.nll < even.measured.nll
    assert suggested.against == "uniform"


# ------------------------------------------------------------------------------------- the rows


def test_every_quantizer_and_group_is_alone_once_in_each_direction(made_up, subject):
    report, watched = study(subject)
    sites = [*WEIGHT_SITES[subject.kind], *ACTIVATION_SITES[subject.kind]]
    groups = ["lstm.weight_*", "all weights", "lstm.acc_*", "lstm.sigmoid_*", "lstm activations"]
    for kind in ("low-alone", "high-alone"):
        names = [row.name for row in of_kind(report, kind)]
        assert sorted(names) == sorted([*sites, *groups, "all activations"])
        assert set(names[: len(sites)]) == set(sites)
    assert [row.name for row in of_kind(report, "reference")] == [
        "float model", "all high", "all low",
    ]  # fmt: skip
    # all weights low is all activations high: measured once, told as often as it is asked
    expected = 2 + 2 * len(sites) + 2 * 4 + 2
    assert watched.phases == {"quantizers": expected} and watched.steps["quantizers"] == expected
    assert report.suggestion is None


def test_rows_are_in_order(made_up, subject):
    report, _ = study(subject)
    for kind, sign in (("low-alone", 1), ("high-alone", -1)):
        singles = [row for row in of_kind(report, kind) if len(row.sites) == 1]
        keys = [(sign * r.measured.accuracy, -sign * r.measured.nll) for r in singles]
        assert keys == sorted(keys)


def test_a_row_is_what_calibrating_and_evaluating_gives(subject):
    only = ("lstm.acc_input", "lstm.acc_cell")
    report, _ = study(subject, low=3, high=7, settings=SchemeSettings(preset="robust"), only=only)
    row = next(r for r in of_kind(report, "low-alone") if r.name == "lstm.acc_*")
    settings = SchemeSettings(preset="robust", bits=dict.fromkeys(only, 3))
    scheme = resolve(settings, bits=7)
    done = calibrate(subject.kind, subject.arrays, subject.subset, scheme)
    expected = evaluate(done.network, subject.tokens, subject.label_ids)
    right = expected.predicted == subject.label_ids
    assert np.array_equal(row.measured.right, right)
    assert row.measured.nll == pytest.approx(expected.nll.mean(), rel=1e-12)
    assert row.measured.mean_abs_h == expected.mean_abs_h
    counts = np.bincount(expected.predicted, minlength=3)
    assert row.measured.predicted.tolist() == counts.tolist()
    assert row.measured.majority_share == counts.max() / len(right)
    high = next(r for r in report.rows if r.name == "all high")
    assert row.difference.difference == pytest.approx(right.mean() - high.measured.accuracy)
    assert row.difference.gained == np.count_nonzero(right & ~high.measured.right)
    assert row.mean_bits["weights"] == 7 and 3 < row.mean_bits["activations"] < 7


def test_references_have_the_scheme_of_a_grid_with_these_bits(made_up, subject):
    settings = SchemeSettings(preset="robust")
    report, _ = study(subject, low=4, settings=settings)
    by_name = {row.name: row for row in report.rows}
    assert by_name["all low"].measured.scheme == resolve(settings, bits=4)
    assert by_name["all high"].measured.scheme == resolve(settings, bits=8)
    assert by_name["float model"].measured.scheme is None
    assert by_name["float model"].measured.accuracy == 1.0
    assert {row.against for row in of_kind(report, "reference")} == {None, "float model"}


def test_where_low_is_high_nothing_differs(made_up, subject):
    report, watched = study(subject, low=5, high=5, evaluations=20)
    assert watched.steps == {"quantizers": 1}
    reference = report.rows[1].measured
    for row in report.rows[1:]:
        assert row.measured is reference and row.bits == 5
        assert row.against == "float model" or row.difference.difference == 0
    assert set(report.suggestion.bits.values()) == {5}


def test_a_dead_network_has_its_flags(discriminative_classifier, wrapped):
    subject = subject_of(with_weak_cell(discriminative_classifier), wrapped)
    settings = SchemeSettings(ranges="minmax")
    report, _ = study(subject, low=2, settings=settings, only=("lstm.cell",))
    by_name = {(row.kind, row.name): row.measured for row in report.rows}
    assert "constant-output" in by_name["low-alone", "lstm.cell"].flags
    assert by_name["reference", "all high"].flags == by_name["reference", "float model"].flags == ()


@pytest.mark.parametrize(
    ("kind", "engine"), [("discriminative", "torch"), ("generative", "native")]
)
def test_engines_agree(kind, engine, make_model, wrapped):
    if engine == "native" and not native.available():
        pytest.skip("the native kernels are not built")
    subject = subject_of(make_model(kind), wrapped)
    asked = {"only": ("lstm.acc_input", "lstm.weight_cell"), "evaluations": 3, "budget": 3.5}
    expected, _ = study(subject, **asked)
    found, _ = study(subject, engine=engine, **asked)
    assert told(found) == told(expected)
    assert found.suggestion == expected.suggestion


def told(report):
    return [
        (row.kind, row.name, row.bits, row.mean_bits, row.measured.nll, row.measured.mean_abs_h,
         row.measured.right.tolist(), row.measured.flags, row.measured.scheme, row.difference)
        for row in report.rows
    ]  # fmt: skip


# -------------------------------------------------------------------------------- what is asked


def test_only_some_quantizers(made_up, discriminative):
    report, _ = study(discriminative, only=("lstm.sigmoid_*", "classifier"), evaluations=30)
    names = {row.name for row in report.rows if row.kind.endswith("alone")}
    assert names == {
        "classifier", "lstm.sigmoid_input", "lstm.sigmoid_forget", "lstm.sigmoid_output",
        "lstm.sigmoid_*",
    }  # fmt: skip
    # the others stay at low (weights), and at high (activations, which cost nothing)
    raised = {site for site, bits in report.suggestion.bits.items() if bits > 3}
    assert raised <= {*ACTIVATION_SITES["discriminative"], "classifier"}


def test_widths_that_the_scheme_fixes_stay(made_up, discriminative):
    settings = SchemeSettings(preset="robust-mixed", bits={"embedding": 6})
    assert fixed_bits("discriminative", settings)["embedding"] == 6
    report, _ = study(discriminative, settings=settings, low=3, high=7, evaluations=25)
    names = {row.name for row in report.rows if row.kind == "low-alone" and len(row.sites) == 1}
    assert names == {
        *(s for s in WEIGHT_SITES["discriminative"] if s != "embedding"),
        "input", "classifier.input",
    }  # fmt: skip
    for row in report.rows[1:]:
        scheme = row.measured.scheme
        assert scheme.bits_of("embedding") == 6 and scheme.bits_of("lstm.cell") == 8
    assert not {"embedding", "lstm.cell"} & set(report.suggestion.bits)
    low = report.rows[2]
    assert low.name == "all low" and low.mean_bits["weights"] > 3  # the embedding's 6 count


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"only": ("lstm.ac*", "lstm.acc.*")}, r"--only 'lstm.acc.\*' matches no quantizer; there"),
        ({"settings": SchemeSettings(bits={"*": 4})}, "nothing is left to compare"),
        ({"budget": 2.9}, r"--budget 2.9: the schemes to choose from have 3 to 8 bits per weight"),
        ({"budget": 8.5}, r"--budget 8.5: the schemes to choose from have 3 to 8 bits"),
        ({"activation_budget": 9.0}, r"--activation-budget 9: .* per activation value"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(discriminative, asked, said):
    watched = Counted("accuracy")
    request = Request(**{"settings": SchemeSettings(), **asked})
    with pytest.raises(BadInput, match=said):
        sensitivity(discriminative, request, watched)
    assert not watched.phases


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1, 8, "--low 1: allowed are 2 to 8"), (3, 9, "--high 9"), (5, 4, "--low 5 is above --high")],
)
def test_bad_bits_are_refused(low, high, said):
    with pytest.raises(BadInput, match=said):
        Request(SchemeSettings(), low=low, high=high)


def test_groups_that_are_no_groups_are_left_out():
    found = targets("generative", {}, ("lstm.sigmoid_*", "lstm.acc_cell"))
    names = [target.name for target in found]
    assert names == [
        "lstm.acc_cell", "lstm.sigmoid_input", "lstm.sigmoid_forget", "lstm.sigmoid_output",
        "lstm.sigmoid_*", "lstm activations",
    ]  # fmt: skip


# -------------------------------------------------------------------------------- the suggestion


@pytest.mark.parametrize("budgets", [(3.7, None), (3.7, 4.2), (5.0, 3.0)])
def test_the_suggestion_keeps_its_budgets(made_up, subject, budgets):
    report, watched = study(
        subject, budget=budgets[0], activation_budget=budgets[1], evaluations=35
    )
    row, bits = report.rows[-1], report.suggestion.bits
    for part, most in zip(("weights", "activations"), budgets, strict=True):
        sizes = sizes_of(subject, part)
        if most is None:
            assert {bits[site] for site in sizes} == {8}
            continue
        assert Fraction(used(sizes, bits), sum(sizes.values())) <= Fraction(str(most))
        assert row.mean_bits[part] == mean_bits(sizes, bits) <= most
    scheme = row.measured.scheme
    assert bits == {site: scheme.bits_of(site) for site in bits}
    assert set(bits) == {*WEIGHT_SITES[subject.kind], *ACTIVATION_SITES[subject.kind]}
    even = report.rows[-2]
    assert row.measured.nll <= even.measured.nll
    assert report.suggestion.evaluations <= 35 == watched.phases["suggestion"]


def test_sizes_are_numbers_of_weights_and_of_values(subject):
    weights = sizes_of(subject, "weights")
    assert weights == {
        s: site_weight(subject.arrays, s).size for s in sites_of(subject.kind, "weights")
    }
    assert weights["lstm.weight_cell"] == 16 * (12 + 16)
    values = sizes_of(subject, "activations")
    steps = int(subject.subset.lengths.sum()) - len(subject.subset) * (subject.kind == "generative")
    assert values["input"] == 12 * steps and values["lstm.acc_cell"] == 16 * steps
    assert values["lstm.cell"] == 3 * 16 * steps


SETTINGS = {
    "uniform": SchemeSettings(preset="robust"),
    "mixed": SchemeSettings(preset="robust-mixed", weights="per-channel"),
    "patterns": SchemeSettings(bits={"lstm.acc_*": 6, "embedding": 5}, ranges={"input": "minmax"}),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_suggestion_is_a_section_that_recipes_take(made_up, subject, settings):
    report, _ = study(subject, settings=settings, low=3, evaluations=12)
    text = RECIPE.replace("KIND", subject.kind).replace("LOW", "3")
    recipe = parse_recipe(text + dump_quantize(report.suggestion.quantize))
    (point,) = recipe.cells()
    assert point.scheme == report.suggestion.scheme
    assert point.scheme.id == report.suggestion.scheme.id
    for site, bits in report.suggestion.bits.items():
        assert point.scheme.bits_of(site) == bits
    measured = report.rows[-1].measured
    meter = Meter(subject, settings, nominal=3, engine="plain")
    widths = {site: point.scheme.bits_of(site) for site in meter.sites}
    assert meter.measure(widths).nll == measured.nll


def test_the_grid_s_bits_have_no_part_in_it(made_up, subject):
    report, _ = study(subject, evaluations=12)
    text = RECIPE.replace("KIND", subject.kind) + dump_quantize(report.suggestion.quantize)
    widths = []
    for bits in ("3", "6"):
        (point,) = parse_recipe(text.replace("LOW", bits)).cells()
        widths.append([point.scheme.bits_of(site) for site in report.suggestion.bits])
    assert widths[0] == widths[1] == list(report.suggestion.bits.values())


def test_a_search_that_was_cut_says_so(made_up, discriminative):
    short, _ = study(discriminative, budget=7.0, evaluations=3)
    assert short.suggestion.is_cut and short.suggestion.evaluations == 3
    whole, _ = study(discriminative, budget=3.3, evaluations=60, only=("lstm.weight_*",))
    assert not whole.suggestion.is_cut


def test_another_tool_s_quantizer_has_no_bits_to_look_at():
    with pytest.raises(BadInput, match="onnx-dynamic is another tool's .* its widths are fixed"):
        Request(SchemeSettings(preset="onnx-dynamic"))
