"""Blocks under `vector_stores`: where the vectors of documents lie."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from hector.config.base import CollectionName, Section
from hector.config.environment import Environment
from hector.config.tagged import ByTag


class VectorStoreBase(Section):
    """What every kind has."""

    collection: CollectionName = Field(
        "", description="Name in the store for the documents of a document store that names none. Left out: its id."
    )


class EmbeddedStore(VectorStoreBase):
    """The one that is built in: files on this machine, which need no service."""

    type: Literal["chromem"] = Field(
        "chromem", description="The built-in store, for which embedded, numpy and local are other names."
    )
    persist_path: str = Field(
        ".hector/vectors",
        min_length=1,
        description="Folder; each document store of each app has one of its own in it. A relative one begins at the "
        "working directory.",
    )
    compress: bool = Field(
        False,
        description="Keep vectors at 8 bits a number, in a fifth of the space: about one in 200 of the best 10 is "
        "another then.",
    )
    enable_persistence: Literal[True] = Field(
        True, description="Taken from older files, and always true: an index is kept, for it can be made again."
    )


KEYS: Final[Mapping[str, str]] = {
    "qdrant": "QDRANT_API_KEY",
    "weaviate": "WEAVIATE_API_KEY",
    "milvus": "MILVUS_TOKEN",
    "chroma": "CHROMA_API_KEY",
    "pinecone": "PINECONE_API_KEY",
}
"""Variables that hold the key of a server whose block holds none."""


def _server(name: str) -> Callable[[], type[VectorStoreBase]]:
    def load() -> type[VectorStoreBase]:
        section: type[VectorStoreBase] = getattr(import_module("hector.config.vectorservers"), name)
        return section

    return load


VectorStore: TypeAlias = VectorStoreBase
CLASSES: Final[Mapping[str, Callable[[], type[VectorStoreBase]]]] = {
    "chromem": lambda: EmbeddedStore,
    "qdrant": _server("QdrantStore"),
    "weaviate": _server("WeaviateStore"),
    "milvus": _server("MilvusStore"),
    "chroma": _server("ChromaStore"),
    "pinecone": _server("PineconeStore"),
    "pgvector": _server("PgvectorStore"),
}
"""By `type`."""


def complete(store: dict[str, Any], environment: Environment) -> None:
    """Put in the key of a server, where the block holds none and the environment does."""
    variable = KEYS.get(str(store.get("type")))
    if variable and not store.get("api_key") and (key := environment.first((variable,))):
        store["api_key"] = key


def lacks_key(store: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables that could hold the key, if the service does nothing without one and there is none."""
    return (KEYS["pinecone"],) if store.get("type") == "pinecone" and not store.get("api_key") else ()


if not TYPE_CHECKING:
    VectorStore = Annotated[VectorStoreBase, ByTag("type", CLASSES, lambda _: "chromem")]
