"""What a pool can give, told before anything is built: the same as building tells."""

from __future__ import annotations

import csv

import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import find_corpus
from calibkit.curate.encoding import Library
from calibkit.curate.foresight import Foresight, Verdict
from calibkit.curate.subsets import build_subset
from calibkit.errors import CalibkitError, Infeasible
from calibkit.models.settings import settings_from
from calibkit.policies import Policy, make_policy
from calibkit.policies.base import REGISTERED
from calibkit.store.connection import Store


class ReaderOfMindsOfTests(Policy, name="test-reader-of-minds"):
    """Needs what nothing computes."""

    needs = ("minds",)

    def pick(self, pool, size, draw):
        return draw.ranked(pool)[:size]


class DividesOfTests(Policy, name="test-divides"):
    """Has a defect."""

    def pick(self, pool, size, draw):
        raise ZeroDivisionError("by nothing")


# other tests go through all policies there are: these are there only while these tests run
DEFECTIVE = {name: REGISTERED.pop(name) for name in ("test-reader-of-minds", "test-divides")}


@pytest.fixture(autouse=True)
def defective_policies(monkeypatch):
    for name, policy in DEFECTIVE.items():
        monkeypatch.setitem(REGISTERED, name, policy)


@pytest.fixture
def foresight(store):
    with store.reading() as con:
        return Foresight(Library(store, find_corpus(con, "made"), 1.0))


ASKED = [
    ("random", {}, 16, True),
    ("random", {}, 999, "asked for 999 documents, the pool has"),
    ("stratified", {"mix": "proportional"}, 40, True),
    ("skewed", {"weights": {"sea": 1}}, 149, "asked for 149 'sea' documents"),
    ("one-label", {"label": "sky"}, 9, True),
    ("longest", {"candidates": 8}, 9, "asked for 9 documents out of 8 candidates"),
    ("k-center", {}, 12, True),
    ("random", {"filters": {"min_tokens": 100}}, 8, "the filters leave 1 of"),
    ("subset", {"id": "s1-none"}, 8, "the store has no subset 's1-none'"),
    ("shuffle", {"of": {"use": "subset", "id": "s1-none"}}, 8, "no subset 's1-none'"),
    ("k-center", {"features": "given"}, 8, "corpus 'made' has none; `calibkit ingest made"),
    ("token-budget", {"tokens_per_document": 900.0}, 8, "change 'tokens_per_document'"),
    ("test-divides", {}, 8, "ZeroDivisionError: by nothing"),
    ("test-reader-of-minds", {}, 8, "no need of a policy is called 'minds'"),
    ("noise-mix", {"of": {"use": "one-label", "label": "sea"}}, 149, "asked for 149 'sea'"),
]


@pytest.mark.parametrize(("name", "params", "size", "expected"), ASKED)
def test_what_is_told_is_what_building_does(foresight, store, name, params, size, expected):
    policy = make_policy(name, params)
    verdict = foresight.of(policy, size, 0)
    before = sorted(store.folder.rglob("*"))
    if expected is True:
        assert verdict == Verdict(True)
        build_subset(store, "made", policy, size=size, seed=0)
        return
    assert verdict.feasible is False
    assert expected in verdict.reason
    assert before == sorted(store.folder.rglob("*"))  # nothing was computed to be kept
    error = ZeroDivisionError if name == "test-divides" else CalibkitError
    with pytest.raises(error):
        build_subset(store, "made", policy, size=size, seed=0)


def test_a_stored_subset_is_known_by_its_size(foresight, store):
    kept = build_subset(store, "made", make_policy("random"), size=10, seed=3)
    policy = make_policy("subset", {"id": kept.subset_id})
    assert foresight.of(policy, 10, 0) == Verdict(True)
    told = foresight.of(policy, 11, 0)
    assert told.feasible is False and "has 10 of this pool's" in told.reason


def test_what_looks_through_a_model_is_not_computed(foresight, store):
    settings = settings_from("discriminative", {"epochs": 3})
    for name, params in (("k-center", {"features": "hidden"}), ("margin", {}), ("range-cover", {})):
        assert foresight.of(make_policy(name, params), 12, 0, through=settings) == Verdict(True)
    told = foresight.of(make_policy("miss-weighted"), 12, 0, through=settings)
    assert told == Verdict(None, "miss-weighted goes by misses:8,4,2, which is not known yet")
    short = settings_from("discriminative", {"epochs": 1})
    told = foresight.of(make_policy("miss-pmf"), 12, 0, through=short)
    assert told.feasible is False and "was trained for 1 epoch" in told.reason
    assert not list(store.folder.rglob("*.safetensors"))


def test_a_label_of_which_the_pool_has_nothing_is_infeasible_not_unknown(tmp_path):
    """All of its training documents stand in the test split as well."""
    rows = [(f"document number {i} of many", f"{'ab'[i % 2]}") for i in range(40)]
    leaked = [("the same words again", "c"), ("and these words as well", "c")]
    files = {"train": rows + leaked, "valid": rows[:9], "test": [("new", "a"), ("b", "b"), *leaked]}
    for split, content in files.items():
        with (tmp_path / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *content])
    store = Store(tmp_path / "store.duckdb")
    ingest(store, "leaky", **{split: tmp_path / f"{split}.csv" for split in files})
    with store.reading() as con:
        foresight = Foresight(Library(store, find_corpus(con, "leaky"), 1.0))
    for params in ({"label": "c"}, {"label": "c", "filters": {"min_tokens": 2}}):
        policy = make_policy("one-label", params)
        told = foresight.of(policy, 2, 0)
        assert told.feasible is False and "no document of the label 'c'" in told.reason
        with pytest.raises(Infeasible, match="no document of the label 'c'"):
            build_subset(store, "leaky", policy, size=2, seed=0)
