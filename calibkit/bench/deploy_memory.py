"""The largest memory of a process that loads an artefact, answers documents and does nothing else.

Each is measured where only its own runtime is: an ONNX file in a bare Python with ONNX Runtime, C
in the compiled program itself. Linux alone tells a process's own largest memory; elsewhere it is
not known (None).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.bench.isolation import apart, own_peak_mb
from calibkit.errors import BadInput
from calibkit.export.c.compiling import FLAGS, Compiler, built

Padded = tuple[NDArray[np.int64], NDArray[np.int64]]

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
        with subprocess.Popen(
            [str(program.path), "ids"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            return _peak_while_it_waits(process, given, len(rows) * (4 + 8 * labels))


def _peak_while_it_waits(process: subprocess.Popen[bytes], given: bytes, answer: int) -> float:
    """Give a program everything, read all that it answers, and look before its input ends."""
    from threading import Thread

    assert process.stdin is not None and process.stdout is not None
    source, sink = process.stdin, process.stdout
    Thread(target=source.write, args=(given,), daemon=True).start()
    got = 0
    while got < answer:
        part = sink.read(min(65536, answer - got))
        if not part:
            raise BadInput("the exported program ended before it had answered every document")
        got += len(part)
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    source.close()
    return peak / 1024


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
