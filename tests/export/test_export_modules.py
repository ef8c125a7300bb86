"""The modules that an exported subset comes with, executed as their users would."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from calibkit.export.kinds import KINDS
from calibkit.export.subset import export_subset
from calibkit.store import Store

MODULES = ["torch", "onnxruntime", "litert"]


def imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Execute a generated module as its user would, without calibkit in reach."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "calibkit", None)
    spec = importlib.util.spec_from_file_location(f"made_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", MODULES)
def test_modules_compile_and_are_short(
    store: Store, modelled: Any, kind: str, tmp_path: Path
) -> None:
    export_subset(store, modelled[1].subset, kind, tmp_path / "out")
    source = (tmp_path / "out" / KINDS[kind].writes).read_text()
    compile(source, KINDS[kind].writes, "exec", dont_inherit=True)
    assert "$" not in source and modelled[1].subset in source and "calibkit." not in source.lower()
    assert max(map(len, source.splitlines())) <= 100


@pytest.fixture
def arrays(
    store: Store, modelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[ModuleType, dict[str, np.ndarray]]]:
    """Export to a kind; return its executed module, and what the npz has."""

    def call(kind: str) -> tuple[ModuleType, dict[str, np.ndarray]]:
        export_subset(store, modelled[1].subset, kind, tmp_path / "out")
        with np.load(tmp_path / "out" / "tokens.npz") as stored:
            found = dict(stored)
        return imported(tmp_path / "out" / KINDS[kind].writes, monkeypatch), found

    return call


def test_the_loader_gives_padded_batches_in_order(arrays: Any) -> None:
    import torch

    module, found = arrays("torch")
    batches = list(module.loader(batch_size=10))
    assert [len(ids) for ids, _, _ in batches] == [10, 10, 4]
    place = 0
    for ids, lengths, labels in batches:
        assert {ids.dtype, lengths.dtype, labels.dtype} == {torch.int64}
        rows = slice(place, place + len(ids))
        place = rows.stop
        assert lengths.tolist() == found["lengths"][rows].tolist()
        assert labels.tolist() == found["labels"][rows].tolist()
        assert ids.shape[1] == lengths.max()
        assert ids.tolist() == found["ids"][rows, : ids.shape[1]].tolist()
    documents = module.CalibrationDocuments()
    assert len(documents) == len(list(documents)) == 24
    with pytest.raises(IndexError, match="document 24 of 24"):
        documents[24]


@pytest.fixture
def reader_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for onnxruntime where it is not installed."""
    if importlib.util.find_spec("onnxruntime") is not None:
        return
    package, part = ModuleType("onnxruntime"), ModuleType("onnxruntime.quantization")

    class CalibrationDataReader:
        def get_next(self) -> Any:
            raise AssertionError("the subclass has its own")

    vars(part)["CalibrationDataReader"] = CalibrationDataReader
    monkeypatch.setitem(sys.modules, "onnxruntime", package)
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", part)


def drained(reader: Any) -> list[dict[str, np.ndarray]]:
    return list(iter(reader.get_next, None))


def test_the_reader_gives_documents_as_inputs(reader_package: None, arrays: Any) -> None:
    from onnxruntime.quantization import CalibrationDataReader

    module, found = arrays("onnxruntime")
    reader = module.CalibrationReader("tokens", "sizes")
    assert isinstance(reader, CalibrationDataReader) and len(reader) == 24
    given = drained(reader)
    assert [one["tokens"].shape for one in given] == [(1, n) for n in found["lengths"].tolist()]
    assert np.concatenate([one["tokens"][0] for one in given]).tolist() == found["flat"].tolist()
    assert [one["sizes"].tolist() for one in given] == [[n] for n in found["lengths"].tolist()]
    assert {one["tokens"].dtype for one in given} == {np.dtype(np.int64)}
    assert reader.get_next() is None
    reader.rewind()
    assert len(drained(reader)) == 24
    reader.set_range(5, 9)
    assert [one["tokens"].tolist() for one in drained(reader)] == [
        one["tokens"].tolist() for one in given[5:9]
    ]


def test_the_reader_pads_batches(reader_package: None, arrays: Any) -> None:
    module, found = arrays("onnxruntime")
    given = drained(module.CalibrationReader(batch=10, fixed=True, dtype=np.int32))
    assert [one["ids"].shape for one in given] == [(10, 82), (10, 82), (4, 82)]
    assert np.concatenate([one["ids"] for one in given]).tolist() == found["ids"].tolist()
    tight = drained(module.CalibrationReader(batch=10))
    assert [one["ids"].shape[1] for one in tight] == [
        found["lengths"][start : start + 10].max() for start in (0, 10, 20)
    ]
    assert given[0].keys() == {"ids"}
    with pytest.raises(ValueError, match="batch is 0"):
        module.CalibrationReader(batch=0)


def test_the_representative_dataset_gives_one_document_at_a_time(arrays: Any) -> None:
    module, found = arrays("litert")
    given = list(module.representative_dataset())
    assert [[array.shape for array in one] for one in given] == [[(1, 82)]] * 24
    assert {one[0].dtype for one in given} == {np.dtype(np.int32)}
    assert np.concatenate([ids for (ids,) in given]).tolist() == found["ids"].tolist()
    both = list(module.representative_dataset(tokens="ids", sizes="lengths"))
    assert [one["tokens"].tolist() for one in both] == [ids.tolist() for (ids,) in given]
    assert [one["sizes"].tolist() for one in both] == [[n] for n in found["lengths"].tolist()]
    assert {one["sizes"].dtype for one in both} == {np.dtype(np.int32)}
    assert both[0].keys() == {"tokens", "sizes"}
