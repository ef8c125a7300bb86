"""Cases and functions for the tests of measuring; other processes import them by name."""

import os

from calibkit.bench.cell import Outcome
from calibkit.bench.measuring import Case


class Clock:
    """CPU time that passes when a work says so; tests put it in the place of module time."""

    now = 0.0

    @classmethod
    def process_time(cls):
        return cls.now


def burn(seconds):
    Clock.now += seconds


def steps(*, size=1, right=True):
    """Plain takes twenty times as long in one stage and as long in the other."""

    def work(first, mb):
        def run(stages):
            with stages("first"):
                burn(first * size)
            with stages("second"):
                burn(0.01)
                held = bytearray(mb * 1024 * 1024)
            return len(held)

        return run

    return Case(
        "steps",
        {"plain": work(0.2, 1), "fast": work(0.01, 1), "hungry": work(0.01, 150)},
        lambda a, b: {"first": right, "second": a > 0},
        {"size": size},
    )


def together(*, size=1):
    def run(stages):
        import numpy as np

        with stages("only"):
            burn(0.01 * size)
        return Outcome(np.ones(size), {})

    return Case("two", {"torch": run}, lambda a, b: {"only": True})


def environment(name):
    import torch

    return os.getpid(), os.environ.get(name), torch.get_num_threads()


def fails(word):
    raise ValueError(f"no {word}")


def dies():
    os._exit(9)


def telling():
    def run(stages):
        with stages("only"):
            burn(0.01)
        return 3

    return Case(
        "telling", {"plain": run, "fast": run}, lambda a, b: {"only": True}, {"size": 1},
        lambda expected, found: {"sum": expected + found},
    )  # fmt: skip
