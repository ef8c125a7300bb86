"""Policies inside policies, written in a recipe: read back as written, mistakes at their place."""

from __future__ import annotations

import pytest

from calibkit.errors import RecipeError
from calibkit.recipe.load import parse_recipe
from calibkit.recipe.yaml_source import read_source

RIGHT = """\
  mix:
    use: mixture
    parts:
      - policy: {use: random, filters: {near_duplicates: 0.8}}
        share: 3
      - share: 1
        policy:
          use: union
          parts:
            - {use: longest, candidates: 500}
            - use: skewed
              weights: {torch: 2, numpy: 1}
  shuffled: {use: shuffle, of: {use: subset, id: s1-0123456789abcdef}, of_seed: 1}
"""


@pytest.fixture
def with_parts(right: str) -> str:
    """A recipe with the policies ``mix`` and ``shuffled`` from line 10 on."""
    text = right.replace("quantize:", RIGHT + "quantize:")
    return text.replace("policy: [random, one-class]", "policy: [random, one-class, mix, shuffled]")


def test_parts_are_read_and_written_as_they_stand(with_parts):
    policies = parse_recipe(with_parts).policies
    written = read_source(with_parts, "r.yaml").value["policies"]
    mix, shuffled = policies["mix"].policy, policies["shuffled"].policy
    assert mix.params() == {"parts": written["mix"]["parts"]}
    assert shuffled.params() == {"of": written["shuffled"]["of"], "of_seed": 1}
    assert mix.every_need == ("minhash",)
    assert shuffled.every_need == ("subset:s1-0123456789abcdef",)


MISTAKES = [
    ("candidates: 500", "candidate: 500",
     "19:30: policies.mix.parts[1].policy.parts[0].candidate: union: longest: no parameter is "
     "called 'candidate'; did you mean 'candidates'?"),
    ("candidates: 500", "candidates: no",
     "19:30: policies.mix.parts[1].policy.parts[0].candidates: union: longest: candidates is "
     "'no'; it must be a valid integer"),
    ("numpy: 1", "numpy: 0",
     "21:35: policies.mix.parts[1].policy.parts[1].weights.numpy: union: skewed: weights.numpy "
     "is 0; it must be greater than 0"),
    ("use: longest", "use: longst",
     "19:16: policies.mix.parts[1].policy.parts[0].use: union: longst: no policy is called "
     "'longst'; did you mean 'longest'?"),
    ("use: longest", "used: longest",
     "19:15: policies.mix.parts[1].policy.parts[0]: union: parts[0]: *"),
    ("near_duplicates: 0.8", "near_duplicate: 0.8",
     "13:41: policies.mix.parts[0].policy.filters.near_duplicate: random: no parameter of "
     "filters is called 'near_duplicate'; did you mean 'near_duplicates'?"),
    ("near_duplicates: 0.8", "near_duplicates: 0.2",
     "13:41: policies.mix.parts[0].policy.filters.near_duplicates: random: "
     "filters.near_duplicates is 0.2; it must be greater than or equal to 0.5"),
    ("        share: 3\n", "",
     "13:9: policies.mix.parts[0].share: the parameter 'parts[0].share' is missing"),
    ("share: 3", "shares: 3",
     "13:9: policies.mix.parts[0].share: the parameter 'parts[0].share' is missing",
     "14:9: policies.mix.parts[0].shares: no parameter of parts[0] is called 'shares'; did you "
     "mean 'share'?"),
    ("of: {use: subset, id: s1-0123456789abcdef}, ", "",
     "22:3: policies.shuffled.of: the parameter 'of' is missing"),
    ("{use: subset, id: s1-0123456789abcdef}", "random",
     "22:28: policies.shuffled.of: of: 'random' is not a policy; write it as {use: *"),
    ("{use: subset, id: s1-0123456789abcdef}", "{use: self-calibration}",
     "22:28: policies.shuffled.of: of: self-calibration makes documents, *"),
    ("id: s1-0123456789abcdef", "id: 7",
     "22:46: policies.shuffled.of.id: subset: id is 7; it must be a valid string"),
    ("of_seed: 1", "of_seed: -1",
     "22:72: policies.shuffled.of_seed: of_seed is -1; it must be greater than or equal to 0"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m[0]}|{m[1]}".replace("\n", "|"))
def test_a_mistake_in_a_part_is_said_at_its_place(with_parts, mistake):
    before, after, *expected = mistake
    assert with_parts.count(before) == 1
    with pytest.raises(RecipeError) as caught:
        parse_recipe(with_parts.replace(before, after), "r.yaml")
    found = caught.value.problems
    assert len(found) == len(expected), "\n".join(found)
    for got, wanted in zip(found, expected, strict=True):
        if wanted.endswith("*"):
            assert got.startswith(f"r.yaml:{wanted[:-1]}")
        else:
            assert got == f"r.yaml:{wanted}"
