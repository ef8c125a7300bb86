"""How many threads a greedy choice computes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every BLAS compute on one thread.

    The sums here are exact, so threads would change no choice; but thousands of small products
    that each wait for a second thread take several times as long on a busy machine.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
