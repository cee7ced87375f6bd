"""What is kept of users beside conversations: memories."""

from typing import Literal

from pydantic import Field

from hector.config.base import Duration, Section


class VectorProvider(Section):
    """Where vectors of memories are."""

    type: Literal["chromem"] = Field("chromem", description="chromem: Hector keeps them itself.")


class Memory(Section):
    """What is remembered of users across their sessions."""

    backend: Literal["keyword", "vector"] = Field(
        "keyword", description="keyword: found by the words in it; vector: by what they mean, too."
    )
    embedder: str = Field(
        "",
        description="backend vector: what makes vectors, an id under `embedders`. Left out: `default`, else the first, "
        "else the model within Hector.",
    )
    vector_provider: VectorProvider | None = Field(
        None, description="backend vector: where the vectors are. They stand beside the memories, in the database."
    )
    turns: bool = Field(True, description="Remember what is said, and not only what agents are told to remember.")
    expires: Duration = Field(
        0.0, description="How long what was said is remembered, unless its session goes before; 0 means for ever."
    )
    max_entries: int = Field(
        10_000, ge=1, le=1_000_000, description="Most memories of one user; what was said longest ago goes first."
    )
