"""What a recipe asks for: its cells, its identity, and its text again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from calibkit.errors import BadInput, RecipeError
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.recipe import (
    Recipe,
    dump_recipe,
    is_stream,
    load_recipe,
    parse_recipe,
    recipe_schema,
)
from calibkit.recipe.dump import recipe_document
from calibkit.recipe.yaml_source import read_source

pytestmark = pytest.mark.smoke

SHIPPED = sorted(
    path for path in (Path(__file__).parents[2] / "recipes").glob("*.yaml") if not is_stream(path)
)


def test_the_grid_is_crossed_with_the_seed_outermost(right: str) -> None:
    recipe = parse_recipe(right)
    cells = list(recipe.cells())
    assert len(cells) == len(set(cells)) == (1 + 2) * 2 * 2 * 2 * 2 * 2
    first = cells[0]
    assert (first.model, first.model_seed, first.policy) == ("generative", 0, "random")
    assert (first.size, first.seed, first.bits) == (128, 0, 8)
    assert (first.rounding, first.preset) == ("nearest", "brevitas-default")
    assert [c.seed for c in cells] == sorted(c.seed for c in cells)
    assert [(c.bits, c.rounding) for c in cells[:4]] == [
        (8, "nearest"),
        (8, "gpfq"),
        (4, "nearest"),
        (4, "gpfq"),
    ]
    assert {(c.model, c.model_seed) for c in cells} == {("generative", 0), ("fast", 0), ("fast", 1)}
    for cell in cells:
        assert cell.scheme.bits == cell.bits
        assert cell.scheme.rounding_of("linear") == cell.rounding


def test_an_absent_axis_comes_from_quantize(right: str) -> None:
    text = right.replace("  rounding: [nearest, gpfq]\n", "")
    text = text.replace("preset: brevitas-default", "rounding: gpfq, percentile: 99.9")
    cells = list(parse_recipe(text).cells())
    assert {c.rounding for c in cells} == {"gpfq"}
    assert {c.scheme.percentile for c in cells} == {99.9}


def test_exclude_leaves_out_exactly_what_it_says(right: str) -> None:
    entry = "exclude: [{model: fast, bits: [8, 4], rounding: gpfq}, {size: 256, seed: [1]}]"
    everything = list(parse_recipe(right).cells())
    kept = list(parse_recipe(right.replace("exclude: []", entry)).cells())
    assert kept == [
        c
        for c in everything
        if not (c.model == "fast" and c.rounding == "gpfq") and not (c.size == 256 and c.seed == 1)
    ]


def test_what_was_written_arrives_typed(right: str) -> None:
    recipe = parse_recipe(right)
    assert recipe.text == right
    assert (recipe.corpus.source, recipe.corpus.share) == ("docstrings", 1.0)
    assert (recipe.corpus.pool, recipe.corpus.test) == ("train", "test")
    assert recipe.models["fast"].kind == "discriminative"
    assert recipe.models["fast"].settings.epochs == 3
    assert recipe.models["fast"].seeds == (0, 1)
    assert recipe.models["generative"].seeds == (0,)
    assert recipe.policies["one-class"].name == "skewed"
    assert recipe.policies["one-class"].policy.params() == {"weights": {"torch": 1}}
    assert recipe.measure.noise == (("keyboard", 0.05), ("keyboard", 0.1))
    assert recipe.measure.levels[0] == ("none", 0.0)
    assert (recipe.measure.documents, recipe.measure.noise_seed) == (500, 0)


def test_what_is_left_out_has_the_documented_defaults(right: str) -> None:
    text = "".join(
        line
        for line in right.splitlines(keepends=True)
        if not line.startswith(("quantize", "exclude", "measure", "claims"))
    )
    recipe = parse_recipe(text)
    assert recipe.quantize.preset == "brevitas-default"
    assert recipe.measure.levels == (("none", 0.0),)
    assert recipe.measure.distributions == ("weights", "activations", "token-nll")
    assert recipe.measure.documents is None
    assert recipe.claims == ()


def test_an_alias_may_name_another_kind_than_it_looks_like(right: str) -> None:
    text = right.replace("generative: {epochs: 2}", "generative: {use: discriminative}")
    assert parse_recipe(text).models["generative"].kind == "discriminative"


def test_labels_may_be_any_text() -> None:
    labels = ["Sci/Tech", "no", "1", "5e-2", "a'b\"c", "line\nbreak", "😀", "'; DROP TABLE x; --"]
    document = json.loads(json.dumps(MINIMAL))
    document["policies"]["mix"] = {"use": "skewed", "weights": dict.fromkeys(labels, 1)}
    recipe = parse_recipe(json.dumps(document))
    again = parse_recipe(dump_recipe(recipe))
    assert set(recipe.policies["mix"].policy.params()["weights"]) == set(labels)
    assert again == recipe


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("calibkit: 1", "# a comment\ncalibkit: 1"),
        ("name: example", "name: example\nabout: what it is for"),
        ("[generative, fast]", "[fast, generative]"),
        ("seeds: [0, 1]", "seeds: [1, 0]"),
        ("[0.05, 0.10]", "[1e-1, 5e-2]"),
        ("{epochs: 2}", "{epochs: 2, hidden: 100, seeds: [0]}"),
        ("quantize: {preset: brevitas-default}\n", ""),
        ("policies:\n", "policies:\n  unused: {use: stratified}\n"),
    ],
)
def test_the_id_is_that_of_what_is_asked_for(right: str, before: str, after: str) -> None:
    changed = parse_recipe(right.replace(before, after, 1))
    assert changed.id() == parse_recipe(right).id()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: example", "name: other"),
        ("from: docstrings", "share: 0.5"),
        ("{epochs: 2}", "{epochs: 4}"),
        ("seeds: [0, 1]", "seeds: [0, 2]"),
        ("{torch: 1}", "{torch: 1, numpy: 1}"),
        ("[128, 256]", "[128]"),
        ("bits: [8, 4]", "bits: [8, 3]"),
        ("preset: brevitas-default", "percentile: 99"),
        ("exclude: []", "exclude: [{size: 128, bits: 4}]"),
        ("[0.05, 0.10]", "[0.05]"),
        ("documents: 500", "documents: 501"),
        ("distributions: [weights]", "distributions: []"),
    ],
)
def test_another_request_has_another_id(right: str, before: str, after: str) -> None:
    assert parse_recipe(right.replace(before, after, 1)).id() != parse_recipe(right).id()


def test_a_limit_on_documents_is_another_request(right: str) -> None:
    recipe = parse_recipe(right)
    assert len({recipe.id(), recipe.id(100), recipe.id(200)}) == 3


MINIMAL: dict[str, Any] = {
    "calibkit": 1,
    "name": "example",
    "corpus": {"name": "docs"},
    "models": {"generative": {}, "d": {"use": "discriminative", "seeds": [0, 1]}},
    "policies": {"random": {"use": "random"}, "mix": {"use": "stratified"}},
    "grid": {
        "model": ["generative", "d"],
        "policy": ["random", "mix"],
        "size": [16, 32],
        "seed": [0, 1],
        "bits": [8, 3],
    },
}

axis_values = {
    "size": st.lists(st.integers(1, 10**6), min_size=1, max_size=3, unique=True),
    "seed": st.lists(st.integers(0, 2**40), min_size=1, max_size=3, unique=True),
    "bits": st.lists(st.integers(2, 8), min_size=1, max_size=3, unique=True),
    "rounding": st.lists(st.sampled_from(["nearest", "gpfq"]), min_size=1, unique=True),
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(MINIMAL))
    document["about"] = draw(st.sampled_from(["", "no", "5e-2: #x", "1:0", "ü – 'q'"]))
    document["corpus"]["share"] = draw(st.floats(1e-6, 1))
    document["models"]["d"]["learning_rate"] = draw(st.floats(1e-9, 1))
    for axis, values in axis_values.items():
        if axis in document["grid"] or draw(st.booleans()):
            document["grid"][axis] = draw(values)
    if len(document["grid"]["size"]) > 1 and draw(st.booleans()):
        document["exclude"] = [{"size": document["grid"]["size"][0], "model": ["d"]}]
    levels = draw(st.lists(st.floats(1e-9, 1), max_size=3, unique=True))
    if levels:
        document["measure"] = {"noise": {"keyboard": levels}, "documents": draw(st.integers(1, 99))}
    return document


def shuffled(value: Any, rng: Any) -> Any:
    """The same content with every mapping and list in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = [shuffled(item, rng) for item in value]
        rng.shuffle(items)
        return items
    return value


