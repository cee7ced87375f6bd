"""A model that Ollama serves."""

from typing import Literal

from pydantic import Field

from hector.config.base import Address, Duration
from hector.config.llmbase import LlmBase


class OllamaLlm(LlmBase):
    """A model served by Ollama."""

    provider: Literal["ollama"] = Field("ollama", description="A local or remote Ollama server.")
    model: str = Field(
        "", description="Model id, as `ollama list` shows it. Left out: the first one that the server has."
    )
    api_key: str = Field("", repr=False, description="Sent as a bearer token, for Ollama behind a gateway.")
    base_url: Address = Field(
        "http://localhost:11434",
        description="Address of Ollama; left out: OLLAMA_BASE_URL, then OLLAMA_HOST, then localhost.",
    )
    timeout: Duration = Field(300.0, description="Longest silence of the server; loading a model counts.")
    keep_alive: str = Field("5m", description="How long Ollama keeps the model in memory after a call.")
    context_size: int = Field(8192, ge=1, description="Context window in tokens that Ollama is asked for.")
