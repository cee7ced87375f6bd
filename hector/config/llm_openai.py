"""A model of OpenAI, or of a server that speaks its formats."""

from typing import Literal

from pydantic import Field

from hector.config.base import Address
from hector.config.llmbase import LlmBase


class OpenAiLlm(LlmBase):
    """OpenAI and everything that speaks its wire formats, Azure included."""

    provider: Literal["openai"] = Field("openai", description="OpenAI or a server that speaks the same wire format.")
    model: str = Field("gpt-6.2-sol", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: OPENAI_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.openai.com/v1", description="Address of the API; left out: OPENAI_BASE_URL, then OpenAI's own."
    )
    api: Literal["auto", "responses", "chat"] = Field(
        "auto", description="Wire format. auto: responses at OpenAI itself, chat/completions anywhere else."
    )
    api_version: str | None = Field(
        None, description="Azure only: sent as the api-version parameter, and the key goes into an api-key header."
    )
    organization: str | None = Field(None, description="OpenAI organization id.")
    project: str | None = Field(None, description="OpenAI project id.")
