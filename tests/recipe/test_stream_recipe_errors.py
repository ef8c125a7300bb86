"""Every mistake in a recipe of a stream gets one sentence: where, what, and what would be right."""

from __future__ import annotations

from typing import get_args

import pytest
from stream_text import PHASES, RIGHT

from calibkit.errors import ExitCode, RecipeError
from calibkit.recipe import parse_stream_recipe
from calibkit.recipe.stream_model import Feature

SECTIONS = (
    "calibkit, name, about, corpus, models, policies, quantize, schemes, stream, methods, grid"
)
FROZEN = "  frozen: {subset: frozen, model: frozen}\n"
DRIFT = "  drift: {phases: 2, batches: 1, first: %s, last: %s}\n"

# (what the right recipe says, what is written instead, every problem that must be reported)
MISTAKES = [
    # what other recipes have
    ("name: example", "name: example\nclaims: []",
     "3:1: claims: a recipe of a stream has no claims; leave them out"),
    ("name: example", "name: example\nexclude: []", "3:1: exclude: a recipe of a stream leaves no "
     "cells out; write the grid that is wanted"),
    ("name: example", "name: example\nmeasure: {}", "3:1: measure: a recipe of a stream says what "
     "it measures on under stream: hold_out, phases"),
    ("name: example", "name: example\nzzz: 1", f"3:1: zzz: unknown key; allowed: {SECTIONS}"),
    ("  bits: [4]", "  bits: [4]\n  rounding: [gpfq]", "28:3: grid.rounding: unknown key; "
     "allowed: model, method, policy, size, seed, bits, preset"),
    ("from: docstrings", "test: valid",
     "3:22: corpus.test: a recipe of a stream says this as stream.hold_out_from"),
    ("  fast: {use: discriminative", "  fast: {use: discriminant", "6:10: models.fast.use: *"),
    ("{use: stratified}", "{use: stratifid}", "7:12: policies.start: *"),
    ("preset: robust", "preset: robst", "8:12: quantize.preset: *"),
    ("preset: robust", "observer: brevitas, ranges: minmax", "8:32: quantize.ranges: *"),
    ("stream:\n", "methods: {}\nstream:\n",
     "18:1: methods: the key stands twice; first in line 9",
     "9:1: methods: empty; give at least one"),
    ("quantize: {preset: robust}", "schemes: {mine: {dynamic: true}}", "8:18: schemes.mine.dynamic:"
     " under dynamic: true there are no ranges that could follow a stream; leave it out"),
    # splits
    ("hold_out: 20", "hold_out_from: train\n  hold_out: 20",
     "11:3: stream.hold_out_from: start subsets and hold-outs are both taken from 'train'; choose "
     "two splits",
     "11:3: stream.hold_out_from: the float models learn from 'train'; measure on test, or valid"),
    ("hold_out: 20", "batches_from: test\n  hold_out: 20", "11:3: stream.batches_from: batches and "
     "hold-outs are both taken from 'test'; choose two splits"),
    ("from: docstrings", "pool: valid", "3:22: corpus.pool: start subsets and batches are both "
     "taken from 'valid'; choose two splits"),
    ("hold_out: 20", "batches_from: tset\n  hold_out: 20",
     "11:3: stream.batches_from: 'tset' is not allowed; did you mean 'test'?"),
    # the section stream
    (PHASES, "", "9:1: stream: nothing says what comes; add one of phases, drift and order"),
    (PHASES, "  phases: []\n", "12:3: stream.phases: empty; give at least one"),
    ("methods:\n", "  order: {by: tokens, phases: 2, batches: 1}\nmethods:\n", "17:3: stream.order:"
     " the stream has phases already; it is one of phases, drift and order"),
    ("batch: 8", "batch: 0", "10:3: stream.batch: 0 is not allowed; it must be above 0"),
    ("  hold_out: 20\n", "", "9:1: stream.hold_out: required, but missing"),
    ("hold_out: 20", "hold_outs: 20", "11:3: stream.hold_outs: unknown key; did you mean "
     "'hold_out'?", "9:1: stream.hold_out: required, but missing"),
    ("hold_out: 20", "hold_out: 20\n  noise_seed: -1",
     "12:3: stream.noise_seed: -1 is not allowed; it must be at least 0"),
    # phases
    ("name: typos", "name: as-trained",
     "14:8: stream.phases[1].name: 'as-trained' stands twice among the phases"),
    ("name: typos", "name: Typos", "14:8: stream.phases[1].name: 'Typos' is no valid name; *"),
    ("{name: typos, batches: 1,", "{name: typos,",
     "14:7: stream.phases[1].batches: required, but missing"),
    ("name: typos, batches: 1", "name: typos, batches: all",
     "14:21: stream.phases[1].batches: expected a whole number, found 'all'"),
    ("noise: {keyboard", "nois: {keyboard",
     "14:33: stream.phases[1].nois: unknown key; did you mean 'noise'?"),
    ("{keyboard: 0.1}", "{keybord: 0.1}", "14:41: stream.phases[1].noise.keybord: no noise kind is "
     "called 'keybord'; did you mean 'keyboard'?"),
    ("{keyboard: 0.1}", "{keyboard: 1.1}",
     "14:41: stream.phases[1].noise.keyboard: 1.1 is not allowed; it must be at most 1"),
    ("{keyboard: 0.1}", "{keyboard: [0.1]}",
     "14:41: stream.phases[1].noise.keyboard: expected a number, found a list"),
    ("{keyboard: 0.1}", "{keyboard: 0.1, ocr: 0.1}", "14:33: stream.phases[1].noise: documents come"
     " under one kind of noise, not under keyboard and ocr; keep one"),
    ("{torch: 3, numpy: 1}", "{torch: 0}",
     "15:35: stream.phases[2].labels: every weight is 0, so nothing comes; give a label more"),
    ("{torch: 3, numpy: 1}", "{torch: -1}",
     "15:44: stream.phases[2].labels.torch: -1 is not allowed; it must be at least 0"),
    ("{torch: 3, numpy: 1}", "[torch]",
     "15:35: stream.phases[2].labels: expected a mapping, found a list"),
    ("{torch: 3, numpy: 1}", "{}", "15:35: stream.phases[2].labels: empty; give at least one"),
    ("{rarity:", "{rarety:",
     "16:42: stream.phases[3].between.rarety: unknown key; did you mean 'rarity'?"),
    ("[0.5, 1]", "[0.5]", "16:42: stream.phases[3].between.rarity: expected two values, [A, B]"),
    ("[0.5, 1]", "[1, 0.5]", "16:42: stream.phases[3].between.rarity: no document stands between 1 "
     "and 0.5; the first end is below"),
    ("[0.5, 1]", "[0.5, 5]",
     "16:56: stream.phases[3].between.rarity[1]: 5 is not allowed; it must be at most 1"),
    ("- {name: rare,", "- 7\n    - {name: rare,",
     "16:7: stream.phases[3]: expected a mapping, found 7"),
    # drifts and orders
    (PHASES, DRIFT % ("{}", "{}"), "12:45: stream.drift.last: says what first says, so nothing "
     "drifts; change it, or write phases"),
    (PHASES, DRIFT % ("{noise: {ocr: 0.1}}", "{noise: {keyboard: 0.1}}"), "12:69: "
     "stream.drift.last.noise: first has ocr, and a level rises within one kind; write ocr"),
    (PHASES, DRIFT % ("{labels: {torch: 1}}", "{noise: {ocr: 0.1}}"), "12:42: "
     "stream.drift.first.labels: first and last need the labels of both to drift between; write "
     "them in the other"),
    (PHASES, DRIFT % ("{}", "{corpus: other}"), "12:52: stream.drift.last.corpus: first and last "
     "come from the same corpus; write phases to go to another"),
    (PHASES, DRIFT % ("{batchs: 1}", "{}"),
     "12:42: stream.drift.first.batchs: unknown key; allowed: corpus, labels, noise, between"),
    (PHASES, DRIFT.replace("phases: 2", "phases: 1") % ("{}", "{noise: {ocr: 0.1}}"),
     "12:11: stream.drift.phases: 1 is not allowed; it must be at least 2"),
    (PHASES, "  drift: {phases: 2, batches: 1, first: {}}\n",
     "12:3: stream.drift.last: required, but missing"),
    (PHASES, "  order: {by: lenght, phases: 2, batches: 1}\n",
     "12:11: stream.order.by: 'lenght' is not allowed; allowed: tokens, rarity, label"),
    # methods
    (FROZEN, "", "17:1: methods: everything is compared with what never changes; add frozen: "
     "{subset: frozen, model: frozen}",
     "22:12: grid.method[0]: no method of this recipe is called 'frozen'; *"),
    (FROZEN, FROZEN + "  still: {subset: frozen, model: frozen}\n",
     "19:3: methods.still: says what frozen says; leave one out"),
    ("method: [frozen, gpfq, learned]", "method: [gpfq, learned]",
     "23:3: grid.method: everything is compared with frozen; add it"),
    ("method: [frozen, gpfq, learned]", "method: [frozen, gpfq, lerned]",
     "23:26: grid.method[2]: no method of this recipe is called 'lerned'; did you mean 'learned'?"),
    ("reservoir, model: gpfq", "reservor, model: gpfq",
     "19:10: methods.gpfq.subset: 'reservor' is not allowed; did you mean 'reservoir'?"),
    ("model: gpfq}", "model: qgpf}",
     "19:29: methods.gpfq.model: 'qgpf' is not allowed; did you mean 'gpfq'?"),
    ("model: gpfq}", "model: [gpfq]}", "19:29: methods.gpfq.model: *"),
    ("model: gpfq}", "model: gpfq, epochs: 3}",
     "19:42: methods.gpfq.epochs: gpfq has no parameter 'epochs'; it has layers, ranges"),
    ("model: gpfq}", "model: ranges, ranges: false}",
     "19:44: methods.gpfq.ranges: ranges has no parameter 'ranges'; it has none; leave it out"),
    ("model: gpfq}", "model: gpfq, layers: [gate]}",
     "19:51: methods.gpfq.layers[0]: 'gate' is not allowed; did you mean 'gates'?"),
    ("model: gpfq}", "model: gpfq, layers: [gates, gates]}",
     "19:58: methods.gpfq.layers[1]: 'gates' stands twice in this list"),
    ("model: gpfq}", "model: gpfq, epoch: 3}",
     "19:42: methods.gpfq.epoch: unknown key; did you mean 'epochs'?"),
    ("most_flips: 0.01", "most_flips: 2",
     "20:54: methods.learned.most_flips: 2 is not allowed; it must be at most 1"),
    ("most_flips: 0.01", "most_flips:",
     "20:54: methods.learned.most_flips: nothing is written here; give a value or leave the key "
     "out"),
    ("most_flips: 0.01", "without: [residal]",
     "20:64: methods.learned.without[0]: 'residal' is not allowed; did you mean 'residual'?"),
    ("most_flips: 0.01", "without: [step, step]",
     "20:70: methods.learned.without[1]: 'step' stands twice in this list"),
    ("most_flips: 0.01", f"without: [{', '.join(get_args(Feature))}]",
     "20:54: methods.learned.without: this leaves the flip predictor no feature; keep one"),
    # grid
    ("seed: [0, 1]\n", "seed: [0, 0]\n", "26:13: grid.seed[1]: 0 stands twice in this list"),
    ("  method: [frozen, gpfq, learned]\n", "", "21:1: grid.method: required, but missing"),
    ("bits: [4]", "bits: [9]", "27:10: grid.bits[0]: 9 is not allowed; it must be at most 8"),
    ("bits: [4]", "bits: [4]\n  preset: [robst]", "28:12: grid.preset[0]: no preset or scheme is "
     "called 'robst'; did you mean 'robust'?"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m[1].replace("\n", "|"))
def test_a_mistake_is_said_at_its_place_and_nothing_else_is(mistake: tuple[str, ...]) -> None:
    before, after, *expected = mistake
    assert RIGHT.count(before) == 1
    with pytest.raises(RecipeError) as caught:
        parse_stream_recipe(RIGHT.replace(before, after), "s.yaml")
    said = caught.value.problems
    assert len(said) == len(expected), "\n".join(said)
    for got, wanted in zip(sorted(said), sorted(f"s.yaml:{one}" for one in expected), strict=True):
        if wanted.endswith("*"):  # the end is another module's sentence
            assert got.startswith(wanted[:-1])
        else:
            assert got == wanted


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = RIGHT
    for before, after in (
        ("name: example", "name: A"),
        ("batch: 8", "batch: -8"),
        ("{keyboard: 0.1}", "{keys: 0.1}"),
        ("model: gpfq}", "model: gpfq, most_flips: 0.1}"),
        ("bits: [4]", "bits: [4, 4]"),
    ):
        text = text.replace(before, after)
    with pytest.raises(RecipeError) as caught:
        parse_stream_recipe(text)
    lines = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert lines == [2, 10, 14, 19, 27]
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_grid_that_nobody_can_mean_is_refused() -> None:
    text = RIGHT.replace("size: [16]", "size: [" + ",".join(map(str, range(1, 20_001))) + "]")
    with pytest.raises(RecipeError, match="240,000 trajectories are more than the 100,000"):
        parse_stream_recipe(text)


def test_what_is_no_recipe_is_no_ordinary_one() -> None:
    for text, said in (
        ("", "s.yaml:1:1: recipe: the file is empty"),
        ("- 1\n", "s.yaml:1:1: recipe: expected a mapping, found a list"),
    ):
        with pytest.raises(RecipeError) as caught:
            parse_stream_recipe(text, "s.yaml")
        assert caught.value.problems == [said]
