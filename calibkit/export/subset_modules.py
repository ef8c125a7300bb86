"""The Python modules that hand a subset's token ids to other tools' calibration interfaces.

They stand alone: beside the npz they need numpy and the tool that they are for, never calibkit.
Nothing of what a store says enters their code but the subset's id and two numbers.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from calibkit._version import __version__
from calibkit.export.kinds import KINDS
from calibkit.export.subset_content import SubsetContent
from calibkit.export.subset_tokens import TokenIds
from calibkit.store.files import safe_name

_TORCH = '''\
"""Calibration subset $subset as a PyTorch DataLoader: $size documents.

    from calibration_loader import loader

    for ids, lengths, labels in loader(batch_size=32):
        model(ids, lengths)

It needs numpy and torch. Token ids are by vocabulary.json, labels by the list in subset.json.
Written by calibkit $version.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

TOKENS = Path(__file__).resolve().parent / "tokens.npz"


class CalibrationDocuments(Dataset):
    """The documents in calibration order, each as (token ids int64 (length,), label id)."""

    def __init__(self, file=TOKENS):
        with np.load(file) as stored:
            self.flat = torch.from_numpy(stored["flat"].astype(np.int64))
            self.offsets = stored["offsets"].tolist()
            self.labels = stored["labels"].tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, place):
        if not 0 <= place < len(self):
            raise IndexError(f"document {place} of {len(self)}")
        return self.flat[self.offsets[place] : self.offsets[place + 1]], self.labels[place]


def padded(documents):
    """Return ids (B, longest), padded with 0, lengths (B,) and labels (B,), all int64."""
    ids = [document for document, _ in documents]
    lengths = torch.tensor([len(document) for document in ids])
    labels = torch.tensor([label for _, label in documents])
    return pad_sequence(ids, batch_first=True), lengths, labels


def loader(batch_size=32, **options):
    """Return a DataLoader over the subset in calibration order; options are DataLoader's."""
    return DataLoader(CalibrationDocuments(), batch_size=batch_size, collate_fn=padded, **options)
'''

_ONNXRUNTIME = '''\
"""Calibration subset $subset for ONNX Runtime: $size documents.

    from calibration_reader import CalibrationReader
    from onnxruntime.quantization import quantize_static

    quantize_static("model.onnx", "quantized.onnx", CalibrationReader(ids="ids"))

It needs numpy and onnxruntime, and quantizing needs onnx: `pip install onnx onnxruntime`. Token ids
are by vocabulary.json. Written by calibkit $version.
"""

from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader

TOKENS = Path(__file__).resolve().parent / "tokens.npz"


class CalibrationReader(CalibrationDataReader):
    """Gives the documents in calibration order, some at a time, as a model's inputs.

    ids: name of the model's input for token ids (B, T). lengths: name of its input for the number
    of tokens of each document (B,), or None where it has none. batch: documents at a time; they
    are padded with 0 to the longest of them, or all to $width where fixed is true. dtype: of the
    inputs. Entropy, percentile and distribution calibration take inputs of one shape alone: for
    them, fixed=True, and a batch that divides $size.
    """

    def __init__(
        self, ids="ids", lengths=None, batch=1, fixed=False, dtype=np.int64, file=TOKENS
    ):
        if batch < 1:
            raise ValueError(f"batch is {batch!r}; give 1 or more")
        with np.load(file) as stored:
            self.documents = stored["ids"].astype(dtype)
            self.sizes = stored["lengths"].astype(dtype)
        self.ids, self.lengths, self.batch, self.fixed = ids, lengths, batch, fixed
        self.set_range(0, len(self))

    def __len__(self):
        return len(self.documents)

    def set_range(self, start_index, end_index):
        """Give only the documents from start_index up to, not including, end_index."""
        self.start, self.end = start_index, min(end_index, len(self))
        self.rewind()

    def rewind(self):
        """Begin anew."""
        self.place = self.start

    def get_next(self):
        """Return the inputs for the next documents by name, or None after the last."""
        if self.place >= self.end:
            return None
        rows = slice(self.place, min(self.place + self.batch, self.end))
        self.place = rows.stop
        longest = self.documents.shape[1] if self.fixed else int(self.sizes[rows].max())
        inputs = {self.ids: np.ascontiguousarray(self.documents[rows, :longest])}
        if self.lengths is not None:
            inputs[self.lengths] = self.sizes[rows]
        return inputs
'''

_LITERT = '''\
"""Calibration subset $subset for LiteRT: $size documents, each padded to $width.

    from representative_dataset import representative_dataset

    converter = tensorflow.lite.TFLiteConverter.from_saved_model("model")
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative_dataset

It needs numpy. Token ids are by vocabulary.json. Written by calibkit $version.
"""

from pathlib import Path

import numpy as np

TOKENS = Path(__file__).resolve().parent / "tokens.npz"


def representative_dataset(**inputs):
    """Yield one document at a time, in calibration order: [token ids int32 (1, $width)].

    inputs: for a model with several, which array each one takes, by the input's name: "ids", padded
    with 0, or "lengths", int32 (1,). Then a dictionary is yielded. To a converter one gives
    lambda: representative_dataset(tokens="ids", sizes="lengths").
    """
    with np.load(TOKENS) as stored:
        arrays = {name: stored[array] for name, array in (inputs or {"": "ids"}).items()}
    for place in range($size):
        given = {name: array[place : place + 1] for name, array in arrays.items()}
        yield given if inputs else list(given.values())
'''

_TEXTS = {"torch": _TORCH, "onnxruntime": _ONNXRUNTIME, "litert": _LITERT}


def write_module(folder: Path, kind: str, content: SubsetContent, found: TokenIds) -> None:
    """Write the module of one kind (torch, onnxruntime or litert).

    Raises BadInput for a subset whose id is none that calibkit gives.
    """
    text = Template(_TEXTS[kind]).substitute(
        subset=safe_name("subset", content.subset_id),
        size=len(content.documents),
        width=found.width,
        version=__version__,
    )
    (folder / KINDS[kind].writes).write_bytes(text.encode())
