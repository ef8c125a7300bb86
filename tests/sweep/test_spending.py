"""Measuring where it decides most: real cells of tiny models, cut off and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from calibkit.cli.main import cli
from calibkit.decide.arms import Question
from calibkit.decide.halving import FRESH, Arm, Ladder
from calibkit.decide.race import Spent, spend
from calibkit.decide.recommend import Rule
from calibkit.decide.recommendation import recommend
from calibkit.decide.study import Spot, Study, base_recipe, candidates
from calibkit.errors import BadInput, Infeasible, UnknownName
from calibkit.recipe import Recipe, parse_recipe
from calibkit.sweep.plan import plan
from calibkit.sweep.run import RunReport, run

QUESTION = Question("made", "discriminative", 4)
NAMES = ("stratified", "longest", "shortest")
Watch = Any


class Quiet:
    """A watcher that nobody looks at."""

    def phase(self, name: str, total: int) -> None: ...

    def step(self, text: str, *, failed: bool = False) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Whole:
    """A store in which everything was spent at once, what came of it, and the recipes."""

    study: Any
    spent: Spent
    recipes: list[Recipe]


def study_of(
    study: Any, names: tuple[str, ...] = NAMES, sizes: tuple[int, ...] = (8,), **more: Any
) -> tuple[Study, Ladder]:
    base = base_recipe(study.store, QUESTION)
    policies = {"random": {"use": "random"}, **candidates("discriminative", base, names)}
    presets = more.pop("presets", ("brevitas-default",))
    ladder = Ladder(
        tuple(Arm(name, size) for name in names for size in sizes),
        "random",
        **{"finalists": 1, "fresh": 2, **more},
    )
    shape = (ladder.draws, ladder.finalists, ladder.fresh)
    return Study(QUESTION, base, policies, presets, sizes, shape), ladder


def measuring(
    study: Any, watched: Watch, log: list[Recipe], **how: Any
) -> Callable[..., RunReport]:
    """Measure for real, whatever the time; the recipes go into the log."""

    def measure(recipe: Recipe, minutes: float) -> RunReport:
        log.append(recipe)
        return run(study.store, recipe, workers=1, executor="serial", watcher=watched, **how)

    return measure


def spent_on(study: Any, watched: Watch, **more: Any) -> tuple[Spent, list[Recipe]]:
    log: list[Recipe] = []
    made, ladder = study_of(study, **more)
    return spend(study.store, made, ladder, 60.0, measuring(study, watched, log)), log


@pytest.fixture(scope="module")
def whole(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A study that nothing has interrupted; never to be changed."""
    study = finished.copy(tmp_path_factory.mktemp("whole"))
    return Whole(study, *spent_on(study, Quiet()))


def test_the_race_then_fresh_draws_on_validation_documents(whole: Whole) -> None:
    study, spent = whole.study, whole.spent
    assert spent.stage == "done"
    assert len(spent.left) == 1
    assert spent.measured == 3 * 2 + 2 * 2
    race, judged = (recipe.name for recipe in whole.recipes)
    assert race == f"{judged}-race"
    assert study.rows(
        "SELECT recipe, planned, done FROM progress WHERE recipe LIKE 'recommend%' ORDER BY 1"
    ) == [(judged, 4, 4), (race, 6, 6)]
    splits = study.one(
        "SELECT list(DISTINCT split) FROM results JOIN cells USING (cell_id)"
        " JOIN test_sets USING (test_id) WHERE recipe LIKE 'recommend%'"
    )
    assert splits == ["valid"]
    assert study.rows(
        f"SELECT policy, list(seed ORDER BY seed) FROM results WHERE recipe = '{judged}'"
        " GROUP BY policy ORDER BY policy"
    ) == sorted((name, [FRESH, FRESH + 1]) for name in ("random", spent.left[0].policy))


def test_asking_again_measures_nothing(whole: Whole) -> None:
    again, recipes = spent_on(whole.study, Quiet())
    assert recipes == []
    assert (again.stage, again.left, again.measured) == ("done", whole.spent.left, 0)


