"""What all models have in common."""

from typing import TYPE_CHECKING

from pydantic import Field

from hector.config.base import Address, Duration, Section
from hector.config.later import later

if TYPE_CHECKING:
    from hector.config.thinking import Thinking
else:
    Thinking = later("hector.config.thinking", "Thinking")


class Retry(Section):
    """When a call fails for a reason that may pass (overload, rate limit, broken connection)."""

    max_attempts: int = Field(4, ge=1, le=20, description="Tries in all; 1 means no second try.")
    initial_delay: Duration = Field(0.5, description="Wait before the second try; doubled for each further one.")
    max_delay: Duration = Field(30.0, description="Longest wait between two tries, also when the provider names one.")


class LlmBase(Section):
    """What every provider understands."""

    temperature: float | None = Field(
        None, ge=0, le=2, description="Randomness of the answer. Left out: the provider's default."
    )
    max_tokens: int = Field(0, ge=0, description="Longest answer in tokens; 0 means the provider's default.")
    max_tool_output_length: int = Field(
        0, ge=0, description="Cut tool results to this many characters before the model sees them; 0 means no limit."
    )
    thinking: Thinking | None = Field(None, description="Reasoning before the answer. Left out: the model decides.")
    timeout: Duration = Field(
        120.0, description="Longest silence of the provider: time to the first and between bytes."
    )
    connect_timeout: Duration = Field(10.0, description="Longest wait for a connection.")
    headers: dict[str, str] = Field({}, description="Extra HTTP headers for every call.")
    proxy: Address | None = Field(
        None,
        description="HTTP proxy, as http://user:password@host:port. Left out: HTTPS_PROXY, HTTP_PROXY, NO_PROXY count.",
    )
    ca_bundle: str | None = Field(
        None,
        description="File with the certificates to trust, relative to the configuration file. Left out: the usual.",
    )
    retry: Retry = Field(
        default_factory=Retry.model_construct, description="What to do when a call fails for a reason that may pass."
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Let the model ask for several tools at once. Left out: the provider's default."
    )
    cooldown: Duration = Field(
        30.0,
        description="How long it rests, after it failed, for agents that have others to use: those come first then.",
    )
