"""What policies read has versions: raising one makes new requests and new plans, and no others."""

from dataclasses import replace

import pytest

from calibkit.corpora.noise import kinds
from calibkit.curate import versions
from calibkit.curate.subsets import SubsetBuilder
from calibkit.curate.versions import versions_of
from calibkit.policies import make_policy, minhash, policy_names
from calibkit.policies.registry import find_policy

NEAR = {"filters": {"near_duplicates": 0.8}}
CALM = {"noise": "keyboard", "share": 0.5}


@pytest.fixture
def raise_to_two(monkeypatch):
    """Raise one of the versions."""

    def raised(name):
        if name == "minhash":
            monkeypatch.setattr(minhash, "VERSION", 2)
        elif name == "noise":
            keyboard = replace(kinds.KINDS["keyboard"], version=2)
            monkeypatch.setitem(kinds.KINDS, "keyboard", keyboard)
        else:
            monkeypatch.setattr(versions, name.upper(), 2)

    return raised


def test_only_versions_above_one_are_told():
    """So keys from before the first change are kept."""
    at_bits = {"disagreement", "miss-pmf", "miss-weighted", "bit-chain"}
    for name in policy_names():
        expected = {"at bits": 2} if name in at_bits else {}
        assert versions_of(find_policy(name).example()) == expected


@pytest.mark.parametrize(
    ("raised", "touched"),
    [
        ("minhash", {"near"}),
        ("noise", {"noise"}),
        ("features", {"near", "k-center", "disagreement", "mixture"}),
        ("harness", {"disagreement", "mixture"}),
    ],
)
def test_a_raised_version_is_in_what_reads_it(raise_to_two, raised, touched):
    part = {"policy": {"use": "bit-chain"}, "share": 1.0}
    some = {
        "random": make_policy("random"),
        "near": make_policy("random", NEAR),
        "noise": make_policy("noise-mix", CALM),
        "other noise": make_policy("noise-mix", {"noise": "case"}),
        "k-center": make_policy("k-center"),
        "disagreement": make_policy("disagreement"),
        "mixture": make_policy("mixture", {"parts": [part]}),
    }
    before = {name: versions_of(policy) for name, policy in some.items()}
    raise_to_two(raised)
    after = {name: versions_of(policy) for name, policy in some.items()}
    assert {name for name in some if after[name] != before[name]} == touched
    assert all(after[name] == before[name] | {raised: 2} for name in touched)


@pytest.mark.parametrize(
    ("raised", "policy"),
    [
        ("minhash", make_policy("random", NEAR)),
        ("noise", make_policy("noise-mix", CALM)),
        ("features", make_policy("k-center")),
    ],
)
def test_the_store_does_not_answer_with_what_an_old_version_chose(
    features, raise_to_two, raised, policy
):
    builder = SubsetBuilder(features.library)
    assert not builder.build(policy, 20, 0).existed
    assert builder.build(policy, 20, 0).existed
    raise_to_two(raised)
    assert not builder.build(policy, 20, 0).existed
