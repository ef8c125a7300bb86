"""ONNX Runtime's own quantizers over the float model, and what the network that they make says.

- ``onnx-dynamic`` (`quantize_dynamic`): weights of embedding, LSTM and last layer int8, one scale a
  tensor; what LSTM and last layer read is rounded to uint8 at the moment of use, over the range of
  the tensor at hand. It is given no documents.
- ``onnx-static`` (`quantize_static`): the last matrix product, int8, with one range for what it
  reads and one for what it gives, from the smallest to the largest value over the calibration
  documents; and the embedding. Static quantization has no LSTM. That gets its dynamic form in a
  second pass, when the ranges have been taken of the float model: all weights are int8 here too.

All other settings are the tool's own defaults. Labels and bias of a generative model stay float:
they are added to the logits. Nothing else in the graph has weights.

Its products of bytes may saturate on x86 without VNNI: another machine may give other numbers.

A document is scored by itself: a tensor's range at the moment of use is that of a whole batch,
padding included, so that what else is in a batch would change a document's numbers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibkit.engine.batches import canonical_order
from calibkit.engine.plain import Evaluation
from calibkit.errors import BadInput
from calibkit.measure.collapse import state_spread
from calibkit.onnx.documents import (
    EMBEDDING,
    LINEAR,
    RECURRENCE,
    SCORES,
    STATES,
    TOKEN_SCORES,
)
from calibkit.onnx.float_model import TO_ONNX, write_float_onnx
from calibkit.onnx.packages import required_onnx, required_runtime
from calibkit.onnx.running import padded, session
from calibkit.quantize.networks import Arrays
from calibkit.quantize.sites import GATES, LINEAR_SITES
from calibkit.ragged import Ragged

OnnxQuantizer = Literal["onnx-dynamic", "onnx-static"]

Flat = NDArray[np.float32]


@dataclass(frozen=True)
class OnnxQuantized:
    """A float model as ONNX Runtime quantized it: kind, and the bytes of its file."""

    kind: str
    file: bytes

    def evaluate(self, tokens: Ragged, labels: NDArray[np.int64]) -> Evaluation:
        """Return scores, predictions and cross-entropies of all documents, one after the other."""
        drop_last = self.kind == "generative"
        names = [SCORES, STATES, *([TOKEN_SCORES] if drop_last else [])]
        scores: dict[int, NDArray[np.float64]] = {}
        last, of_tokens = [], []
        total, values = 0.0, 0
        for row in canonical_order(tokens):
            found = self._session.run(names, padded(tokens, np.array([row])))
            scores[int(row)] = found[0][0]
            read = found[1][:-1, 0] if drop_last else found[1][:, 0]
            total += float(np.abs(read).sum(dtype=np.float64))
            values += read.size
            last.append(read[-1])
            if drop_last:
                of_tokens.append(-found[2][:-1, 0, labels[row]])
        every = np.stack([scores[row] for row in range(len(tokens))])
        nll = -every[np.arange(len(tokens)), labels]
        return Evaluation(
            every,
            nll,
            every.argmax(axis=1).astype(np.int64),
            np.concatenate(of_tokens).astype(np.float32) if drop_last else nll.astype(np.float32),
            total / max(values, 1),
            state_spread(np.stack(last)),
        )

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the quantized weights by weight site, shaped like the float model's.

        Those of a gate side by side, input to hidden and hidden to hidden; of a generative
        decoder the part for h. Raises BadInput for a file that stores them under other names.
        """
        found = {"embedding": self._tensor("embedding.weight")}
        parts = [self._tensor(f"lstm.weight_{part}_l0")[0].T for part in ("ih", "hh")]
        gates = [np.split(part, len(GATES)) for part in parts]
        for place, gate in enumerate(GATES):
            at = TO_ONNX.index(place)
            found[f"lstm.weight_{gate}"] = np.concatenate([part[at] for part in gates], axis=1)
        (linear,) = LINEAR_SITES[self.kind]
        found[linear] = self._tensor(f"{linear}.weight").T
        return found

    def range_of(self, tensor: str) -> tuple[float, float]:
        """Return the ends of a tensor's fixed range; BadInput for one that has none."""
        scale, zero = self._stored(f"{tensor}_scale"), self._stored(f"{tensor}_zero_point")
        ends = np.iinfo(zero.dtype)
        step, offset = float(scale), int(zero)
        return (ends.min - offset) * step, (ends.max - offset) * step

    @cached_property
    def _session(self) -> Any:
        return session(self.file)

    @cached_property
    def _tensors(self) -> dict[str, Any]:
        graph = required_onnx().load_from_string(self.file).graph
        return {one.name: one for one in graph.initializer}

    def _stored(self, name: str) -> NDArray[Any]:
        if name not in self._tensors:
            raise BadInput(
                f"the file that onnxruntime {required_runtime().__version__} wrote has no tensor"
                f" {name!r}. If it is a weight's, leave weights out of measure.distributions, or"
                " install onnxruntime 1.31, which writes it"
            )
        found: NDArray[Any] = required_onnx().numpy_helper.to_array(self._tensors[name])
        return found

    def _tensor(self, name: str) -> NDArray[np.float32]:
        codes = self._stored(f"{name}_quantized").astype(np.float32)
        scale, zero = self._stored(f"{name}_scale"), self._stored(f"{name}_zero_point")
        values: NDArray[np.float32] = (codes - zero.astype(np.float32)) * scale
        return values