def test_evaluate_knows_the_recipes_as_any_other(whole: Whole) -> None:
    for recipe in whole.recipes:
        text = whole.study.one(
            f"SELECT DISTINCT recipe_text FROM runs WHERE recipe = '{recipe.name}'"
        )
        planned = plan(whole.study.store, parse_recipe(text))
        assert planned.counts["done"] == planned.counts["planned"] == len(list(recipe.cells()))


@pytest.mark.parametrize("after", [pytest.param(2, marks=pytest.mark.long), 8])
def test_cut_off_anywhere_it_goes_on_and_comes_to_the_same(
    study: Any, watched: Watch, whole: Whole, after: int
) -> None:
    """Interrupted after so many cells, then no time at all, then all the time there is."""
    made, ladder = study_of(study)
    cells = 0

    def tick(phase: str, text: str) -> None:
        nonlocal cells
        cells += phase == "cells"
        if cells == after:
            raise KeyboardInterrupt

    watched.on_step = tick
    log: list[Recipe] = []
    with pytest.raises(KeyboardInterrupt):
        spend(study.store, made, ladder, 60.0, measuring(study, watched, log))
    late = spend(study.store, made, ladder, 0.0, measuring(study, watched, log))
    assert (late.stage, late.measured) == ("race" if after < 6 else "judge", 0)
    assert late.missing > 0
    watched.on_step = lambda phase, text: None
    rest = spend(study.store, made, ladder, 60.0, measuring(study, watched, log))
    assert (rest.stage, rest.left) == ("done", whole.spent.left)
    assert rest.measured < whole.spent.measured
    assert log[-1].text == whole.recipes[-1].text
    query = "SELECT policy, seed, accuracy FROM results WHERE recipe LIKE 'recommend%' ORDER BY ALL"
    assert study.rows(query) == whole.study.rows(query)


def test_the_time_says_when_to_stop(study: Any, watched: Watch) -> None:
    made, ladder = study_of(study)
    now = [0.0]

    def measure(recipe: Recipe, minutes: float) -> RunReport:
        assert minutes == 10.0
        now[0] += 60 * minutes + 1
        return RunReport(0, 0, 0, 6, 6, 1.0)

    spent = spend(study.store, made, ladder, 10.0, measure, lambda: now[0])
    assert (spent.stage, spent.missing, spent.measured) == ("race", 6, 0)


def test_what_is_never_measured_does_not_go_on_for_ever(study: Any) -> None:
    made, ladder = study_of(study)
    spent = spend(
        study.store, made, ladder, 10.0, lambda recipe, minutes: RunReport(0, 0, 0, 6, 6, 1.0)
    )
    assert (spent.stage, spent.missing) == ("race", 6)


@pytest.mark.long
def test_presets_are_chosen_first_on_random_draws(study: Any, watched: Watch) -> None:
    presets = ("robust", "brevitas-default")
    spent, recipes = spent_on(study, watched, names=("stratified",), presets=presets)
    assert spent.stage == "done"
    first = recipes[0]
    assert {(p.policy, p.seed) for p in first.cells()} == {("random", seed) for seed in range(4)}
    assert {p.preset for p in first.cells()} == set(presets)
    means = dict(
        study.rows(
            "SELECT preset, avg(accuracy) FROM results WHERE recipe LIKE 'recommend%-race'"
            " GROUP BY preset"
        )
    )
    assert spent.preset == max(presets, key=lambda name: means[name])
    assert {p.preset for p in recipes[-1].cells()} == {spent.preset}


SPOTS = st.builds(
    Spot,
    st.sampled_from(["robust", "brevitas-default"]),
    st.builds(Arm, st.sampled_from(["random", *NAMES]), st.sampled_from([4, 8])),
    st.integers(0, 4),
)


@given(st.sets(SPOTS, min_size=1))
def test_a_recipe_has_the_cells_that_it_is_made_for_and_no_others(spots: set[Spot]) -> None:
    policies = {name: {"use": name} for name in ("random", *NAMES)}
    presets = ("robust", "brevitas-default")
    made = Study(QUESTION, None, policies, presets, (4, 8), (2, 1, 2))
    recipe = made.recipe("recommend-0", "A test", sorted(spots))
    cells = [Spot(p.preset, Arm(p.policy, p.size), p.seed) for p in recipe.cells()]
    assert sorted(cells) == sorted(spots)


