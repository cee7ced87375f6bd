"""Models that reason before they answer."""

from typing import Literal

from pydantic import Field

from hector.config.base import Section


class Thinking(Section):
    """Reasoning before the answer. The presence of the block turns it on."""

    enabled: bool = Field(True, description="Ask the model to reason before it answers.")
    budget_tokens: int = Field(
        1024, ge=0, description="Most tokens to spend on reasoning, for models that take a number."
    )
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How hard to reason, for models that take a level. Left out: derived from budget_tokens."
    )
