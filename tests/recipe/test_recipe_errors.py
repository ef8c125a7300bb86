"""Every mistake gets one sentence that says where, what, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibkit.errors import BadInput, ExitCode, RecipeError
from calibkit.recipe import load_recipe, parse_recipe

SLUG = "use small letters, digits, '-' and '_', at most 64, a letter or digit first"
SECTIONS = (
    "calibkit, name, about, corpus, models, policies, quantize, schemes, grid, exclude, "
    "measure, claims"
)

# (what the right recipe says, what is written instead, every problem that must be reported)
MISTAKES = [
    # the text
    ("claims: []", "claims: [", "21:1: recipe: this is not YAML: while parsing a flow node; "
     "expected the node content, but found '<stream end>'"),
    ("bits: [8, 4]", "bits: &b [8, 4]",
     "16:9: grid.bits: the anchor &b is not allowed in a recipe"),
    ("bits: [8, 4]", "bits: *b",
     "16:9: grid.bits: the alias *b is not allowed; write the value out"),
    ("name: example", "name: !!str example",
     "2:7: name: the tag 'tag:yaml.org,2002:str' is not allowed in a recipe"),
    ("epochs: 2}", "epochs: 2, <<: {hidden: 3}}",
     "5:27: models.generative: merge keys (<<) are not allowed; write the keys out"),
    ("claims: []", "claims: []\n---\nname: other",
     "21:1: recipe: a second document starts here; a recipe is one document"),
    ("claims: []", "name: other", "20:1: name: the key stands twice; first in line 2"),
    ("epochs: 2}", "epochs: 2, epochs: 3}",
     "5:27: models.generative.epochs: the key stands twice; first in line 5"),
    ("[0.05, 0.10]", "[0.05, 1e999]",
     "19:36: measure.noise.keyboard[1]: 1e999 is too large for a number"),
    ("size: [128, 256]", "size: [128, 1234567890123456789]",
     "14:15: grid.size[1]: the number has more than 18 digits"),
    ("name: docs", 'name: "\\ud83d"',
     "3:16: corpus.name: the text has half a character (a lone surrogate)"),
    ("exclude: []", "exclude:", "18:1: exclude: nothing is written here; give a value or leave "
     "the key out"),
    # keys
    ("exclude: []", "exlude: []", "18:1: exlude: unknown key; did you mean 'exclude'?"),
    ("exclude: []", "zzz: []", f"18:1: zzz: unknown key; allowed: {SECTIONS}"),
    ("claims: []", "<<: {}", "20:1: recipe: merge keys (<<) are not allowed; write the keys out"),
    ("corpus: {name: docs,", "corpus: {nmae: docs,",
     "3:1: corpus.name: required, but missing",
     "3:10: corpus.nmae: unknown key; did you mean 'name'?"),
    ("  seed: [0, 1]\n", "", "11:1: grid.seed: required, but missing"),
    ("calibkit: 1\n", "", "1:1: calibkit: required, but missing"),
    ("calibkit: 1", "calibkit: 2", "1:1: calibkit: this version reads recipes that say "
     "`calibkit: 1`"),
    ("calibkit: 1", "calibkit: true", "1:1: calibkit: this version reads recipes that say "
     "`calibkit: 1`"),
    ("preset: brevitas-default", "observr: brevitas",
     "10:12: quantize.observr: unknown key; did you mean 'observer'?"),
    # names and corpus
    ("name: example", "name: ../example", f"2:1: name: '../example' is no valid name; {SLUG}"),
    ("name: docs", "name: My docs", f"3:10: corpus.name: 'My docs' is no valid name; {SLUG}"),
    ("name: example", "name: 7", "2:1: name: expected text, found 7; put it in quotes"),
    ("from: docstrings", "from: docstring",
     "3:22: corpus.from: 'docstring' is no source; write docstrings or hub:ORG/DATASET[:CONFIG]"),
    ("from: docstrings", "share: 0", "3:22: corpus.share: 0 is not allowed; it must be above 0"),
    ("from: docstrings", "share: 1.5",
     "3:22: corpus.share: 1.5 is not allowed; it must be at most 1"),
    ("from: docstrings", "pool: trian",
     "3:22: corpus.pool: 'trian' is not allowed; did you mean 'train'?"),
    ("from: docstrings", "pool: test", "3:22: corpus.pool: calibration documents and test "
     "documents are both taken from 'test'; choose two splits"),
    # models
    ("  generative: {epochs: 2}", "  generative: {epochs: 2}\n  generativ: {}",
     "6:3: models.generativ: nothing says which kind of model this is; did you mean 'generative'?"),
    ("  generative: {epochs: 2}", "  generative: {epochs: 2}\n  lstm: {}",
     "6:3: models.lstm: nothing says which kind of model this is; "
     "add use: discriminative or use: generative"),
    ("use: discriminative", "use: discriminant",
     "6:10: models.fast.use: no model kind is called 'discriminant'; "
     "did you mean 'discriminative'?"),
    ("{epochs: 2}", "{epoch: 2}", "5:16: models.generative.epoch: no setting of a generative "
     "model is called 'epoch'; did you mean 'epochs'?"),
    ("{epochs: 2}", "{epochs: 2.5}",
     "5:16: models.generative.epochs: 2.5 is not allowed; give an integer from 1 to 1000"),
    ("{epochs: 2}", "[2]", "5:3: models.generative: expected a mapping, found a list"),
    ("seeds: [0, 1]", "seeds: [0, 0]", "6:53: models.fast.seeds[1]: 0 stands twice in this list"),
    ("seeds: [0, 1]", "seeds: []", "6:42: models.fast.seeds: empty; give at least one"),
    ("seeds: [0, 1]", "seeds: [-1]",
     "6:50: models.fast.seeds[0]: -1 is not allowed; it must be at least 0"),
    ("  generative: {epochs: 2}", "  generative: {epochs: 2}\n  a b: {use: generative}",
     "6:3: models.'a b': 'a b' cannot be an alias; use letters, digits and . _ : / + -, at most "
     "64, a letter or digit first"),
    # policies
    ("use: random", "use: randm",
     "8:3: policies.random: no policy is called 'randm'; did you mean 'random'?"),
    ("{use: random}", "{}", "8:3: policies.random.use: required, but missing"),
    ("use: random", "use: random, mix: equal",
     "8:25: policies.random.mix: no parameter is called 'mix'; known: 'filters'"),
    ("weights: {torch: 1}", "wieghts: {torch: 1}",
     "9:28: policies.one-class.wieghts: no parameter is called 'wieghts'; did you mean 'weights'?"),
    ("weights: {torch: 1}", "weights: 1:0:0:0", "9:28: policies.one-class.weights: *"),
    ("weights: {torch: 1}", "weights: {torch: no}",
     "9:38: policies.one-class.weights.torch: *"),
    # grid
    ("model: [generative, fast]", "model: [generative, fats]",
     "12:23: grid.model[1]: no model of this recipe is called 'fats'; did you mean 'fast'?"),
    ("policy: [random, one-class]", "policy: [random, one_class]",
     "13:20: grid.policy[1]: no policy of this recipe is called 'one_class'; "
     "did you mean 'one-class'?"),
    ("size: [128, 256]", "size: []", "14:3: grid.size: empty; give at least one"),
    ("size: [128, 256]", "size: 256", "14:3: grid.size: expected a list, found 256; write [256]"),
    ("size: [128, 256]", "size: [128, 0]",
     "14:15: grid.size[1]: 0 is not allowed; it must be above 0"),
    ("size: [128, 256]", "size: [128, 1e3]",
     "14:15: grid.size[1]: expected a whole number, found 1000.0"),
    ("seed: [0, 1]\n", "seed: [0, 1, 0]\n", "15:16: grid.seed[2]: 0 stands twice in this list"),
    ("bits: [8, 4]", "bits: [8, 9, 1]",
     "16:13: grid.bits[1]: 9 is not allowed; it must be at most 8",
     "16:16: grid.bits[2]: 1 is not allowed; it must be at least 2"),
    ("bits: [8, 4]", "bits: [off, on]",
     "16:10: grid.bits[0]: expected a whole number, found 'off'",
     "16:15: grid.bits[1]: expected a whole number, found 'on'"),
    ("[nearest, gpfq]", "[nearest, nearst]",
     "17:23: grid.rounding[1]: 'nearst' is not allowed; did you mean 'nearest'?"),
    ("rounding: [nearest, gpfq]", "preset: [brevitas-default, papr]",
     "17:30: grid.preset[1]: no preset or scheme is called 'papr'; did you mean 'paper'?"),
    ("quantize: {preset: brevitas-default}", "schemes: {robust: {ranges: mse}}",
     "10:11: schemes.robust: this is the name of a preset; choose another alias"),
    ("quantize: {preset: brevitas-default}", "schemes: {mine: {ranges: mae}}",
     "10:18: schemes.mine.ranges: 'mae' is not *"),
    ("quantize: {preset: brevitas-default}", "schemes: {mine: {rangs: mse}}",
     "10:18: schemes.mine.rangs: unknown key; did you mean 'ranges'?"),
    ("quantize: {preset: brevitas-default}", "schemes: {mine: {bits: {lstm.sel: 8}}}",
     "10:25: schemes.mine.bits.'lstm.sel': *"),
    # quantize
    ("preset: brevitas-default", "symmetric: no",
     "10:12: quantize.symmetric: expected true or false, found 'no'"),
    ("preset: brevitas-default", "ranges: {lstm.*: mae}", "10:21: quantize.ranges.'lstm.*': 'mae' "
     "is not allowed; did you mean 'mse'?"),
    ("preset: brevitas-default", "ranges: percentil", "10:12: quantize.ranges: 'percentil' is not "
     "allowed; did you mean 'percentile'?"),
    ("preset: brevitas-default", "rounding: {linaer: gpfq}",
     "10:23: quantize.rounding.linaer: unknown key; did you mean 'linear'?"),
    ("preset: brevitas-default", "rounding: {gates: distill}",
     "10:23: quantize.rounding.gates: distill trains all layers together; write rounding: distill"),
    ("preset: brevitas-default", "bits: {label_embeding: 8}",
     "10:19: quantize.bits.label_embeding: matches no quantizer; there are: *"),
    ("preset: brevitas-default", "preset: paper, separate_io: true",
     "10:27: quantize.separate_io: observer brevitas (preset paper) cannot do this; leave it out"),
    ("preset: brevitas-default", "preset: paper, ranges: mse",
     "10:27: quantize.ranges: observer brevitas (preset paper) only has the estimator percentile"),
    ("preset: brevitas-default", "preset: robust, percentile: 99.9",
     "10:28: quantize.percentile: no range is estimated by percentile (preset robust); leave it "
     "out"),
    ("preset: brevitas-default", "preset: robust, observer: brevitas",
     "10:28: quantize.observer: observer brevitas has no cell_guard (preset robust); add "
     "cell_guard: false",
     "10:28: quantize.observer: observer brevitas only has the estimator percentile (preset "
     "robust); add ranges: percentile"),
    ("preset: brevitas-default", "dynamic: true",
     "17:23: grid.rounding[1]: dynamic: true uses no calibration documents, which this needs; "
     "leave it out"),
    # exclude
    ("exclude: []", "exclude: [{size: 129}]",
     "18:12: exclude[0].size: matches nothing: grid.size has no 129; it has 128, 256"),
    ("exclude: []", "exclude: [{policy: [random, one-clas]}]", "18:29: exclude[0].policy[1]: "
     "matches nothing: grid.policy has no 'one-clas'; it has random, one-class"),
    ("exclude: []", "exclude: [{preset: paper}]",
     "18:12: exclude[0].preset: matches nothing: the grid has no axis 'preset'"),
    ("exclude: []", "exclude: [{polcy: random}]",
     "18:12: exclude[0].polcy: unknown key; did you mean 'policy'?"),
    ("exclude: []", "exclude: [{}]",
     "18:11: exclude[0]: names no axis, so it would leave out every cell"),
    ("exclude: []", "exclude: [{bits: 8}, {bits: [4], size: [128, 256]}]",
     "18:1: exclude: together these entries leave out every cell"),
    ("exclude: []", "exclude: [{bits: true}]",
     "18:12: exclude[0].bits: matches nothing: grid.bits has no true; it has 8, 4",
     ),
    # measure
    ("keyboard: [0.05, 0.10]", "keybord: [0.05, 0.10]",
     "19:19: measure.noise.keybord: no noise kind is called 'keybord'; did you mean 'keyboard'?"),
    ("[0.05, 0.10]", "[0, 0.10]", "19:30: measure.noise.keyboard[0]: level 0 is always measured "
     "(the clean documents); leave it out"),
    ("[0.05, 0.10]", "[0.05, 5]",
     "19:36: measure.noise.keyboard[1]: 5 is not allowed; it must be at most 1"),
    ("[0.05, 0.10]", "[0.05, 5e-2]",
     "19:36: measure.noise.keyboard[1]: 0.05 stands twice in this list"),
    ("[0.05, 0.10]", "[]", "19:19: measure.noise.keyboard: empty; give at least one"),
    ("distributions: [weights]", "distributions: [weight]",
     "19:60: measure.distributions[0]: 'weight' is not allowed; did you mean 'weights'?"),
    ("documents: 500", "documents: some",
     "19:70: measure.documents: expected 'all' or a whole number above 0"),
    ("documents: 500", "documents: 0",
     "19:70: measure.documents: expected 'all' or a whole number above 0"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m[1].replace("\n", "|"))
def test_a_mistake_is_said_at_its_place_and_nothing_else_is(
    mistake: tuple[str, ...], right: str
) -> None:
    before, after, *expected = mistake
    assert right.count(before) == 1
    with pytest.raises(RecipeError) as caught:
        parse_recipe(right.replace(before, after), "r.yaml")
    said = caught.value.problems
    assert len(said) == len(expected), "\n".join(said)
    for got, wanted in zip(said, expected, strict=True):
        if wanted.endswith("*"):  # the end is another module's sentence
            assert got.startswith(f"r.yaml:{wanted[:-1]}")
        else:
            assert got == f"r.yaml:{wanted}"


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(right: str) -> None:
    text = right
    for before, after in (
        ("name: example", "name: A"),
        ("{epochs: 2}", "{epochs: 0}"),
        ("use: random", "use: randm"),
        ("bits: [8, 4]", "bits: [8, 8]"),
        ("exclude: []", "exclude: [{size: 1}]"),
        ("documents: 500", "documents: -1"),
    ):
        text = text.replace(before, after)
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    lines = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert lines == [2, 5, 8, 16, 18, 19]
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_grid_that_nobody_can_mean_is_refused(right: str) -> None:
    text = right.replace("[128, 256]", str(list(range(1, 30_001))).replace(" ", ""))
    text = text.replace("seed: [0, 1]\n", f"seed: {list(range(100))}\n")
    with pytest.raises(RecipeError, match="48,000,000 cells are more than the 1,000,000"):
        parse_recipe(text)


def test_settings_that_are_wrong_only_together_are_refused(right: str) -> None:
    text = right.replace("preset: brevitas-default", "observer: brevitas, ranges: minmax")
    with pytest.raises(RecipeError, match=r"r\.yaml:10:32: quantize\.ranges: observer brevitas"):
        parse_recipe(text, "r.yaml")


@pytest.mark.parametrize(
    ("quantize", "presets", "expected"),
    [
        ("observer_batch: 8", "[paper]", []),
        ("preset: robust, percentile: 99.9", "[paper, brevitas-default]", ["paper"]),
        (
            "percentile: 99.9",
            "[brevitas-default, robust, robust-mixed]",
            ["robust", "robust-mixed"],
        ),
        ("ranges: mse", "[paper, robust]", ["paper"]),
    ],
)
def test_settings_must_fit_every_preset_of_the_grid(
    right: str, quantize: str, presets: str, expected: list[str]
) -> None:
    text = right.replace("preset: brevitas-default", quantize)
    text = text.replace("rounding: [nearest, gpfq]", f"preset: {presets}")
    if not expected:
        assert {cell.preset for cell in parse_recipe(text).cells()} == {"paper"}
        return
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml")
    assert len(caught.value.problems) == len(expected)
    for problem, preset in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith("r.yaml:10:")
        assert f"(preset {preset})" in problem


def test_a_missing_file_says_what_is_there(tmp_path: Path, right: str) -> None:
    (tmp_path / "quickstart.yaml").write_text(right)
    with pytest.raises(BadInput, match=r"there is no such recipe; did you mean .*quickstart\.yaml"):
        load_recipe(tmp_path / "quikstart.yaml")
    with pytest.raises(BadInput, match="cannot be read"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", ":1:1: recipe: the file is empty"),
        (b"\n# only a comment\n", ":1:1: recipe: the file is empty"),
        (b"- 1\n", ":1:1: recipe: expected a mapping, found a list"),
        (b"a: 1\nb: caf\xe9\n", ":2:7: recipe: byte 0xE9 is not UTF-8; save the file as UTF-8"),
        (b'a: "\x01"\n', ":1:5: recipe: the character U+0001 is not allowed"),
        (b"#" * 300_000, ":1:1: recipe: the file is larger than 256 KiB; it is no recipe"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, raw: bytes, message: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(raw)
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    assert caught.value.problems == [f"{file}{message}"]
