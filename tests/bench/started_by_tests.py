"""Functions for the tests of processes that start from nothing; nothing heavy is imported here."""

import os
import sys

from calibkit.bench.isolation import own_peak_mb


def alone():
    heavy = [name for name in ("torch", "scipy", "duckdb", "numpy") if name in sys.modules]
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), heavy, own_peak_mb()


def fails(word):
    raise ValueError(f"no {word}")


def dies():
    os._exit(9)
