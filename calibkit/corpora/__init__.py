"""Corpora: labelled text from files, the hub or installed libraries, and what is done to text."""

from calibkit.corpora.ingest import IngestReport, ingest
from calibkit.corpora.noise import NoisyTexts, corrupt, noise_kinds
from calibkit.corpora.reading import Corpus, Documents, documents, find_corpus
from calibkit.corpora.text import clean, tokenize
from calibkit.corpora.vocabulary import Vocabulary

__all__ = [
    "Corpus",
    "Documents",
    "IngestReport",
    "NoisyTexts",
    "Vocabulary",
    "clean",
    "corrupt",
    "documents",
    "find_corpus",
    "ingest",
    "noise_kinds",
    "tokenize",
]
