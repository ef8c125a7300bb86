"""Float models, token lists, csv files and stores made by hand, and the quickstart run once."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread for each
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import numpy as np
import pytest
from hypothesis import settings

from calibkit.ragged import Ragged

# 30 examples keep the suite short; HYPOTHESIS_PROFILE=thorough looks ten times as far
settings.register_profile("short", max_examples=30, deadline=None)  # a busy machine is no defect
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

ROOT = Path(__file__).parents[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted: how often something was killed, failed or damaged, and the loss."""
    lines = [
        line
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, line in getattr(report, "user_properties", ())
        if name == "counted"
    ]
    if lines:
        terminalreporter.section("counts")
    for line in sorted(set(lines)):
        terminalreporter.write_line(line)


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a line for the end of the session, whichever process the test runs in."""
    return lambda line: request.node.user_properties.append(("counted", line))


@dataclass(frozen=True)
class HandMade:
    """A float model: its kind, its arrays by state-dict name, its configuration."""

    kind: str
    arrays: dict[str, np.ndarray]
    config: dict[str, Any]


def hand_made(
    kind: str,
    *,
    seed: int = 0,
    vocabulary: int = 60,
    embedding: int = 12,
    hidden: int = 16,
    labels: int = 3,
    gain: float = 0.4,
) -> HandMade:
    rng = np.random.default_rng(seed)
    arrays = {
        "embedding.weight": rng.normal(size=(vocabulary, embedding)),
        "lstm.weight_ih_l0": rng.normal(size=(4 * hidden, embedding)) * gain,
        "lstm.weight_hh_l0": rng.normal(size=(4 * hidden, hidden)) * gain,
        "lstm.bias_ih_l0": rng.normal(size=4 * hidden) * 0.2,
        "lstm.bias_hh_l0": rng.normal(size=4 * hidden) * 0.2,
    }
    arrays["embedding.weight"][0] = 0.0  # padding
    config = {"kind": kind, "vocabulary": vocabulary, "labels": labels}
    config |= {"embedding": embedding, "hidden": hidden}
    if kind == "discriminative":
        arrays["classifier.weight"] = rng.normal(size=(labels, hidden))
        arrays["classifier.bias"] = rng.normal(size=labels) * 0.1
    else:
        arrays["label_embedding.weight"] = rng.normal(size=(labels, hidden))
        arrays["decoder.weight"] = rng.normal(size=(vocabulary, 2 * hidden)) * 0.2
        arrays["decoder.bias"] = rng.normal(size=vocabulary)
        arrays["log_prior"] = np.log(np.arange(1, labels + 1) / np.arange(1, labels + 1).sum())
        config["label_dim"] = hidden
    return HandMade(kind, {k: v.astype(np.float32) for k, v in arrays.items()}, config)


def wrapped_documents(n: int, *, seed: int = 0, longest: int = 20, vocabulary: int = 60) -> Ragged:
    """n documents <bos> ... <eos> of 0 to ``longest`` words; the first has none."""
    rng = np.random.default_rng(seed)
    sizes = [0, *rng.integers(0, longest + 1, size=n - 1)]
    return Ragged.of([np.r_[2, rng.integers(4, vocabulary, size=k), 3] for k in sizes])


@pytest.fixture(scope="session")
def make_model() -> Callable[..., HandMade]:
    return hand_made


@pytest.fixture(scope="session")
def make_documents() -> Callable[..., Ragged]:
    return wrapped_documents


@pytest.fixture(scope="session", params=["discriminative", "generative"])
def float_classifier(request: pytest.FixtureRequest) -> HandMade:
    """Each of the two classifiers in turn."""
    return hand_made(request.param)


@pytest.fixture(scope="session")
def discriminative_classifier() -> HandMade:
    return hand_made("discriminative")


@pytest.fixture(scope="session")
def generative_classifier() -> HandMade:
    return hand_made("generative")


@pytest.fixture(scope="session")
def wrapped() -> Ragged:
    """60 documents of 2 to 22 tokens."""
    return wrapped_documents(60)


@pytest.fixture(scope="session")
def wrapped_labels(wrapped: Ragged) -> np.ndarray:
    return np.arange(len(wrapped), dtype=np.int64) % 3


TOPICS = {
    "art": ["paint", "colour", "canvas", "brush", "museum", "portrait", "sketch", "statue"],
    "sea": ["wave", "harbour", "sail", "tide", "anchor", "reef", "captain", "shore"],
    "sky": ["cloud", "star", "planet", "comet", "orbit", "sunrise", "storm", "moon"],
}
COMMON = ["the", "a", "of", "and", "on", "with", "near", "under", "old", "new", "small", "great"]


def corpus_files(
    folder: Path, sizes: Mapping[str, int], *, seed: int = 0, topics: Mapping[str, Any] = TOPICS
) -> dict[str, Path]:
    """Write one csv file per split: documents of 4 to 10 words, about half of them on topic."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, rows in sizes.items():
        files[split] = folder / f"{split}.csv"
        with files[split].open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["text", "label"])
            for row in range(rows):
                label = list(topics)[row % len(topics)]
                length = int(rng.integers(3, 10))
                on_topic = rng.random(length) < 0.5
                words = np.where(
                    on_topic, rng.choice(topics[label], length), rng.choice(COMMON, length)
                )
                out.writerow([" ".join([*words, f"{split}{row}"]), label])
    return files