def onnx_quantized(
    kind: str, arrays: Arrays, quantizer: OnnxQuantizer, subset: Ragged | None = None
) -> OnnxQuantized:
    """Quantize a float model (kind, state dict).

    subset: the calibration documents, which onnx-dynamic does not read. Raises BadInput where
    onnx-static is given none, MissingExtra without the packages onnx and onnxruntime.
    """
    with TemporaryDirectory(prefix="calibkit-onnx-") as name:
        folder = Path(name)
        source = write_float_onnx(kind, arrays, folder / "float.onnx", measured=True)
        target = folder / "quantized.onnx"
        if quantizer == "onnx-dynamic":
            quantize_dynamically(source, target)
        elif subset is None or not len(subset):
            raise BadInput("the calibration subset is empty; ranges need at least one document")
        else:
            _quantize_statically(source, target, subset)
        return OnnxQuantized(kind, target.read_bytes())


def quantize_dynamically(
    source: Path, target: Path, nodes: tuple[str, ...] = (EMBEDDING, RECURRENCE, LINEAR)
) -> None:
    """Write ONNX Runtime's dynamic quantization of a file; nodes: the names of those quantized.

    Without names it would also round the table of what labels add to the logits.
    """
    required_onnx()
    required_runtime()
    with quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            source,
            target,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(nodes),
            extra_options={"EnableSubgraph": True},  # of a decoder that is the body of a Loop
        )


def _quantize_statically(source: Path, target: Path, subset: Ragged) -> None:
    required_onnx()
    required_runtime()
    linear = source.with_name("linear.onnx")
    with quiet(), _one_thread():
        from onnxruntime.quantization import quantize_static

        quantize_static(
            source,
            linear,
            _Documents(subset),
            op_types_to_quantize=["Gather", "MatMul"],
            nodes_to_quantize=[EMBEDDING, LINEAR],
        )
    quantize_dynamically(linear, target, (RECURRENCE,))


class _Documents:
    """A `CalibrationDataReader` of token ids: one document at a time, in calibration order."""

    def __init__(self, subset: Ragged) -> None:
        self._documents = (padded(subset, np.array([row])) for row in range(len(subset)))

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        """Return the inputs of the next document, None after the last."""
        return next(self._documents, None)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let the session that `quantize_static` opens by itself use one thread, as a cell does."""
    runtime: Any = required_runtime()
    usual = runtime.SessionOptions

    def options() -> Any:
        found = usual()
        found.intra_op_num_threads = found.inter_op_num_threads = 1
        return found

    runtime.SessionOptions = options
    try:
        yield
    finally:
        runtime.SessionOptions = usual


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what tools say of their own future from a user who can do nothing about it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
