"""Document stores: where documents come from, how they are cut, embedded and searched."""

import os
from typing import TYPE_CHECKING

from pydantic import Field

from hector.config.base import CollectionName, Duration, Section
from hector.config.chunking import Chunking
from hector.config.later import later
from hector.config.searching import Search
from hector.config.sources import DirectorySource, Source

if TYPE_CHECKING:
    from hector.config.chunking import McpParsers
else:
    McpParsers = later("hector.config.chunking", "McpParsers")


class IndexingRetry(Section):
    """How often a document that cannot be read now is tried again, and when."""

    max_retries: int = Field(3, ge=0, le=1000, description="Tries after the first one; 0: none.")
    base_delay: Duration = Field(1.0, gt=0, description="Wait before the first of them; it doubles with each.")
    max_delay: Duration = Field(30.0, gt=0, description="Longest wait.")
    jitter: float = Field(0.1, ge=0, le=1, description="Share of a wait that is left to chance.")


class Indexing(Section):
    """How documents are taken in."""

    max_concurrent: int = Field(
        0,
        ge=0,
        le=64,
        description="Documents of this store that are fetched and read at once; `server.readers` bounds that. 0: as "
        "many as there are processors, 8 at most.",
    )
    interval: Duration = Field(
        0.0, description="How often the source is looked through again. 0: at the start, and when it tells of changes."
    )
    retry: IndexingRetry = Field(
        default_factory=IndexingRetry.model_construct,
        description="How often a document that cannot be read now is tried again, and when.",
    )

    @property
    def at_once(self) -> int:
        """How many documents are read at once."""
        return self.max_concurrent or min(os.cpu_count() or 1, 8)


class DocumentStore(Section):
    """Documents that agents can search."""

    source: Source = Field(
        default_factory=DirectorySource, description="Where the documents are. Left out: the folder of the server."
    )
    chunking: Chunking = Field(
        default_factory=Chunking.model_construct, description="How documents are cut into what is found."
    )
    vector_store: str = Field(
        "",
        description="Where vectors are kept, an id under `vector_stores`. Left out: `default`, else the only one, else "
        "a file beside the index.",
    )
    embedder: str = Field(
        "",
        description="What makes vectors, an id under `embedders`, or `none`: documents are then found by their words "
        "alone. Left out: `default`, else the only one, else the model within Hector, if it is there.",
    )
    collection: CollectionName = Field(
        "",
        description="Name of the folder of the index, and of the collection in a vector store. Left out: the store's "
        "id.",
    )
    watch: bool = Field(
        False, description="Take in changes as they happen, where the source tells of them: folders do."
    )
    incremental_indexing: bool = Field(
        False,
        description="Read only what looks changed (time and size of a file, a version) when the server starts. false: "
        "read everything and compare it; what has not changed is not cut or embedded again either way.",
    )
    search: Search = Field(default_factory=Search.model_construct, description="How it is searched.")
    indexing: Indexing = Field(default_factory=Indexing.model_construct, description="How documents are taken in.")
    mcp_parsers: McpParsers | None = Field(
        None, description="Tools of MCP servers that read documents. Left out: none."
    )
