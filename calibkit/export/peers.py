"""What other tools make of the same float model: the rows beside calibkit's own in a comparison.

- ``onnx-float``: the float model in ONNX Runtime, not quantized.
- ``onnx-dynamic``: ONNX Runtime's dynamic quantization of that file: weights of LSTM, embedding and
  matrix products int8, activations at the moment of use. Its static quantization has no LSTM.
- ``torch-dynamic``: PyTorch's dynamic quantization (`torch.ao.quantization.quantize_dynamic`) of
  LSTM and linear layer; the embedding stays float. Its successor torchao quantizes linear layers
  alone.

All three score a generative model in the factored form, one decoder run for all labels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calibkit.errors import Infeasible
from calibkit.models.networks import pooled
from calibkit.onnx.decoder import SPREAD
from calibkit.onnx.documents import IDS, LENGTHS
from calibkit.onnx.float_model import label_logits, write_float_onnx
from calibkit.onnx.quantized import quantize_dynamically, quiet
from calibkit.onnx.running import BATCH, batches_by_length, padded, session
from calibkit.quantize.networks import Arrays
from calibkit.ragged import Ragged

Answer = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

_TOKENS = 256  # whose logits exist at one time


@dataclass(frozen=True)
class Peer:
    """A float model in another tool's hands.

    size: bytes of its file, as the tool itself writes it. answer: from ids (batch, length) int64,
    padded with 0, and lengths (batch,) int64 to scores (batch, labels) float64 in nats,
    log p(y | x) or log p(x, y).
    """

    name: str
    size: int
    answer: Answer

    def scores(self, tokens: Ragged, *, batch: int = BATCH) -> NDArray[np.float64]:
        """Return the scores (documents, labels) of documents, which go by in order of length."""
        found: dict[int, NDArray[np.float64]] = {}
        for rows in batches_by_length(tokens, batch):
            given = padded(tokens, rows)
            found |= dict(zip(rows.tolist(), self.answer(given[IDS], given[LENGTHS]), strict=True))
        return np.stack([found[row] for row in range(len(tokens))])


def onnx_float(kind: str, arrays: Arrays, folder: Path) -> Peer:
    """Return the float model (kind, state dict) in ONNX Runtime; its file is left in ``folder``.

    Raises MissingExtra without onnx or onnxruntime.
    """
    return _of_file("onnx-float", write_float_onnx(kind, arrays, folder / "float.onnx"))


def onnx_dynamic(kind: str, arrays: Arrays, folder: Path) -> Peer:
    """Return ONNX Runtime's dynamic quantization of the float model, as `onnx_float` does."""
    source, target = write_float_onnx(kind, arrays, folder / "float.onnx"), folder / "dynamic.onnx"
    quantize_dynamically(source, target)
    return _of_file("onnx-dynamic", target)


def torch_dynamic(kind: str, arrays: Arrays) -> Peer:
    """Return PyTorch's dynamic quantization of the float model.

    Raises Infeasible for a torch that has it no more.
    """
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError as error:
        raise Infeasible(
            f"torch {torch.__version__} has no torch.ao.quantization any more, and torchao has no"
            " quantized LSTM; leave torch-dynamic out, or install torch<2.14"
        ) from error
    network = _Network(kind, arrays).eval()
    quantize: Any = quantize_dynamic
    with quiet(), torch.inference_mode():
        quantized = quantize(network, {nn.LSTM, nn.Linear}, dtype=torch.qint8)
        file = io.BytesIO()
        torch.save(quantized.state_dict(), file)

    def answer(ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        with quiet(), torch.inference_mode():
            scores: Tensor = quantized(torch.from_numpy(ids), torch.from_numpy(lengths))
            return scores.numpy()

    return Peer("torch-dynamic", len(file.getvalue()), answer)


def _of_file(name: str, path: Path) -> Peer:
    model = session(path)

    def answer(ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = model.run(["scores"], {IDS: ids, LENGTHS: lengths})[0]
        return scores

    return Peer(name, path.stat().st_size, answer)


class _Network(nn.Module):
    """Embedding, LSTM and linear layer of either model as modules that torch can quantize.

    The linear layer of a generative model is the decoder's part for h; what label and bias add to
    the logits is kept beside it.
    """

    tops: Tensor
    below: Tensor
    prior: Tensor

    def __init__(self, kind: str, arrays: Arrays) -> None:
        super().__init__()
        words, width = arrays["embedding.weight"].shape
        hidden = arrays["lstm.weight_hh_l0"].shape[1]
        self.generative = kind == "generative"
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        named = {name: value for name, value in arrays.items() if name.startswith(("emb", "lstm."))}
        if self.generative:
            self.last = nn.Linear(hidden, words, bias=False)
            named["last.weight"] = arrays["decoder.weight"][:, :hidden]
            labels = label_logits(arrays)
            for name in ("tops", "below", "prior"):
                self.register_buffer(name, torch.from_numpy(getattr(labels, name)))
                named[name] = getattr(labels, name)
        else:
            self.last = nn.Linear(hidden, len(arrays["classifier.weight"]))
            named["last.weight"] = arrays["classifier.weight"]
            named["last.bias"] = arrays["classifier.bias"]
        self.load_state_dict(_tensors(named))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return scores (batch, labels) float64."""
        states = self.lstm(self.embedding(ids))[0]
        if not self.generative:
            logits: Tensor = self.last(pooled(states, lengths))
            return logits.to(torch.float64).log_softmax(dim=1)
        steps = torch.arange(ids.shape[1])
        documents, places = (steps < lengths[:, None] - 1).nonzero(as_tuple=True)
        read, targets = states[documents, places], ids[documents, places + 1]
        scores = self.prior.repeat(len(ids), 1)
        for start in range(0, len(read), _TOKENS):
            rows = slice(start, start + _TOKENS)
            scores.index_add_(0, documents[rows], self._token_scores(read[rows], targets[rows]))
        return scores

    def _token_scores(self, read: Tensor, targets: Tensor) -> Tensor:
        """Return log p(target | h, y) (tokens, labels) float64."""
        logits = self.last(read) + self.tops
        if float(self.below.min()) > -SPREAD:
            peaks = logits.amax(dim=1, keepdim=True)
            masses = ((logits - peaks).exp() @ self.below.exp()).log() + peaks
        else:
            masses = torch.stack([(logits + one).logsumexp(dim=1) for one in self.below.T], dim=1)
        found: Tensor = logits.gather(1, targets[:, None]) + self.below[targets] - masses
        return found.to(torch.float64)


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
