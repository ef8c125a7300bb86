"""What `bench deploy` measures of one cell: its exports, and what other tools make of its model."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.bench.deploy_memory import Padded, peak_of_onnx, peak_of_program, peak_of_torch
from calibkit.engine.integer import IntegerClassifier
from calibkit.engine.integer.powers import ONE
from calibkit.engine.integer.scores import LN2, log_softmax
from calibkit.errors import BadInput, CalibkitError
from calibkit.export.c.compiling import FLAGS, Compiler, find_compiler, object_bytes
from calibkit.export.c.source import export_c
from calibkit.export.classifier import NAME
from calibkit.export.network import Frozen
from calibkit.export.onnx.network import export_onnx
from calibkit.export.peers import Peer, onnx_dynamic, onnx_float, torch_dynamic
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.packages import required_runtime
from calibkit.onnx.running import session


@dataclass(frozen=True)
class Artefact:
    """Something that can be shipped, loaded and ready to answer.

    of_cell: whether it has the cell's codes, or only its float model. size: bytes. made_with: what
    runs it. prepare: from padded ids and lengths to what ``call`` takes, which is what is timed.
    scores: from what ``call`` returns to log scores (batch, labels) in nats. peak: the largest
    memory in MB of a process that loads it and answers such batches; None where that is not known.
    """

    name: str
    of_cell: bool
    size: int
    made_with: str
    prepare: Callable[[Padded], Any]
    call: Callable[[Any], Any]
    scores: Callable[[Any], NDArray[np.float64]]
    peak: Callable[[list[Padded]], float | None]

    def answer(self, batch: Padded) -> NDArray[np.float64]:
        """Return the scores (batch, labels) of padded documents."""
        return self.scores(self.call(self.prepare(batch)))


@contextmanager
def artefacts(frozen: Frozen, tell: Callable[[str], None]) -> Iterator[list[Artefact]]:
    """Yield every artefact of a network that can be made on this machine, the float one first.

    tell: is told which are left out, and why. Raises MissingExtra without onnx and onnxruntime.
    """
    with TemporaryDirectory(prefix="calibkit-deploy-") as name:
        folder = Path(name)
        kind, arrays = frozen.kind, frozen.arrays
        runtime = f"onnxruntime {required_runtime().__version__}"
        found = [_by_peer(onnx_float(kind, arrays, folder), runtime, folder / "float.onnx")]
        makers: dict[str, Callable[[], Artefact]] = {
            "onnx-dynamic": lambda: _by_peer(
                onnx_dynamic(kind, arrays, folder), runtime, folder / "dynamic.onnx"
            ),
            "torch-dynamic": lambda: _by_torch(frozen),
            "onnx": lambda: _by_onnx(frozen, folder, runtime),
            "c": lambda: _by_c(frozen, folder),
        }
        for what, make in makers.items():
            try:
                found.append(make())
            except CalibkitError as error:
                tell(f"{what} is left out: {error}")
        yield found


# -------------------------------------------------------------------------------- other tools


def _by_peer(peer: Peer, made_with: str, path: Path) -> Artefact:
    return Artefact(
        peer.name,
        of_cell=False,
        size=peer.size,
        made_with=made_with,
        prepare=lambda batch: batch,
        call=lambda batch: peer.answer(*batch),
        scores=lambda scores: scores,
        peak=lambda batches: peak_of_onnx(path, batches),
    )


def _by_torch(frozen: Frozen) -> Artefact:
    peer = torch_dynamic(frozen.kind, frozen.arrays)
    return Artefact(
        peer.name,
        of_cell=False,
        size=peer.size,
        made_with=f"torch {torch.__version__}, {torch.backends.quantized.engine}",
        prepare=lambda batch: batch,
        call=lambda batch: peer.answer(*batch),
        scores=lambda scores: scores,
        peak=lambda batches: peak_of_torch(frozen.kind, dict(frozen.arrays), batches),
    )


# ------------------------------------------------------------------------------ calibkit's own


def _by_onnx(frozen: Frozen, folder: Path, made_with: str) -> Artefact:
    path = export_onnx(frozen, folder).path
    model = session(path)
    words = len("\n".join(frozen.vocabulary.types).encode())

    def call(given: dict[str, NDArray[np.int64]]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = model.run(["scores"], given)[0]
        return found

    return Artefact(
        "onnx",
        of_cell=True,
        size=path.stat().st_size - words,  # no other artefact here has the vocabulary
        made_with=made_with,
        prepare=lambda batch: {IDS: batch[0], LENGTHS: batch[1]},
        call=call,
        scores=lambda scores: scores,
        peak=lambda batches: peak_of_onnx(path, batches),
    )


def _by_c(frozen: Frozen, folder: Path) -> Artefact:
    compiler, labels = find_compiler(), len(frozen.labels)
    export_c(frozen, folder, name=NAME, text=False)
    flags = _flags(compiler, folder)
    function = _compiled(compiler, folder, flags)
    head = frozen.head

    def prepare(batch: Padded) -> list[tuple[NDArray[np.uint32], Any, int]]:
        rows = [ids[:length].astype(np.uint32) for ids, length in zip(*batch, strict=True)]
        return [(ids, ids.ctypes.data, len(ids)) for ids in rows]

    def call(rows: list[tuple[NDArray[np.uint32], Any, int]]) -> NDArray[np.int64]:
        found = np.empty((len(rows), labels), dtype=np.int64)
        start, width = found.ctypes.data, found.strides[0]
        for place, (_, ids, count) in enumerate(rows):
            function(ids, count, start + place * width)
        return found

    def scores(found: NDArray[np.int64]) -> NDArray[np.float64]:
        if isinstance(head, IntegerClassifier):
            return log_softmax(torch.from_numpy(found), head.logits.shift).numpy()
        return found.astype(np.float64) * (LN2 / ONE)

    return Artefact(
        "c",
        of_cell=True,
        size=object_bytes(folder, NAME, compiler=compiler, flags=flags),
        made_with=f"{compiler.version}, {' '.join(flags)}, {platform.machine()}",
        prepare=prepare,
        call=call,
        scores=scores,
        peak=lambda batches: peak_of_program(folder, NAME, labels, compiler, batches),
    )


def _flags(compiler: Compiler, folder: Path) -> tuple[str, ...]:
    """Return how C is compiled: for this very machine, as the runtimes beside it choose kernels."""
    native = (*FLAGS, "-march=native")
    try:
        compiler.compile([*native, "-c", str(folder / f"{NAME}.c"), "-o", str(folder / "trial.o")])
    except BadInput:  # a compiler that does not know the option
        return FLAGS
    return native


def _compiled(compiler: Compiler, folder: Path, flags: tuple[str, ...]) -> Any:
    """Return the function that classifies ids, from a library compiled for this process."""
    target = folder / "classifier.so"
    compiler.compile([*flags, "-shared", "-fPIC", str(folder / f"{NAME}.c"), "-o", str(target)])
    function = getattr(ctypes.CDLL(str(target)), f"{NAME}_classify_ids")
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    function.restype = ctypes.c_uint32
    return function
