"""A network that no longer works is told by what it does, never by its accuracy."""

import numpy as np
import pytest

from calibkit.measure.collapse import FLAGS, Behaviour, flags, state_spread

FLOAT = Behaviour(mean_abs_h=0.3, state_spread=0.5, nll=0.4)


def told(mean_abs_h=0.3, spread=0.5, nll=0.4, **others):
    given = {"majority_share": 0.3, "chance_nll": np.log(4), "range_ratio": 1.0} | others
    return flags(Behaviour(mean_abs_h, spread, nll), FLOAT, **given)


def test_a_network_that_works_has_no_flag():
    assert told() == ()
    assert told(mean_abs_h=0.1, spread=0.2, nll=1.2, majority_share=0.9, range_ratio=2.0) == ()


@pytest.mark.parametrize(
    ("behaviour", "flag"),
    [
        ({"mean_abs_h": 0.0029}, "dead-lstm"),
        ({"spread": 0.049}, "constant-output"),
        ({"majority_share": 0.999}, "one-label"),
        ({"nll": 1.39}, "nll-explodes"),
        ({"nll": 0.51, "chance_nll": 0.0}, "nll-explodes"),
        ({"range_ratio": 4.1}, "range-explodes"),
    ],
)
def test_each_sign_has_its_flag(behaviour, flag):
    assert told(**behaviour) == (flag,)


def test_every_flag_can_stand_beside_every_other():
    everything = told(0.0, 0.0, 9.0, majority_share=1.0, range_ratio=99.0)
    assert everything == FLAGS


def test_a_label_s_nll_far_above_a_sure_float_model_is_no_explosion():
    """Of .4 nats a model that guesses loses 1.39; one that loses 1.0 still knows something."""
    assert told(nll=1.0) == ()
    assert told(nll=1.0, chance_nll=0.0) == ("nll-explodes",)


def test_one_document_alone_is_no_constant_output():
    same = Behaviour(0.3, state_spread(np.ones((1, 5), dtype=np.float32)), 0.4)
    assert flags(same, same, majority_share=0.5) == ()


def test_the_spread_is_the_deviation_over_documents():
    rng = np.random.default_rng(0)
    last = rng.normal(3.0, [0.1, 0.2, 0.4], size=(4000, 3)).astype(np.float32)
    expected = np.sqrt((0.1**2 + 0.2**2 + 0.4**2) / 3)
    assert state_spread(last) == pytest.approx(expected, rel=0.05)
    assert state_spread(np.tile(last[0], (9, 1))) == 0
