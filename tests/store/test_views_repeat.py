"""Views over the same rows give the same bits, however many threads sum them up."""

from __future__ import annotations

import random

import pytest
from made_results import make_results

from calibkit.recipe import parse_recipe
from calibkit.store import Store

RECIPE = """\
calibkit: 1
name: many
corpus: {name: docs, from: docstrings}
models: {generative: {seeds: [0, 1, 2]}}
policies: {random: {use: random}, stratified: {use: stratified}}
grid:
  model: [generative]
  policy: [random, stratified]
  size: [16, 32, 64]
  seed: [0, 1, 2]
  bits: [8, 7, 6, 5, 4, 3]
"""


@pytest.mark.parametrize("query", ["FROM summary", "FROM compare('random', 'stratified')"])
def test_asking_again_gives_the_same_bits(fresh_store, query):
    store = Store(fresh_store.path, threads=4)
    numbers = random.Random(0)
    make_results(store, parse_recipe(RECIPE), lambda point: numbers.random())
    answers = set()
    for _ in range(40):  # three float models, three draws: sums of three depend on their order
        with store.reading() as con:
            answers.add(repr(con.execute(query).fetchall()))
    assert len(answers) == 1
