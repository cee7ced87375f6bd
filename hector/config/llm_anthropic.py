"""A model of Anthropic."""

from typing import Literal

from pydantic import Field

from hector.config.base import Address
from hector.config.llmbase import LlmBase


class AnthropicLlm(LlmBase):
    """Anthropic Messages."""

    provider: Literal["anthropic"] = Field("anthropic", description="Anthropic's Messages API.")
    model: str = Field("claude-sonnet-5-5", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: ANTHROPIC_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.anthropic.com",
        description="Address of the API; left out: ANTHROPIC_BASE_URL, then Anthropic's own.",
    )
    api_version: str = Field("2023-06-01", description="Value of the anthropic-version header.")
    cache: bool = Field(True, description="Mark the stable part of the prompt for the provider's prompt cache.")
