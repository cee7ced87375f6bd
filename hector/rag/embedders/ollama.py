"""Ollama's POST /api/embed: https://docs.ollama.com/api/embed"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from hector.config.embedders import OllamaEmbedder
from hector.core.retrieval import Embedder, Purpose
from hector.rag.embedders.answers import Numbers
from hector.rag.embedders.remote import Post, connect

_KNOWN: Final = {"nomic-embed-text": 768, "all-minilm": 384, "mxbai-embed-large": 1024, "bge-m3": 1024}
LISTS: Final = "/api/tags"
"""What may be asked for without effect."""
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1"}  # noqa: S104 - replaced, not bound


def create(section: OllamaEmbedder, name: str) -> Embedder:
    """The embedder of `embedders.<name>`. Opens no connection. Raises ConfigError."""
    base_url, headers = target(section)
    return connect(section, OllamaWire(section), name, base_url=base_url, headers=headers, secret=section.api_key)


def target(section: OllamaEmbedder) -> tuple[str, dict[str, str]]:
    """Where calls go, and who makes them."""
    parts = urlsplit(section.base_url)
    path = parts.path.rstrip("/").removesuffix("/v1").removesuffix("/api")
    place = parts.netloc
    if parts.hostname in _ANYWHERE:
        place = place.replace(parts.hostname, _ANYWHERE[parts.hostname], 1)
    base_url = urlunsplit((parts.scheme, place, path, "", ""))
    return base_url, {"authorization": f"Bearer {section.api_key}"} if section.api_key else {}


class OllamaWire:
    """Requests and answers of one section."""

    variant = ""

    def __init__(self, section: OllamaEmbedder) -> None:
        self._section = section
        self.dimension = section.output_dimension or section.dimension or _KNOWN.get(section.model.partition(":")[0])

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Post:
        """Texts that are too long are cut by the server."""
        body: dict[str, Any] = {"model": self._section.model, "input": list(texts), "truncate": True}
        if self._section.output_dimension:
            body["dimensions"] = self._section.output_dimension
        if self._section.keep_alive:
            body["keep_alive"] = self._section.keep_alive
        return Post("/api/embed", body)

    def decode(self, body: Mapping[str, Any]) -> Sequence[Numbers]:
        """Vectors in the order of the texts."""
        return list(body["embeddings"])
