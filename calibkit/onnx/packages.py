"""The two optional packages behind ONNX, and the opsets in which a graph can be written."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from calibkit.errors import BadInput, MissingExtra

OPSETS = range(18, 24)
"""Versions of the operator set in which a graph can be written, each of them tested.

From 18 on all reductions take their axes as an input.
"""

OPSET = 21
"""The one that is written unless another is asked for."""

PACKED_FROM = 21
"""The first opset that has INT4, two weights a byte."""


def required_onnx() -> ModuleType:
    """Return the package ``onnx``; MissingExtra, saying what to install, where it is missing."""
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise _missing("onnx", "writes the graph") from error
    found: ModuleType = onnx
    return found


def required_runtime() -> ModuleType:
    """Return the package ``onnxruntime``; MissingExtra as `required_onnx`."""
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing("onnxruntime", "runs the graph") from error
    found: ModuleType = onnxruntime
    return found


@cache
def runtime_version() -> str:
    """Return the installed onnxruntime as ``onnxruntime 1.22.0``, without importing it.

    Raises MissingExtra where it or onnx is missing.
    """
    for package, what in (("onnx", "writes the graph"), ("onnxruntime", "runs the graph")):
        try:
            found = f"{package} {version(package)}"
        except PackageNotFoundError as error:
            raise _missing(package, what) from error
    return found


def checked_opset(opset: int) -> int:
    """Return an opset that can be written; BadInput, naming those that can, for any other."""
    if opset not in OPSETS:
        raise BadInput(
            f"opset {opset}: graphs are written in opset {OPSETS.start} to {OPSETS.stop - 1};"
            f" choose one of these, or leave it at {OPSET}"
        )
    return opset


def _missing(package: str, what: str) -> MissingExtra:
    return MissingExtra(
        f"ONNX needs the package {package}, which {what} and is not installed;"
        " `pip install 'calibkit[onnx]'` brings it"
    )
