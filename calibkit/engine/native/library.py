"""Finding, checking and calling the compiled kernels; everything is optional. No torch here."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from calibkit.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

INTERFACE = 3
"""Version of the C interface; a library built from other sources is not called."""

SWITCH = "CALIBKIT_NO_NATIVE"
"""Environment variable that, set to anything but 0 or nothing, hides the extension."""

_INT, _LONG, _DOUBLE, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "calibkit_levels": (_INT, []),
    "calibkit_level_name": (ctypes.c_char_p, [_INT]),
    "calibkit_level_fused": (_INT, [_INT]),
    "calibkit_level_codes": (_INT, [_INT]),
    "calibkit_score": (_INT, [_INT, *[_LONG] * 4, *[_POINTER] * 7]),
    "calibkit_log_probs": (None, [_INT, *[_LONG] * 4, *[_POINTER] * 8, _DOUBLE, _POINTER]),
    "calibkit_states": (_INT, [_INT, *[_LONG] * 4, *[_POINTER] * 12]),
    "calibkit_integer_states": (
        _INT,
        [_INT, *[_LONG] * 4, _INT, *[_POINTER] * 13, _DOUBLE, _POINTER],
    ),
    "calibkit_integer_sums": (
        None,
        [_INT, *[_LONG] * 4, *[_POINTER] * 4, _INT, *[_POINTER] * 5],
    ),
}


@dataclass(frozen=True)
class Level:
    """One instruction set that this processor has and the kernels were built for.

    fused: whether a multiply-add is one instruction (else it is emulated: right, but slow).
    codes: whether integer codes are multiplied as bytes.
    """

    place: int
    name: str
    fused: bool
    codes: bool


def available() -> bool:
    """Return whether the compiled kernels can be called."""
    return not why_not()


def why_not() -> str:
    """Return why the kernels cannot be called, in words; empty where they can."""
    if os.environ.get(SWITCH, "0") not in ("", "0"):
        return f"the environment variable {SWITCH} is set"
    return _load()[1]


def info() -> dict[str, str | bool]:
    """Return ``available``, and ``instructions`` (the set in use) or the ``reason`` why not."""
    reason = why_not()
    if reason:
        return {"available": False, "reason": reason}
    return {"available": True, "instructions": levels()[0].name}


def levels() -> tuple[Level, ...]:
    """Return the instruction sets that can be used here, fastest first.

    Raises BadInput where the kernels cannot be called.
    """
    lib = library()
    return tuple(
        Level(
            place,
            lib.calibkit_level_name(place).decode(),
            bool(lib.calibkit_level_fused(place)),
            bool(lib.calibkit_level_codes(place)),
        )
        for place in range(lib.calibkit_levels())
    )


def library() -> Any:
    """Return the loaded library; raises BadInput with the reason where there is none."""
    reason = why_not()
    if reason:
        raise BadInput(
            f"the native kernels are not available: {reason}. Use --engine auto, torch or plain, "
            "and arithmetic float-torch or integer; or install a C++17 compiler and reinstall "
            "calibkit"
        )
    return _load()[0]


@cache
def _load() -> tuple[Any, str]:
    """Load the library once: (library, "") or (None, reason)."""
    spec = importlib.util.find_spec("calibkit.engine.native._kernels")
    if spec is None or spec.origin is None:
        return None, "the extension was not built (no C++ compiler when calibkit was installed?)"
    try:
        lib = ctypes.CDLL(spec.origin)
    except OSError as error:
        return None, f"the extension cannot be loaded: {error}"
    version = getattr(lib, "calibkit_interface", None)
    if version is None or version() != INTERFACE:
        return None, "the extension was built from other sources; reinstall calibkit"
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib, ""


def address(values: Tensor | np.ndarray[Any, Any]) -> int:
    """Return where a contiguous CPU buffer begins; the caller keeps it alive during the call."""
    buffer: Any = values
    place: int
    if hasattr(buffer, "data_ptr"):
        assert buffer.is_contiguous() and buffer.device.type == "cpu"
        place = buffer.data_ptr()
    else:
        assert buffer.flags.c_contiguous
        place = buffer.ctypes.data
    return place


def check_memory(status: int) -> None:
    """Raise MemoryError for a kernel that could not get its scratch buffer."""
    if status:
        raise MemoryError("a native kernel found no memory for its scratch buffer")
