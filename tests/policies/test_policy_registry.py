from __future__ import annotations

import json
import subprocess
import sys

import pytest

from calibkit.errors import BadInput, UnknownName
from calibkit.policies import (
    KCenter,
    Policy,
    Random,
    Skewed,
    Stratified,
    find_policy,
    make_policy,
    parameter_problems,
    policy_names,
)
from calibkit.policies.base import REGISTERED
from calibkit.testing import check_policy


def test_the_four_policies_are_registered_by_import():
    assert {"random", "stratified", "skewed", "k-center"} <= set(policy_names())
    assert find_policy("k-center") is KCenter


def test_an_unknown_name_says_which_was_meant():
    with pytest.raises(
        UnknownName, match="no policy is called 'k-centre'; did you mean 'k-center'"
    ):
        make_policy("k-centre")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        (
            "k-center",
            {"candidate": 5},
            "k-center: no parameter is called 'candidate'; did you mean 'candidates'?",
        ),
        ("random", {"x": 1}, "random: no parameter is called 'x'; known: 'filters'"),
        ("k-center", {"candidates": 0}, "k-center: candidates is 0; it must be greater than 0"),
        (
            "k-center",
            {"candidates": 2.5},
            "k-center: candidates is 2.5; it must be a valid integer",
        ),
        (
            "stratified",
            {"mix": "even"},
            "stratified: mix is 'even'; it must be 'equal' or 'proportional'",
        ),
        ("skewed", {"weights": {"a": 0}}, "skewed: weights.a is 0; it must be greater than 0"),
        ("skewed", {"weights": {}}, "skewed: weights is empty; it must have at least one entry"),
        (
            "skewed",
            {"alpha": float("inf")},
            "skewed: alpha is inf; it must be a finite number",
        ),
        ("skewed", {"alpha": "1"}, "skewed: alpha is '1'; it must be a valid number"),
        (
            "skewed",
            {"weights": 5},
            "skewed: weights is 5; it must be a mapping, as in {KEY: VALUE}",
        ),
        (
            "random",
            {"filters": 5},
            "random: filters is 5; it must be a mapping of min_tokens, max_tokens, near_test, "
            "duplicates, near_duplicates, as in {KEY: VALUE}",
        ),
        ("union", {"parts": 5}, "union: parts is 5; it must be a list, as in [ONE, OTHER]"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_is_allowed(name, params, message):
    with pytest.raises(BadInput) as caught:
        make_policy(name, params)
    assert str(caught.value) == message


def test_all_wrong_parameters_are_reported_with_their_places():
    problems = parameter_problems("skewed", {"weights": {"a": -1, "b": 2}, "alfa": 1})
    assert [problem.path for problem in problems] == [("weights", "a"), ("alfa",)]
    assert "did you mean 'alpha'" in problems[1].message
    assert parameter_problems("skewed", {"weights": {"a": 1}}) == []


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({}, "none is"),
        ({"weights": {"a": 1}, "alpha": 1}, "weights and alpha are"),
        ({"zipf": 1, "alpha": 1}, "alpha and zipf are"),
    ],
)
def test_skewed_takes_exactly_one_of_weights_alpha_and_zipf(params, given):
    message = f"exactly one of 'weights', 'alpha' and 'zipf' must be given, here {given};"
    with pytest.raises(BadInput, match=message):
        make_policy("skewed", params)


def test_params_are_the_same_however_the_policy_is_written():
    assert make_policy("stratified").params() == {"mix": "equal"}
    assert make_policy("stratified", {"mix": "equal"}) == Stratified()
    assert KCenter().params() == {"features": "tfidf-svd"}
    assert Random().params() == {}
    assert Skewed(weights={"b": 1, "a": 2}).params() == Skewed(weights={"a": 2.0, "b": 1}).params()


def test_labels_that_look_like_numbers_may_be_written_as_numbers():
    assert make_policy("skewed", {"weights": {1: 2}}).params() == {"weights": {"1": 2.0}}


def test_a_policy_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Stratified().mix = "proportional"  # type: ignore[misc]


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(BadInput, match=r"'random'.*is taken by calibkit\.policies\.simple\.Random"):

        class Other(Policy, name="random"):
            """Another one."""

            def pick(self, pool, size, draw):
                raise AssertionError

    assert find_policy("random") is Random


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Return a function that installs a package on sys.path with one entry point."""
    before = dict(REGISTERED)
    made = []

    def install(package: str, entry: str, source: str) -> None:
        root = tmp_path / package
        info = root / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (root / f"{package}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[calibkit.policies]\n{entry}\n")
        monkeypatch.syspath_prepend(str(root))
        made.append(package)

    yield install
    REGISTERED.clear()
    REGISTERED.update(before)
    for package in made:
        sys.modules.pop(package, None)


LONGEST = '''
from typing import ClassVar
import numpy as np
from calibkit.policies import Policy

class Longest(Policy, name="{name}"):
    """Take the longest documents, at least `shortest` tokens long."""

    uses_seed: ClassVar[bool] = False
    nested: ClassVar[bool] = True
    shortest: int = 1

    def pick(self, pool, size, draw):
        pool.require_size(size, self.name)
        return np.argsort(-pool.lengths, kind="stable")[:size]
'''


def test_a_policy_of_another_package_is_found_validated_and_keeps_the_contract(offer):
    offer("plugin_longest", "longest-x = plugin_longest:Longest", LONGEST.format(name="longest-x"))
    assert "longest-x" in policy_names()
    assert "plugin_longest" not in sys.modules, "listing names must not import the package"
    policy = make_policy("longest-x", {"shortest": 3})
    assert policy.params() == {"shortest": 3}
    with pytest.raises(BadInput, match="longest-x: shortest is 'a'; it must be a valid integer"):
        make_policy("longest-x", {"shortest": "a"})
    check_policy("longest-x")


def test_a_package_that_fails_to_import_is_named_only_when_its_policy_is_wanted(offer):
    offer("plugin_broken", "broken-x = plugin_broken:Nothing", "raise RuntimeError('no luck')")
    assert find_policy("random") is Random
    with pytest.raises(BadInput, match="'broken-x' of the package 'plugin_broken'.*no luck"):
        find_policy("broken-x")


def test_an_entry_point_whose_class_has_another_name_is_refused(offer):
    offer("plugin_misnamed", "one-x = plugin_misnamed:Longest", LONGEST.format(name="other-x"))
    with pytest.raises(BadInput, match='registers no policy of that name.*name="one-x"'):
        find_policy("one-x")


def test_a_package_cannot_replace_a_built_in_policy(offer):
    offer("plugin_greedy", "random = plugin_greedy:Longest", LONGEST.format(name="random"))
    with pytest.raises(BadInput, match="plugin_greedy.*is taken by"):
        find_policy("random")
    assert find_policy("stratified") is Stratified


def test_importing_the_policies_loads_nothing_heavy():
    code = (
        "import sys, json, calibkit.policies, calibkit.policies.features;"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = set(json.loads(done.stdout))
    heavy = {"torch", "brevitas", "sklearn", "scipy", "datasets", "pandas", "pyarrow", "matplotlib"}
    assert not loaded & (heavy | {"duckdb", "yaml", "click"})
