"""OpenAI's POST /v1/embeddings, which many servers speak: https://platform.openai.com/docs/api-reference/embeddings"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from hector.config.embedders import OpenAiEmbedder
from hector.core.retrieval import Embedder, Purpose
from hector.rag.embedders.answers import Numbers, packed
from hector.rag.embedders.remote import Post, connect

_KNOWN: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_AZURE: Final = ".openai.azure.com"
LISTS: Final = "/models"
"""What may be asked for without effect."""
_OWN: Final = "api.openai.com"


def create(section: OpenAiEmbedder, name: str) -> Embedder:
    """The embedder of `embedders.<name>`. Opens no connection. Raises ConfigError."""
    base_url, headers = target(section)
    wire = OpenAiWire(section, own=urlsplit(base_url).hostname == _OWN)
    return connect(section, wire, name, base_url=base_url, headers=headers, secret=section.api_key)


def target(section: OpenAiEmbedder) -> tuple[str, dict[str, str]]:
    """Where calls go, and who makes them."""
    parts = urlsplit(section.base_url)
    path = parts.path.rstrip("/").removesuffix("/embeddings")
    base_url = urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))
    if not section.api_key:
        return base_url, {}
    azure = (parts.hostname or "").endswith(_AZURE)
    return base_url, {"api-key": section.api_key} if azure else {"authorization": f"Bearer {section.api_key}"}


class OpenAiWire:
    """Requests and answers of one section. `own`: of OpenAI itself, which sends base64 where nothing else is said."""

    variant = ""

    def __init__(self, section: OpenAiEmbedder, *, own: bool = False) -> None:
        self._section = section
        known = _KNOWN.get(section.model)
        self.dimension = section.output_dimension or section.dimension or known
        self._cut = section.output_dimension
        if self._cut is None and section.model.startswith("text-embedding-3") and self.dimension != known:
            self._cut = self.dimension
        self._format = section.encoding_format or ("base64" if own else None)

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Post:
        """Questions and documents are asked for in the same way."""
        body: dict[str, Any] = {"model": self._section.model, "input": list(texts)}
        if self._format:
            body["encoding_format"] = self._format
        if self._cut:
            body["dimensions"] = self._cut
        if self._section.user:
            body["user"] = self._section.user
        return Post("/embeddings", body)

    def decode(self, body: Mapping[str, Any]) -> Sequence[Numbers]:
        """Vectors by their index, which some servers leave out."""
        rows = body["data"]
        if all("index" in row for row in rows):
            rows = sorted(rows, key=lambda row: row["index"])
            if [row["index"] for row in rows] != list(range(len(rows))):
                raise ValueError
        found = [row["embedding"] for row in rows]
        return [packed(vector) if isinstance(vector, str) else vector for vector in found]
