"""Cohere's POST /v2/embed: https://docs.cohere.com/reference/embed"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hector.config.embedders import CohereEmbedder
from hector.core.retrieval import Embedder, Purpose
from hector.rag.embedders.answers import Numbers
from hector.rag.embedders.remote import Post, connect

_KNOWN: Final = {
    "embed-english-v3.0": 1024, "embed-multilingual-v3.0": 1024, "embed-english-light-v3.0": 384,
    "embed-multilingual-light-v3.0": 384, "embed-v4.0": 1536,
}  # fmt: skip
LISTS: Final = "/v1/models"
"""What may be asked for without effect."""
_SEARCH: Final = ("search_document", "search_query")


def create(section: CohereEmbedder, name: str) -> Embedder:
    """The embedder of `embedders.<name>`. Opens no connection. Raises ConfigError."""
    base_url, headers = target(section)
    return connect(section, CohereWire(section), name, base_url=base_url, headers=headers, secret=section.api_key)


def target(section: CohereEmbedder) -> tuple[str, dict[str, str]]:
    """Where calls go, and who makes them."""
    base_url = section.base_url.removesuffix("/embed").removesuffix("/v2").removesuffix("/v1")
    return base_url, {"authorization": f"Bearer {section.api_key}"} if section.api_key else {}


class CohereWire:
    """Requests and answers of one section."""

    def __init__(self, section: CohereEmbedder) -> None:
        self._section = section
        self.dimension = section.output_dimension or section.dimension or _KNOWN.get(section.model)
        self.variant = "" if section.input_type == "search_document" else section.input_type

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Post:
        """`input_type` tells questions from documents; the two kinds of vectors are made for each other."""
        asked = self._section.input_type
        body: dict[str, Any] = {
            "model": self._section.model,
            "texts": list(texts),
            "input_type": "search_query" if purpose == "query" and asked in _SEARCH else asked,
            "embedding_types": ["float"],
            "truncate": self._section.truncate,
        }
        if self._section.output_dimension:
            body["output_dimension"] = self._section.output_dimension
        return Post("/v2/embed", body)

    def decode(self, body: Mapping[str, Any]) -> Sequence[Numbers]:
        """Vectors in the order of the texts."""
        found = body["embeddings"]
        return list(found["float"] if "float" in found else found["float_"])
