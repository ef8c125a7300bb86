"""A subset as token ids in one npz file, and the vocabulary that the ids are by."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.corpora.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.subsets import find_model
from calibkit.errors import BadInput
from calibkit.export.subset_content import SubsetContent
from calibkit.models.settings import ModelSettings, settings_from
from calibkit.ragged import Ragged
from calibkit.store.connection import Store

TOKENS = "tokens.npz"
VOCABULARY = "vocabulary.json"


@dataclass(frozen=True)
class TokenIds:
    """A subset's documents as token ids: <bos>, at most ``most_tokens`` ids, <eos>.

    share: of the corpus, on whose training documents the vocabulary was built. model_id: the float
    model whose vocabulary it is, or None for the corpus's own.
    """

    tokens: Ragged
    vocabulary: Vocabulary
    most_tokens: int
    share: float
    model_id: str | None

    @property
    def width(self) -> int:
        """The length of a padded document."""
        return self.most_tokens + 2

    def facts(self) -> dict[str, Any]:
        """Return what decides the ids, as JSON can say it."""
        return {
            "vocabulary_id": self.vocabulary.id,
            "types": len(self.vocabulary),
            "most_tokens": self.most_tokens,
            "width": self.width,
            "share": self.share,
            "model_id": self.model_id,
        }

    def padded(self) -> NDArray[np.int32]:
        """Return the ids, int32 (documents, width), padded on the right with <pad>, 0."""
        real = np.arange(self.width)[None, :] < self.tokens.lengths[:, None]
        ids = np.full(real.shape, PAD, dtype=np.int32)
        ids[real] = self.tokens.ids
        return ids


def token_ids(store: Store, content: SubsetContent, model: str | None) -> TokenIds:
    """Return a subset's token ids by the vocabulary of a float model, or by the corpus's own.

    model: (the start of) an id; None for the vocabulary that models of this corpus have by
    default, at the share that the subset was asked from. Raises BadInput for a model that the
    store lacks, that is of another corpus, or that read other words than are there now.
    """
    if model is None:
        settings, share, model_id, expected = (
            settings_from("discriminative", {}), content.share, None, None,
        )  # fmt: skip
    else:
        settings, share, model_id, expected = _model(store, content, model)
    encoder = Encoder.of(Library(store, content.corpus, share), settings)
    vocabulary = encoder.vocabulary
    if expected is not None and vocabulary.id != expected:
        raise BadInput(
            f"the model {model_id} has another vocabulary than corpus {content.corpus.name!r},"
            f" version {content.corpus.version}, share {share:g}, gives now; name a model trained"
            " on these documents (`calibkit list models` shows corpus and share)"
        )
    tokens = encoder.encode(content.documents.texts)
    return TokenIds(tokens, vocabulary, settings.most_tokens, share, model_id)


def write_tokens(folder: Path, content: SubsetContent, found: TokenIds) -> None:
    """Write the token ids and their vocabulary.

    The npz has ids int32 (n, width), padded with 0; lengths int32 (n,), <bos> and <eos> counted;
    labels int32 (n,), by the corpus's label ids; and the same ids one behind the other: document i
    is flat[offsets[i]:offsets[i + 1]], int32 and int64 (n + 1,).
    """
    file = io.BytesIO()
    np.savez_compressed(
        file,
        ids=found.padded(),
        lengths=found.tokens.lengths.astype(np.int32),
        labels=content.documents.label_ids.astype(np.int32),
        flat=found.tokens.ids,
        offsets=found.tokens.offsets,
    )
    (folder / TOKENS).write_bytes(file.getvalue())
    told = {
        "vocabulary_id": found.vocabulary.id,
        "most_tokens": found.most_tokens,
        "specials": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
        "tokenizer": {
            "unicode": "NFC",
            "white_space": "every run of it is one space, none at the ends",
            "lower_case": True,
            "pattern": r"\w+|[^\w\s]",
        },
        "types": list(found.vocabulary.types),
    }
    text = json.dumps(told, indent=1)
    (folder / VOCABULARY).write_bytes(f"{text}\n".encode())


def _model(
    store: Store, content: SubsetContent, name: str
) -> tuple[ModelSettings, float, str, str | None]:
    """Return a model's settings, the share it was trained on, its id and its vocabulary's."""
    with store.reading() as con:
        found = find_model(con, name)
        row = con.execute(
            "SELECT models.corpus_id, coalesce(share, 1), vocabulary_id, corpora.name,"
            " corpora.version FROM models LEFT JOIN corpora USING (corpus_id)"
            " WHERE model_key = ?",
            [found.key],
        ).fetchone()
    assert row is not None
    corpus_id, share, vocabulary_id, corpus, version = row
    if corpus_id != content.corpus.corpus_id:
        raise BadInput(
            f"the model {found.id} was trained on corpus {corpus or corpus_id!r}"
            f"{'' if version is None else f', version {version}'}, and the subset is of"
            f" {content.corpus.name!r}, version {content.corpus.version}; name a model of that"
            " corpus (`calibkit list models` shows them)"
        )
    return found.settings, float(share), found.id, vocabulary_id
