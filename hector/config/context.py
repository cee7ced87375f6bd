"""How much of a long conversation a model is shown, and what it is reminded of from other ones."""

from typing import Literal

from pydantic import Field

from hector.config.base import Section


class Context(Section):
    """How much of a long conversation the model sees. What it is not shown stays in the session all the same."""

    strategy: Literal["none", "buffer_window", "token_window", "summary_buffer"] = Field(
        "none",
        description="none: the whole conversation; buffer_window: the last `window_size` messages; token_window: as "
        "many of the last ones as fit in `budget`; summary_buffer: the last ones, and a summary of those before.",
    )
    window_size: int = Field(20, ge=1, le=100_000, description="buffer_window: how many messages at most.")
    budget: int = Field(
        8000, ge=100, description="token_window and summary_buffer: tokens that system text, tools and messages take."
    )
    threshold: float = Field(
        0.85, gt=0, le=1, description="summary_buffer: the part of `budget` above which older messages are summarised."
    )
    target: float = Field(
        0.7, gt=0, le=1, description="summary_buffer: the part of `budget` that is left to messages after that."
    )
    preserve_recent: int = Field(
        5, ge=0, le=1000, description="token_window and summary_buffer: messages that are shown however long they are."
    )
    summarizer_llm: str = Field(
        "", description="summary_buffer: the model that writes summaries, an id under `llms`. Left out: the agent's."
    )


class Recall(Section):
    """What an agent has to do with memories, where the server keeps any (`storage.memory`)."""

    recall: bool = Field(True, description="Remind the model of what fits what the user says.")
    limit: int = Field(5, ge=1, le=20, description="How many memories it is reminded of at most.")
    save: bool = Field(True, description="Remember what is said in turns that begin with this agent.")
