from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from calibkit.policies import Pool
from calibkit.testing import example_pool


@pytest.fixture(scope="session")
def printed() -> Callable[[str], str]:
    """Run a program with 1, 2 and 4 threads and return what it printed, the same every time."""

    def run(code: str) -> str:
        answers = set()
        for threads in ("1", "2", "4"):
            limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, **limits},
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            )
            answers.add(done.stdout)
        assert len(answers) == 1
        return answers.pop()

    return run


@pytest.fixture(scope="session")
def pool() -> Pool:
    """400 documents of four labels with vectors and hidden states."""
    return example_pool()
