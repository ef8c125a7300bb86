"""How much memory something takes at its peak, beyond what the process held before."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class Peak:
    """The largest resident memory since it was made, less what was resident then.

    Linux alone keeps a mark that can be set back; elsewhere nothing is told.
    """

    def __init__(self) -> None:
        self._before: float | None = None
        _give_back()
        try:
            _RESET.write_text("5")  # the mark starts again from what is resident now
            self._before = _megabytes("VmRSS")
        except (OSError, KeyError):
            return

    def megabytes(self) -> float | None:
        """Return the MB (2^20 bytes) taken at the peak, None where nobody knows."""
        if self._before is None:
            return None
        return max(0.0, _megabytes("VmHWM") - self._before)


def _give_back() -> None:
    """Let the allocator return what it holds and nobody uses, or that is taken again unseen."""
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _megabytes(name: str) -> float:
    lines = (line.partition(":") for line in _STATUS.read_text().splitlines())
    found = {key: rest.split() for key, _, rest in lines}
    return int(found[name][0]) / 1024
