"""Gemini's POST models/...:batchEmbedContents: https://ai.google.dev/api/embeddings"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.config.embedders import GeminiEmbedder
from hector.core.retrieval import Embedder, Purpose
from hector.rag.embedders.answers import Numbers
from hector.rag.embedders.remote import Post, connect

_KNOWN: Final = {"gemini-embedding-001": 3072, "text-embedding-004": 768, "text-embedding-005": 768}
LISTS: Final = "/v1beta/models"
"""What may be asked for without effect."""
_TASKS: Final[Mapping[Purpose, str]] = {"document": "RETRIEVAL_DOCUMENT", "query": "RETRIEVAL_QUERY"}


def create(section: GeminiEmbedder, name: str) -> Embedder:
    """The embedder of `embedders.<name>`. Opens no connection. Raises ConfigError."""
    base_url, headers = target(section)
    return connect(section, GeminiWire(section), name, base_url=base_url, headers=headers, secret=section.api_key)


def target(section: GeminiEmbedder) -> tuple[str, dict[str, str]]:
    """Where calls go, and who makes them."""
    base_url = section.base_url.removesuffix(f"/{section.api_version}")
    return base_url, {"x-goog-api-key": section.api_key} if section.api_key else {}


class GeminiWire:
    """Requests and answers of one section."""

    variant = ""

    def __init__(self, section: GeminiEmbedder) -> None:
        self._model = section.model if "/" in section.model else f"models/{section.model}"
        self._path = f"/{quote(section.api_version)}/{quote(self._model)}:batchEmbedContents"
        known = _KNOWN.get(self._model.rpartition("/")[2])
        self.dimension = section.output_dimension or section.dimension or known
        self._cut = section.output_dimension
        if self._cut is None and known is not None and self.dimension != known:
            self._cut = self.dimension

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Post:
        """One request for each text; `taskType` tells questions from documents."""
        common: dict[str, Any] = {"model": self._model, "taskType": _TASKS[purpose]}
        if self._cut:
            common["outputDimensionality"] = self._cut
        return Post(self._path, {"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in texts]})

    def decode(self, body: Mapping[str, Any]) -> Sequence[Numbers]:
        """Vectors in the order of the texts."""
        return [row["values"] for row in body["embeddings"]]
