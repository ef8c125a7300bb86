import subprocess
import sys

import pytest

from calibkit.errors import BadInput, UnknownName
from calibkit.models.settings import settings_from


def test_each_kind_has_its_own_defaults():
    discriminative, generative = settings_from("discriminative"), settings_from("generative", {})
    assert (discriminative.epochs, discriminative.dropout) == (12, 0.5)
    assert (generative.epochs, generative.dropout, generative.prior) == (5, 0.0, "train")
    assert discriminative.hidden == generative.hidden == 100


def test_given_values_override_and_integers_may_stand_for_numbers():
    settings = settings_from("generative", {"epochs": 2, "clip": 5, "prior": "uniform"})
    assert (settings.epochs, settings.clip, settings.prior) == (2, 5.0, "uniform")
    assert settings.as_dict()["epochs"] == 2


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("epochs", 0, "integer from 1 to 1000"),
        ("epochs", 2.5, "integer from 1"),
        ("hidden", True, "integer from 1"),
        ("batch", "64", "integer from 1"),
        ("dropout", 1, "from 0 up to, not including, 1"),
        ("dropout", -0.1, "from 0 up to"),
        ("learning_rate", 0, "above 0"),
        ("clip", float("nan"), "above 0"),
        ("clip", float("inf"), "above 0"),
        ("prior", "flat", "train, uniform"),
        ("prior", ["train"], "train, uniform"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_key_and_what_is(key, value, allowed):
    with pytest.raises(BadInput, match=allowed) as caught:
        settings_from("generative", {key: value})
    assert key in str(caught.value)
    assert repr(value) in str(caught.value)


def test_unknown_kinds_and_keys_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'generative'"):
        settings_from("generativ", {})
    with pytest.raises(UnknownName, match="did you mean 'epochs'"):
        settings_from("discriminative", {"epoch": 3})
    with pytest.raises(BadInput, match="no label prior"):
        settings_from("discriminative", {"prior": "train"})


def test_settings_need_no_torch():
    code = (
        "import sys; import calibkit.models, calibkit.models.settings, calibkit.measure.shift;"
        "sys.exit(bool({'torch', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