@pytest.fixture(scope="session")
def make_corpus_files() -> Callable[..., dict[str, Path]]:
    return corpus_files


@dataclass(frozen=True)
class ModelledStore:
    """A store with the corpus ``made``, untrained models by kind, and two subsets' ids."""

    path: Path
    models: dict[str, str]
    subset: str
    valid_subset: str


@pytest.fixture(scope="session")
def modelled_store(tmp_path_factory: pytest.TempPathFactory) -> ModelledStore:
    """Float models as if they had been trained; never to be changed."""
    from calibkit.corpora.ingest import ingest
    from calibkit.corpora.reading import find_corpus
    from calibkit.curate.encoding import Encoder, Library, artefacts_of
    from calibkit.curate.subsets import build_subset
    from calibkit.models.checkpoints import model_id
    from calibkit.models.settings import settings_from
    from calibkit.policies import make_policy
    from calibkit.store import Store, insert

    folder = tmp_path_factory.mktemp("modelled")
    store = Store(folder / "store.duckdb")
    files = corpus_files(folder / "files", {"train": 120, "valid": 60, "test": 30})
    ingest(store, "made", **files)
    with store.reading() as con:
        corpus = find_corpus(con, "made")
    models, rows = {}, []
    for number, kind in enumerate(("discriminative", "generative")):
        settings = settings_from(kind, {"hidden": 16, "embedding": 12, "min_count": 1})
        vocabulary = Encoder.of(Library(store, corpus, 1.0), settings).vocabulary
        made = hand_made(kind, vocabulary=len(vocabulary), gain=1.0)
        models[kind] = model_id(made.arrays, made.config)
        key = f"k1-{number:016x}"
        artefacts_of(store).save("model", key, made.arrays, made.config)
        rows.append(
            {"model_key": key, "model_id": models[kind], "kind": kind, "share": 1.0, "seed": 0}
            | {"corpus_id": corpus.corpus_id, "settings": json.dumps(settings.as_dict())}
        )
    with store.writing() as con:
        insert(con, "models", rows)
    drawn = [
        build_subset(store, "made", make_policy("random"), size=24, seed=0, pool=pool).subset_id
        for pool in ("train", "valid")
    ]
    return ModelledStore(store.path, models, *drawn)


@dataclass(frozen=True)
class Quickstart:
    """What ``calibkit evaluate recipes/quickstart.yaml`` said, and the store that it made."""

    store: Path
    documents: int
    stdout: str
    stderr: str

    def copy_to(self, folder: Path) -> Path:
        """Return the path of a copy of the store, with everything that belongs to it."""
        copy = folder / self.store.name
        shutil.copyfile(self.store, copy)
        shutil.copytree(f"{self.store}.d", f"{copy}.d")
        return copy


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    """The quickstart, run once per session as a user would, on some of the test documents."""
    store, documents = tmp_path_factory.mktemp("quickstart") / "quickstart.duckdb", 60
    done = subprocess.run(
        [sys.executable, "-m", "calibkit.cli", "--store", str(store)]
        + ["evaluate", "recipes/quickstart.yaml", "--limit-documents", str(documents)]
        + ["--workers", "2"],
        cwd=ROOT, capture_output=True, text=True, timeout=800, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("CALIBKIT_")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return Quickstart(store, documents, done.stdout, done.stderr)
