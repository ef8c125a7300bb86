"""Policies that look through a float model, from the store's documents to a stored subset."""

from __future__ import annotations

import pytest

from calibkit.corpora.reading import find_corpus
from calibkit.curate.encoding import Library
from calibkit.curate.subsets import SubsetBuilder
from calibkit.errors import Infeasible
from calibkit.policies import make_policy

CHOICES = [
    ("leverage", {}),
    ("d-optimal", {}),
    ("margin", {}),
    ("margin", {"side": "large"}),
    ("disagreement", {"bits": 3}),
    ("miss-pmf", {"bits": [4, 2], "never_learned": "keep"}),
    ("miss-weighted", {"bits": [4, 2]}),
    ("bit-chain", {"bits": [8, 4, 2]}),
    ("bit-chain", {"bits": [8, 4, 2], "draw": "weighted"}),
]


@pytest.fixture
def library(store):
    with store.reading() as con:
        return Library(store, find_corpus(con, "made"), 1.0)


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_every_policy_chooses_from_what_the_model_gives(library, trained, kind):
    feasible = set()
    for name, params in CHOICES:
        builder = SubsetBuilder(library)  # as in another process: nothing is remembered
        policy = make_policy(name, params)
        try:
            built = builder.build(policy, 12, 0, model=trained[kind])
        except Infeasible as error:
            assert "asked for 12 documents" in str(error) and name in ("miss-weighted", "bit-chain")
            continue
        assert len(set(built.doc_ids)) == 12
        assert builder.build(policy, 12, 0, model=trained[kind]).existed
        feasible.add(name)
    assert feasible >= {"leverage", "d-optimal", "margin", "disagreement", "miss-pmf", "bit-chain"}