def test_a_policy_that_fails_is_out_and_the_others_go_on(study: Any, watched: Watch) -> None:
    spent, _ = spent_on(study, watched, names=("broken-of-tests", "stratified"))
    assert spent.stage == "done"
    assert spent.out == (Arm("broken-of-tests", 8),)
    assert spent.left == (Arm("stratified", 8),)


def test_float_models_and_corpus_are_those_of_the_store_s_recipe(study: Any) -> None:
    made, _ = study_of(study)
    assert made.base is not None
    assert made.base.name == "tiny"
    assert made.alias == "discriminative"


def test_without_a_recipe_the_usual_settings_are_taken(fresh: Any) -> None:
    made, _ = study_of(fresh)
    assert made.base is None
    other = Study(
        Question("made", "mine", 4), None, made.policies, made.presets, made.sizes, made.shape
    )
    with pytest.raises(BadInput, match="'mine' on made.*--model"):
        _ = other.alias


def test_another_question_is_another_study(study: Any) -> None:
    names = {
        study_of(study)[0].name,
        study_of(study, names=("stratified",))[0].name,
        study_of(study, sizes=(8, 16))[0].name,
        study_of(study, fresh=4)[0].name,
        study_of(study, presets=("robust",))[0].name,
    }
    assert len(names) == 5


def test_candidates_are_policies_that_need_no_parameters_and_have_draws(study: Any) -> None:
    found = candidates("discriminative", None, None)
    assert "stratified" in found
    assert "k-center" in found
    assert not {"random", "skewed", "subset", "self-calibration", "longest-of-tests"} & set(found)
    assert "self-calibration" in candidates("generative", None, None)
    order = list(found)
    assert order.index("stratified") < order.index("k-center") < order.index("margin")


def test_candidates_that_are_asked_for_must_be_there(study: Any) -> None:
    base = base_recipe(study.store, QUESTION)
    with pytest.raises(UnknownName, match="did you mean 'stratified'"):
        candidates("discriminative", base, ["stratifed"])
    with pytest.raises(BadInput, match="leave it out"):
        candidates("discriminative", base, ["random"])
    with pytest.raises(BadInput, match="weights"):
        candidates("discriminative", base, ["skewed"])


def test_a_preset_that_cannot_be_measured_is_said(study: Any, watched: Watch) -> None:
    with pytest.raises(Infeasible, match="under any of the presets"):
        spent_on(study, watched, sizes=(4, 100_000), presets=("robust", "paper"))


SPEND = ("recommend", "--corpus", "made", "--model", "discriminative", "--bits", "4", "--json")
SPEND += ("--policies", ",".join(NAMES), "--sizes", "8", "--presets", "brevitas-default")
SPEND += ("--finalists", "1", "--executor", "serial", "--tolerance", "100")


def test_the_command_recommends_by_the_fresh_draws(whole: Whole, tmp_path: Path) -> None:
    store, out = str(whole.study.store.path), tmp_path / "chosen.csv"
    options = ["--spend", "1", "--fresh", "2", "--draws", "2", "--subset-out", str(out)]
    result = CliRunner().invoke(cli, ["--store", store, *SPEND, *options])
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout)
    assert (row["recipe"], row["split"]) == (whole.recipes[-1].name, "valid")
    assert (row["candidates"], row["seed"], row["size"]) == (1, FRESH, 8)
    assert len(out.read_text().splitlines()) == 1 + 8
    assert f"finalists: {whole.spent.left[0]}" in result.stderr


def test_when_the_time_is_over_the_command_says_what_is_missing(study: Any) -> None:
    options = ["--spend", "1e-9", "--fresh", "2"]
    result = CliRunner().invoke(cli, ["--store", str(study.store.path), *SPEND, *options])
    assert (result.exit_code, result.stdout) == (4, "")
    said = " ".join(result.stderr.split())
    assert "3 on 2 draws; 1 and random on 2 fresh ones: about 10 cells" in said
    assert "6 draws of this stage are missing. The same command goes on" in said


def test_races_do_not_judge_what_they_have_chosen(whole: Whole) -> None:
    """Without --spend, the race's draws are no evidence; those of the fresh ones are."""
    with pytest.raises(Infeasible, match=rf"recipe (tiny|{whole.recipes[-1].name})"):
        recommend(whole.study.store, QUESTION, Rule())
