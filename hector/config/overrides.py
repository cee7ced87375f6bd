"""What one agent has otherwise than the sections of its models say."""

from typing import Any

from pydantic import Field

from hector.config.base import Duration, Section
from hector.config.thinking import Thinking


class LlmOverrides(Section):
    """What is otherwise for one agent than its models' sections say. Left out: as they say."""

    temperature: float | None = Field(None, ge=0, le=2, description="Randomness of the answer.")
    max_tokens: int | None = Field(None, ge=0, description="Longest answer in tokens; 0 means the provider's default.")
    thinking: Thinking | None = Field(None, description="Reasoning before the answer.")
    timeout: Duration | None = Field(None, description="Longest silence of the provider.")
    parallel_tool_calls: bool | None = Field(None, description="Let the model ask for several tools at once.")

    @property
    def changes(self) -> dict[str, Any]:
        """Those that are set, by name."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
