"""What a model call cost, and why it ended: one shape for all providers."""

from dataclasses import asdict
from enum import StrEnum

from hector.core.record import dataclass


class FinishReason(StrEnum):
    """Why a model stopped. Provider strings are mapped by the wire format that reads them."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"  # send the conversation back as it is, the model goes on
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more calls. `input` includes what came from or went to a cache; `output` includes reasoning.

    `model` is the id of the model that answered, where several could have.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    model: str = ""

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            other.model or self.model,
        )

    def to_json(self) -> dict[str, int]:
        """All counters by name."""
        return {name: value for name, value in asdict(self).items() if name != "model"}
