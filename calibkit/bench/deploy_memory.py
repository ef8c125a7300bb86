"""The largest memory of a process that loads an artefact, answers documents and does nothing else.

Each is measured where only its own runtime is: an ONNX file in a bare Python with ONNX Runtime, C
in the compiled program itself. Linux alone tells a process's own largest memory; elsewhere it is
not known (None).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.bench.isolation import apart, own_peak_mb
from calibkit.errors import BadInput
from calibkit.export.c.compiling import FLAGS, Compiler, built

Padded = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Token ids (batch, length), padded with 0, and lengths (batch,)."""

LOOK_SECONDS = 0.02

_STATUS = Path("/proc/self/status")

_ONNX = """
import json, sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
model = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
with numpy.load(sys.argv[2]) as batches:
    for number in range(len(batches.files) // 2):
        given = {"ids": batches[f"ids{number}"], "lengths": batches[f"lengths{number}"]}
        model.run(None, given)
lines = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps(int(lines["VmHWM"].split()[0]) / 1024))
"""


def peak_of_onnx(path: Path, batches: list[Padded]) -> float | None:
    """Return the MB of a Python process with ONNX Runtime that answers the batches, one thread."""
    if not _STATUS.exists():
        return None
    with TemporaryDirectory(prefix="calibkit-deploy-") as folder:
        file = Path(folder) / "batches.npz"
        named = {f"ids{number}": ids for number, (ids, _) in enumerate(batches)}
        named |= {f"lengths{number}": lengths for number, (_, lengths) in enumerate(batches)}
        np.savez(file, allow_pickle=False, **named)
        line = [sys.executable, "-I", "-c", _ONNX, str(path), str(file)]
        done = subprocess.run(line, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise BadInput(f"{path.name} failed in a process of its own: {said[-500:]}")
    return float(json.loads(done.stdout))


def peak_of_program(
    folder: Path, name: str, labels: int, compiler: Compiler, batches: list[Padded]
) -> float | None:
    """Return the MB of the compiled program of an export to C that answers the batches."""
    if not _STATUS.exists():
        return None
    rows = [ids[:length] for batch in batches for ids, length in zip(*batch, strict=True)]
    with built(folder, name, labels, compiler=compiler, flags=FLAGS) as program:
        given = b"".join(
            len(ids).to_bytes(4, "little") + ids.astype("<u4").tobytes() for ids in rows
        )
        line = [str(program.path), "ids"]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            return _peak_when_done(process, given)


def _peak_when_done(process: subprocess.Popen[bytes], given: bytes) -> float:
    """Give a program everything, and look at it once it waits for more; then its input ends.

    What the kernel tells of a process after its end counts that of its parent as well.
    """
    assert process.stdin is not None and process.stdout is not None
    reader = Thread(target=process.stdout.read, daemon=True)  # or its answers would fill the pipe
    reader.start()
    process.stdin.write(given)
    process.stdin.flush()
    while True:
        state, peak = _status(process.pid)
        if state in "SZ":
            break
        time.sleep(LOOK_SECONDS)
    process.stdin.close()
    reader.join()
    if process.wait() or peak is None:
        raise BadInput(f"the exported program ended with status {process.returncode}")
    return peak


def _status(pid: int) -> tuple[str, float | None]:
    """Return the state of a process (S: it waits; Z: it has ended) and its largest memory, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    peak = int(found["VmHWM"].split()[0]) / 1024 if "VmHWM" in found else None
    return found["State"].strip()[0], peak


def peak_of_torch(kind: str, arrays: dict[str, Any], batches: list[Padded]) -> float | None:
    """Return the MB of a process with torch that quantizes the float model and answers."""
    if not _STATUS.exists():
        return None
    found: float = apart(
        "calibkit.bench.deploy_memory:torch_peak", kind=kind, arrays=arrays, batches=batches
    )
    return found


def torch_peak(kind: str, arrays: dict[str, Any], batches: list[Padded]) -> float:
    """Return the largest memory in MB of this process after it has done that."""
    import torch

    from calibkit.export.peers import torch_dynamic

    torch.set_num_threads(1)
    peer = torch_dynamic(kind, arrays)
    for ids, lengths in batches:
        peer.answer(ids, lengths)
    return own_peak_mb()
