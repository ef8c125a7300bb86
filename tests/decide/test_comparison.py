"""Corrections: within the family that a recipe declares, and over what is explored."""

import shutil
from pathlib import Path

import pytest
from noisy_study import TEXT, make_study, study

from calibkit.decide.comparison import compare_groups, most_moved_first
from calibkit.decide.contrast import contrast
from calibkit.decide.declared import declared_p
from calibkit.decide.evidence import pairs_of
from calibkit.measure.multiple import benjamini_hochberg, holm
from calibkit.store import Store

CLAIMS = """\
claims:
  - id: even-wins
    says: Even draws do better at 4 bits.
    compare: {policy: [random, even]}
    where: {model: generative, bits: 4}
    measure: accuracy
    expect: lower
  - id: even-wins-elsewhere
    says: The other model as well.
    compare: {policy: [even, random]}
    where: {model: discriminative, bits: 4}
    measure: accuracy
    expect: higher
  - id: noise
    says: Noise costs random draws more.
    family: noise
    compare: {policy: [even, random]}
    where: {model: generative, bits: 4}
    measure: noise_drop
    noise: {keyboard: 0.1}
    expect: lower
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("declared") / "made.duckdb")
    make_study(made, study(TEXT + CLAIMS))
    return made


def test_what_is_declared_is_corrected_in_its_family_and_the_rest_apart(store):
    groups = pairs_of(store, "even", "random", where="noise = 0")
    told = declared_p(store, groups, "even", "random", "policy")
    assert told.unread == ()
    settings = [(g.keys["model"], g.keys["bits"]) for g in groups]
    assert [s for s, p in zip(settings, told.p, strict=True) if p is not None] == [
        ("discriminative", 4),
        ("generative", 4),
    ]
    alone = [contrast(g.pairs).p for g in groups]
    family = [p for p, (_, bits) in zip(alone, settings, strict=True) if bits == 4]
    found = compare_groups(groups, declared=told.p)
    assert [one.p_adjusted for one in found if one.correction == "holm"] == pytest.approx(
        holm(family)
    )
    explored = [p for p, (_, bits) in zip(alone, settings, strict=True) if bits == 8]
    assert [one.p_adjusted for one in found if one.correction == "bh"] == pytest.approx(
        benjamini_hochberg(explored)
    )


def test_a_claim_is_about_its_measure_noise_and_arms_alone(store):
    def declared(*arms, **asked):
        groups = pairs_of(store, *arms, **asked)
        axis = asked.get("axis", "policy")
        p = declared_p(store, groups, *arms, axis).p
        return [
            (g.keys["model"], g.keys["noise"])
            for g, value in zip(groups, p, strict=True)
            if value is not None
        ]

    assert declared("even", "random", measure="noise_drop") == [("generative", 0.1)]
    assert declared("even", "random", measure="macro_f1") == []
    assert declared("even", "float") == []
    assert declared("8", "4", axis="bits") == []


def test_claims_that_cannot_be_read_correct_nothing(store, tmp_path):
    other = Store(tmp_path / "other.duckdb")
    other.folder.mkdir()
    shutil.copy(Path(store.path), other.path)
    with other.writing() as con:
        con.execute("UPDATE runs SET recipe_text = 'calibkit: 9\nclaims: [{id: new}]\n'")
    groups = pairs_of(other, "even", "random", where="noise = 0")
    told = declared_p(other, groups, "even", "random", "policy")
    assert (set(told.p), told.unread) == ({None}, ("study",))


def test_several_comparisons_make_each_less_sure(store):
    (group,) = pairs_of(
        store, "even", "random", where="noise = 0 AND model = 'generative' AND bits=4"
    )
    (alone,) = compare_groups([group])
    assert alone.p_adjusted == alone.gain.p == 2 / 2**4
    crowd = compare_groups([group] * 3, declared=[None, 0.9, None])
    assert [one.p_adjusted for one in crowd] == [2 / 2**4, 0.9, 2 / 2**4]
    assert crowd[1].gain.draws_needed > alone.gain.draws_needed


def test_sites_are_sorted_by_how_far_they_moved(store):
    groups = pairs_of(store, "4", "8", axis="bits", measure="ks_weights", by_site=True)
    found = most_moved_first(compare_groups(list(reversed(groups))))
    assert [one.group.keys["site"] for one in found] == ["cell", "input"] * (len(groups) // 2)
    assert found[0].gain.equivalent is None  # nobody says how much KS D is nothing
