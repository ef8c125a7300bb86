"""What people see of a run that goes on elsewhere."""

from __future__ import annotations

import json
import threading
import time

import pytest
from mini_recipe import MINI

from calibkit.sweep.live import Broadcast


class Quiet:
    def phase(self, name, total): ...

    def step(self, text, *, failed=False): ...

    def note(self, text): ...


@pytest.fixture
def under_way(toy_store):
    """A run of ``mini`` that measured 2 of 8 cells, one of them in vain."""
    broadcast = Broadcast(Quiet(), toy_store, "mini", "r1-1", 2)
    broadcast.phase("models", 3)
    broadcast.phase("cells", 8)
    broadcast.step("random, seed 0")
    broadcast.step("random, seed 1: no \x1b[31mmemory", failed=True)
    return broadcast


def test_once_prints_the_phases_and_does_not_open_the_store(run, toy_store, under_way):
    with toy_store.writing():  # nobody else could open it now
        done = run("--store", toy_store.path, "watch", "mini", "--once", "--json")
    assert done.exit_code == 0, done.stderr
    models, cells = [json.loads(line) for line in done.stdout.splitlines()]
    assert (models["phase"], models["state"]) == ("models", "done")
    assert (cells["done"], cells["total"], cells["failed"]) == (2, 8, 1)
    assert cells["state"] == "running"
    assert cells["seconds_left"] >= cells["seconds"]


def test_the_recipe_may_be_named_by_its_file(run, toy_store, under_way, tmp_path):
    file = tmp_path / "any.yaml"
    file.write_text(MINI)
    done = run("--store", toy_store.path, "watch", file, "--once")
    assert done.exit_code == 0
    assert "cells" in done.stdout
    assert "\x1b" not in done.stdout


def test_it_follows_a_run_to_its_end(run, toy_store, under_way):
    def finish():
        time.sleep(0.5)
        for number in range(6):
            under_way.step(f"one more {number}")
        under_way.end()

    thread = threading.Thread(target=finish)
    thread.start()
    done = run("--store", toy_store.path, "watch", "mini", "--interval", "0.1")
    thread.join()
    assert done.exit_code == 0
    assert done.stdout == ""
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("cells 2/8, 1 failed")
    assert "memory" in first
    assert "\x1b" not in first
    assert "ended; cells 8/8, 1 failed" in last


def test_no_run_says_what_starts_one(run, toy_store):
    done = run("--store", toy_store.path, "watch", "mini", "--once", "--json")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "no run of 'mini' is under way" in done.stderr
    assert "calibkit evaluate RECIPE" in done.stderr


def test_runs_of_other_recipes_are_not_shown(run, toy_store, under_way):
    done = run("--store", toy_store.path, "watch", "other", "--once", "--json")
    assert done.stdout == ""
