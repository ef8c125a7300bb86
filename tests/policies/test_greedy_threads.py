"""The greedy choices are the same bit by bit however many threads the BLAS has."""

from __future__ import annotations

import json

import pytest
from threadpoolctl import threadpool_limits

from calibkit.policies import (
    Draw,
    activation_match,
    facility_location,
    herding,
    k_medoids,
    make_policy,
)
from calibkit.testing import example_pool

CODE = """
CASES = '''<cases>'''
import hashlib, json, numpy as np
from calibkit.policies import Draw, make_policy
from calibkit.policies.mmd import fourier_kernel
from calibkit.testing import example_pool
pool = example_pool(2500, 5, 48)
found = {}
for name, params in json.loads(CASES):
    rows = make_policy(name, params).pick(pool, 96, Draw(1))
    found[name + json.dumps(params)] = list(pool.ids(rows))
kernel = fourier_kernel(pool.arrays["vectors"], np.arange(900), Draw(0).generator("x"))
found["features"] = hashlib.sha256(kernel.steps(pool.arrays["vectors"]).tobytes()).hexdigest()
print(json.dumps(found))
"""

CASES = [
    ("herding", {}),
    ("k-medoids", {"rounds": 5}),
    ("facility-location", {}),
    ("facility-location", {"epsilon": 0.0, "clients": 600}),
    ("range-cover", {}),
    ("activation-match", {}),
]


def test_one_two_and_four_threads_choose_the_same(printed):
    found = printed(CODE.replace("<cases>", json.dumps(CASES)))
    assert len(json.loads(found)) == len(CASES) + 1


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
def test_more_threads_than_the_choice_uses_change_nothing(name, params, monkeypatch):
    """The inner loops run on one thread; their sums are exact on any number of them too."""
    pool = example_pool(500, 3, 16)
    expected = make_policy(name, params).pick(pool, 40, Draw(2)).tolist()
    for module, functions in {
        activation_match: ["match"],
        facility_location: ["lazy_greedy", "stochastic_greedy"],
        herding: ["herding_order"],
        k_medoids: ["spread_start", "k_medoids"],
    }.items():
        for function in functions:
            monkeypatch.setattr(module, function, getattr(module, function).__wrapped__)
    with threadpool_limits(limits=2):
        assert make_policy(name, params).pick(pool, 40, Draw(2)).tolist() == expected
