"""What a worker is asked to do: plain values that travel to another process. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Engine = Literal["auto", "plain", "torch", "native"]
"""Which implementation evaluates a cell; it never changes a number."""


@dataclass(frozen=True)
class Places:
    """Folders that workers read and write; they never open the store's database."""

    artefacts: Path
    fragments: Path

    def has_fragment(self, name: str) -> bool:
        """Say whether a fragment has been written, merged since or not."""
        folders = (self.fragments, self.merged)
        return any((folder / f"{name}.json").exists() for folder in folders)

    @property
    def merged(self) -> Path:
        """Where fragments go when they have been merged."""
        return self.fragments.parent / "merged"

    def merged_names(self) -> frozenset[str]:
        """Return the names of all fragments that have been merged."""
        return frozenset(path.stem for path in self.merged.glob("*.json"))


@dataclass(frozen=True)
class ModelRef:
    """A float model: ``key`` names its artefact (what it was made from), ``id`` its content."""

    key: str
    id: str
    kind: str


@dataclass(frozen=True)
class NoiseLevel:
    """One measurement of a test set; clean is ('none', 0.0, 0). ``tokens`` names its artefact."""

    kind: str
    level: float
    seed: int
    tokens: str

    @property
    def key(self) -> tuple[str, float, int]:
        """The columns that identify a measurement of a cell."""
        return (self.kind, self.level, self.seed)


@dataclass(frozen=True)
class TestSet:
    """Test documents under every noise level that is wanted, and the clean ones for shifts."""

    id: str
    labels: int
    levels: tuple[NoiseLevel, ...]
    clean_tokens: str


@dataclass(frozen=True)
class TrainJob:
    """Train one float model and keep its best and per-epoch weights.

    expected: the id of the content that the store's cells were measured with, where the model was
    trained before and its artefact is lost.
    """

    places: Places
    model_key: str
    kind: str
    settings: Mapping[str, Any]
    seed: int
    device: str
    train_tokens: str
    valid_tokens: str
    vocabulary_id: str
    vocabulary_size: int
    labels: tuple[str, ...]
    corpus_id: str
    share: float
    expected: str | None = None


@dataclass(frozen=True)
class BaselineJob:
    """Measure a float model and its port to Brevitas with quantizers off.

    anew: also where its fragment is there already.
    """

    places: Places
    model: ModelRef
    test: TestSet
    run_id: str
    anew: bool = True


@dataclass(frozen=True)
class CellJob:
    """Quantize one model with one subset under one scheme, and measure it.

    arithmetic: what the numbers are computed by, see `calibkit.sweep.content.arithmetic_of`.
    anew: also where its fragment is there already, or another process is at it just now.
    """

    places: Places
    cell_id: str
    model: ModelRef
    corpus_id: str
    subset_id: str
    subset_tokens: str
    scheme: Mapping[str, Any]
    arithmetic: str
    test: TestSet
    distributions: tuple[str, ...]
    engine: Engine
    run_id: str
    host: str
    anew: bool = True


Job = TrainJob | BaselineJob | CellJob
