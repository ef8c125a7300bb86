"""What a recipe of a stream says: phases, methods, trajectories, identity."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stream_text import RIGHT, instead_of_phases

from calibkit.errors import RecipeError
from calibkit.quantize.schemes import resolve, settings_from
from calibkit.recipe import (
    is_stream,
    load_recipe,
    load_stream_recipe,
    parse_recipe,
    parse_stream_recipe,
    stream_recipe_schema,
)

SHIPPED = Path(__file__).parents[2] / "recipes"


def test_phases_that_are_written_are_those_that_come() -> None:
    recipe = parse_stream_recipe(RIGHT)
    stream = recipe.stream
    assert [phase.name for phase in stream.phases] == ["as-trained", "typos", "torches", "rare"]
    plain, typos, torches, rare = stream.phases
    assert (plain.labels, plain.noise_kind, plain.noise, plain.between) == (None, "none", 0.0, {})
    assert (typos.noise_kind, typos.noise) == ("keyboard", 0.1)
    assert torches.labels == {"torch": 3, "numpy": 1}
    assert rare.between == {"rarity": (0.5, 1)}
    assert stream.steps == (0, 0, 1, 2, 2, 3)
    assert (stream.batch, stream.hold_out, stream.noise_seed) == (8, 20, 0)
    assert (stream.batches_from, stream.hold_out_from) == ("valid", "test")
    assert recipe.corpus.test == "test"


def test_level_0_and_the_whole_column_say_nothing() -> None:
    line = "phases: [{name: a, batches: 1, noise: {keyboard: 0}, between: {tokens: [0, 1]}}]"
    same = parse_stream_recipe(instead_of_phases("phases: [{name: a, batches: 1}]"))
    assert parse_stream_recipe(instead_of_phases(line)).stream == same.stream


def test_a_drift_runs_in_a_straight_line() -> None:
    recipe = parse_stream_recipe(
        instead_of_phases(
            "drift:",
            "  phases: 3",
            "  batches: 2",
            "  first: {labels: {numpy: 3, torch: 1}, between: {rarity: [0, 0.5]}}",
            "  last: {labels: {torch: 7}, noise: {keyboard: 0.1}, between: {rarity: [0.5, 1]}}",
        )
    )
    phases = recipe.stream.phases
    assert [phase.name for phase in phases] == ["drift-1", "drift-2", "drift-3"]
    assert [phase.labels for phase in phases] == [
        {"numpy": 0.75, "torch": 0.25},
        {"numpy": 0.375, "torch": 0.625},
        {"torch": 1.0},
    ]
    assert [(phase.noise_kind, phase.noise) for phase in phases] == [
        ("none", 0.0),
        ("keyboard", 0.05),
        ("keyboard", 0.1),
    ]
    assert [phase.between["rarity"] for phase in phases] == [(0, 0.5), (0.25, 0.75), (0.5, 1)]
    assert recipe.stream.steps == (0, 0, 1, 1, 2, 2)


def test_a_drift_of_what_only_one_end_says_starts_at_nothing_and_at_the_whole_column() -> None:
    recipe = parse_stream_recipe(
        instead_of_phases(
            "drift: {phases: 2, batches: 1, first: {noise: {ocr: 0.2}}, last: {between: "
            "{tokens: [0.9, 1]}}}"
        )
    )
    first, last = recipe.stream.phases
    assert (first.noise_kind, first.noise, first.between) == ("ocr", 0.2, {})
    assert (last.noise_kind, last.noise, last.between) == ("none", 0.0, {"tokens": (0.9, 1)})


@given(parts=st.integers(2, 12))
def test_an_order_parts_the_whole_column(parts: int) -> None:
    line = f"order: {{by: tokens, phases: {parts}, batches: 1}}"
    phases = parse_stream_recipe(instead_of_phases(line)).stream.phases
    assert [phase.name for phase in phases] == [f"tokens-{n}" for n in range(1, parts + 1)]
    ends = [phase.between["tokens"] for phase in phases]
    assert ends[0][0] == 0 and ends[-1][1] == 1
    assert all(one[1] == other[0] for one, other in zip(ends, ends[1:], strict=False))
    assert all(abs(high - low - 1 / parts) < 1e-9 for low, high in ends)


def test_a_method_has_the_parameters_of_its_update_and_no_others() -> None:
    text = RIGHT.replace(
        "  gpfq: {subset: reservoir, model: gpfq}\n",
        "  gpfq: {subset: reservoir, model: gpfq, ranges: true, layers: [linear, gates]}\n"
        "  tuned: {subset: fifo, model: fine-tune, epochs: 7}\n"
        "  r: {subset: fifo, model: ranges}\n",
    )
    methods = parse_stream_recipe(text).methods
    assert methods["frozen"].params() == methods["r"].params() == {}
    assert methods["gpfq"].params() == {"ranges": True, "layers": ["gates", "linear"]}
    assert methods["tuned"].params() == {"epochs": 7, "learning_rate": 0.0005}
    learned = {"layers": ["linear"], "ranges": False, "most_flips": 0.01, "without": []}
    assert methods["learned"].params() == learned
    assert (methods["tuned"].subset, methods["tuned"].model) == ("fifo", "fine-tune")


def test_trajectories_are_whole_draws_of_every_method() -> None:
    recipe = parse_stream_recipe(RIGHT)
    points = list(recipe.trajectories())
    assert len(points) == 2 * 3 * 3  # seeds, float models, methods
    assert Counter(point.method for point in points) == dict(frozen=6, gpfq=6, learned=6)
    assert [point.seed for point in points] == [0] * 9 + [1] * 9
    assert [point.method for point in points[:4]] == ["frozen", "gpfq", "learned", "frozen"]
    assert {(p.model, p.model_seed) for p in points} == {
        ("generative", 0),
        ("fast", 0),
        ("fast", 1),
    }
    scheme = resolve(settings_from({"preset": "robust"}), bits=4)
    assert {point.scheme for point in points} == {scheme}
    assert {point.preset for point in points} == {"robust"}
    assert recipe.frozen.alias == "frozen"


def test_the_networks_that_trajectories_start_with_are_cells_of_an_ordinary_recipe() -> None:
    recipe = parse_stream_recipe(RIGHT)
    cells = list(recipe.start().cells())
    assert len(cells) == len(list(recipe.trajectories())) / 3
    assert recipe.start().corpus.test == "test"
    assert recipe.start().measure.levels == (("none", 0.0),)


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("calibkit: 1", "# a comment\ncalibkit: 1", True),
        ("name: example", "name: example\nabout: something", True),
        ("seed: [0, 1]\n", "seed: [1, 0]\n", True),
        ("[frozen, gpfq, learned]", "[learned, frozen, gpfq]", True),
        ("  gpfq: {", "  unused: {subset: fifo, model: gpfq}\n  gpfq: {", True),
        ("most_flips: 0.01}", "most_flips: 0.01, ranges: false, layers: [linear]}", True),
        ("most_flips: 0.01}", "most_flips: 0.01, layers: [gates]}", False),
        ("{torch: 3, numpy: 1}", "{numpy: 1, torch: 3}", True),
        ("name: example", "name: other", False),
        ("seed: [0, 1]\n", "seed: [0]\n", False),
        ("most_flips: 0.01", "most_flips: 0.02", False),
        ("subset: reservoir, model: gpfq", "subset: fifo, model: gpfq", False),
        ("{torch: 3, numpy: 1}", "{torch: 3, numpy: 2}", False),
        ("batch: 8", "batch: 9", False),
        ("hold_out: 20", "hold_out: 20\n  noise_seed: 1", False),
        ("hold_out: 20", "hold_out: 20\n  batches_from: test\n  hold_out_from: valid", False),
        ("keyboard: 0.1", "keyboard: 0.2", False),
        ("[0.5, 1]", "[0.6, 1]", False),
        ("name: typos, batches: 1", "name: typos, batches: 2", False),
        ("size: [16]", "size: [17]", False),
        ("bits: [4]", "bits: [3]", False),
        ("{use: stratified}", "{use: random}", False),
    ],
)
def test_the_id_is_what_is_asked_for(before: str, after: str, is_same: bool) -> None:
    assert RIGHT.count(before) == 1
    other = parse_stream_recipe(RIGHT.replace(before, after))
    assert (other.id() == parse_stream_recipe(RIGHT).id()) is is_same


def test_each_command_refuses_the_others_recipe_and_names_the_right_one(
    tmp_path: Path, right: str
) -> None:
    stream, ordinary = tmp_path / "s.yaml", tmp_path / "r.yaml"
    stream.write_text(RIGHT)
    ordinary.write_text(right)
    assert is_stream(stream) and is_stream(str(stream)) and is_stream(RIGHT)
    assert not is_stream(ordinary) and not is_stream(right)
    with pytest.raises(RecipeError) as caught:
        load_recipe(stream)
    said = f"{stream}:9:1: stream: this recipe describes a stream; run it with"
    assert caught.value.problems == [f"{said} `calibkit stream {stream}`"]
    with pytest.raises(RecipeError) as caught:
        load_stream_recipe(ordinary)
    said = f"{ordinary}:1:1: stream: this recipe has no stream; run it with"
    assert caught.value.problems == [f"{said} `calibkit evaluate {ordinary}`"]


def test_a_slip_in_the_word_stream_is_no_ordinary_recipe() -> None:
    text = RIGHT.replace("stream:\n", "streem:\n")
    with pytest.raises(RecipeError) as caught:
        parse_stream_recipe(text, "s.yaml")
    assert "s.yaml:9:1: streem: unknown key; did you mean 'stream'?" in caught.value.problems
    with pytest.raises(RecipeError, match="run it with `calibkit stream s.yaml`"):
        parse_recipe(text, "s.yaml")


def test_a_file_keeps_its_text_and_name(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(RIGHT)
    assert load_stream_recipe(file).text == RIGHT
    with pytest.raises(RecipeError, match=r"s\.yaml:10:3: stream\.batch: 0 is not allowed"):
        file.write_text(RIGHT.replace("batch: 8", "batch: 0"))
        load_stream_recipe(str(file))


def test_the_schema_describes_the_recipe_that_loads() -> None:
    schema = stream_recipe_schema()
    json.dumps(schema)
    document = yaml.safe_load(RIGHT)
    assert set(document) <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    defined = schema["$defs"]
    assert set(document["methods"]["learned"]) <= set(defined["MethodSection"]["properties"])
    assert set(document["stream"]) <= set(defined["StreamSection"]["properties"])
    for phase in document["stream"]["phases"]:
        assert set(phase) <= set(defined["PhaseSection"]["properties"])
    assert "test" not in defined["PlainCorpusSection"]["properties"]


def test_loading_needs_no_heavy_library() -> None:
    code = (
        "import sys; from calibkit.recipe import load_stream_recipe; "
        "r = load_stream_recipe(sys.argv[1]); list(r.trajectories()); r.id(); "
        "heavy = {'torch', 'brevitas', 'sklearn', 'scipy', 'datasets', 'pyarrow', 'pandas', "
        "'matplotlib'}; print(sorted(heavy & set(sys.modules)))"
    )
    file = SHIPPED / "stream-drift.yaml"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["stream-drift", "stream-noise"])
def test_the_shipped_recipes_compare_every_update_in_six_draws(name: str) -> None:
    recipe = load_stream_recipe(SHIPPED / f"{name}.yaml")
    assert recipe.name == name
    points = list(recipe.trajectories())
    assert {recipe.models[point.model].kind for point in points} == {"generative", "discriminative"}
    assert {point.bits for point in points} == {4}
    assert len({point.seed for point in points}) >= 6
    used = {recipe.methods[point.method] for point in points}
    updates = {method.model for method in used}
    assert updates >= {"frozen", "ranges", "gpfq", "greedy-flips", "learned-flips"}
    assert updates >= {"random-flips", "recalibrate", "fine-tune"}
    followed = {method.subset for method in used if method.model == "gpfq"}
    assert followed == {"fifo", "reservoir", "herding", "range-cover", "miss-pmf"}