@settings(max_examples=60, deadline=None)
@given(documents())
def test_a_dumped_recipe_loads_as_the_same_recipe(document: dict[str, Any]) -> None:
    recipe = parse_recipe(json.dumps(document))
    again = parse_recipe(dump_recipe(recipe))
    assert again == recipe
    assert again.id() == recipe.id()
    assert list(again.cells()) == list(recipe.cells())
    assert read_source(dump_recipe(recipe), "r.yaml").value == recipe_document(recipe)


@settings(max_examples=60, deadline=None)
@given(documents(), st.randoms(use_true_random=False))
def test_order_changes_neither_the_id_nor_the_cells(document: dict[str, Any], rng: Any) -> None:
    recipe = parse_recipe(json.dumps(document))
    other = parse_recipe(json.dumps(shuffled(document, rng)))
    assert other.id() == recipe.id()
    assert set(other.cells()) == set(recipe.cells())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_shipped_recipe_loads_and_says_what_it_is(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.about
    assert recipe.text.startswith("#")
    assert list(recipe.cells())
    assert parse_recipe(dump_recipe(recipe)).id() == recipe.id()


def shipped(name: str) -> Recipe:
    return load_recipe(next(path for path in SHIPPED if path.stem == name))


def test_the_quickstart_asks_for_what_the_readme_promises() -> None:
    recipe = shipped("quickstart")
    assert set(recipe.policies) == {"random", "stratified", "one-class", "k-center"}
    assert {choice.kind for choice in recipe.models.values()} == {"generative", "discriminative"}
    assert set(recipe.grid.bits) == {8, 4, 3}
    assert len(recipe.measure.levels) >= 3
    assert len(recipe.grid.seed) >= 2
    assert recipe.measure.distributions == ("weights", "activations", "token-nll")
    assert (recipe.corpus.name, recipe.corpus.source) == ("docstrings", "docstrings")


def test_the_agnews_recipes_have_the_stated_sizes() -> None:
    policies = shipped("agnews-policies")
    assert len(list(policies.cells())) == 384
    assert len(policies.measure.levels) == 4
    assert policies.corpus.source is None
    mixes = shipped("agnews-class-mix")
    weights = [choice.policy.params().get("weights", {}) for choice in mixes.policies.values()]
    assert [len(labels) for labels in weights] == [0, 4, 3, 2, 1, 1, 1, 1]
    one_label = {label for labels in weights if len(labels) == 1 for label in labels}
    assert one_label == {"World", "Sports", "Business", "Sci/Tech"}
    assert all(len(choice.seeds) >= 3 for choice in mixes.models.values())


def test_the_schema_describes_the_recipe_that_loads(right: str) -> None:
    schema = recipe_schema()
    json.dumps(schema)
    document = yaml.safe_load(right)
    assert set(document) <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    grid = schema["$defs"]["GridSection"]
    assert set(grid["required"]) == {"model", "policy", "size", "seed", "bits"}
    assert "from" in schema["$defs"]["CorpusSection"]["properties"]


def test_loading_a_recipe_needs_no_heavy_library() -> None:
    code = (
        "import sys; from calibkit.recipe import load_recipe; "
        "r = load_recipe(sys.argv[1]); list(r.cells()); r.id(); "
        "heavy = {'torch', 'brevitas', 'sklearn', 'scipy', 'datasets', 'pyarrow', 'pandas', "
        "'matplotlib'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SHIPPED[0])], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_recipe_error_is_bad_input(right: str) -> None:
    with pytest.raises(BadInput):
        parse_recipe(right.replace("name: example", "name: [x]"))


def test_a_scheme_of_the_recipe_is_a_value_of_the_axis_preset(right: str) -> None:
    text = right.replace("rounding: [nearest, gpfq]", "preset: [robust, plain, mine]")
    text = text.replace(
        "quantize: {preset: brevitas-default}",
        "quantize: {preset: robust, rounding: nearest}\n"
        "schemes: {plain: {ranges: mse}, mine: {preset: paper, rounding: gpfq}}",
    )
    recipe = parse_recipe(text)
    found = {cell.preset: cell.scheme for cell in recipe.cells() if cell.bits == 4}
    quantize = settings_from({"preset": "robust", "rounding": "nearest"})
    assert found == {
        "robust": resolve(quantize, bits=4),
        "plain": resolve(quantize.model_copy(update={"ranges": "mse"}), bits=4),
        "mine": resolve(settings_from({"preset": "paper", "rounding": "gpfq"}), bits=4),
    }
    again = parse_recipe(dump_recipe(recipe))
    assert list(again.cells()) == list(recipe.cells())
    assert again.id() == recipe.id()


def test_a_scheme_that_contradicts_itself_is_told_where_it_stands(right: str) -> None:
    text = right.replace("rounding: [nearest, gpfq]", "preset: [robust, mine]")
    text = text.replace(
        "quantize: {preset: brevitas-default}", "schemes: {mine: {preset: paper, ranges: mse}}"
    )
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith("r.yaml:10:33: schemes.mine.ranges: observer brevitas")
