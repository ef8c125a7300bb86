"""Names of settings, their order, and how figures share them out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calibkit.report.conditions import Condition, in_order, name_conditions, panels

PRESETS = {"q1": "robust", "q2": "paper", "q3": "robust"}


def condition(model="m", size=16, bits=4, rounding="nearest", scheme="q1"):
    return Condition(model, size, bits, rounding, scheme)


def test_what_is_the_same_everywhere_is_not_in_the_names():
    named = name_conditions([condition(bits=4), condition(bits=8)], PRESETS)
    assert [named(condition(bits=bits)) for bits in (8, 4)] == ["8 bits", "4 bits"]
    assert named.everywhere == {"size": "16", "preset": "robust", "rounding": "nearest"}
    assert named.whole(condition(bits=4)) == "m · 4 bits"


def test_what_follows_from_the_preset_is_left_out():
    both = [condition(rounding="gpfq"), condition(scheme="q2")]
    assert name_conditions(both, PRESETS).said == ("bits", "preset")


def test_schemes_of_one_preset_are_told_apart_by_their_id():
    named = name_conditions([condition(scheme="q1"), condition(scheme="q3")], PRESETS)
    assert named(condition(scheme="q3")) == "4 bits · q3"


conditions = st.lists(
    st.builds(
        Condition, st.sampled_from("ab"), st.sampled_from([16, 64]), st.sampled_from([3, 4, 8]),
        st.sampled_from(["nearest", "gpfq"]), st.sampled_from(["q1", "q2", "q3"]),
    ),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@given(conditions)
def test_names_tell_all_settings_apart(found):
    named = name_conditions(found, PRESETS)
    assert len({named.whole(one) for one in found}) == len(found)


@given(conditions, st.integers(1, 5), st.integers(1, 40))
def test_panels_share_out_every_setting_once_in_order(found, rows_each, most):
    named = name_conditions(found, PRESETS)
    ordered = in_order(found, named, ["robust", "paper"])
    shared = panels(ordered, rows_each, named, most)
    assert sorted(one for _, group in shared for one in group) == sorted(found)
    for _, group in shared:
        assert len({one.model for one in group}) == 1
        assert group == [one for one in ordered if one in group]
        assert len(group) * rows_each <= most or len(group) == 1


def test_settings_go_from_many_bits_to_few_as_the_recipe_orders_presets():
    found = [condition(scheme="q2"), condition(bits=8), condition(bits=4)]
    named = name_conditions(found, PRESETS)
    shown = [named(one) for one in in_order(found, named, ["robust", "paper"])]
    assert shown == ["8 bits · robust", "4 bits · robust", "4 bits · paper"]
    assert in_order(found, named, ["paper"])[0].scheme_id == "q2"
