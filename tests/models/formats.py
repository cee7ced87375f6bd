"""The wire formats that every conformance test runs over. A further one is one entry of `FORMATS`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.config.llm_ollama import OllamaLlm
from hector.config.llm_openai import OpenAiLlm
from hector.config.llms import Llm
from hector.core.ports import ChatModel
from hector.core.usage import Usage
from hector.models.registry import create
from tests.models.fakeprovider import USAGE

KEY = "sk-test-0123456789"


@dataclass(frozen=True, slots=True)
class Format:
    """One wire format: how it is configured, and in what its provider differs."""

    name: str
    section: type[Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    """Added to the fake's address."""
    usage: Usage = Usage(USAGE["input"], USAGE["output"], USAGE["cache_read"], USAGE["cache_write"], USAGE["reasoning"])
    overflow: str = "prompt is too long: 210000 tokens > 200000 maximum"
    objects_only: bool = False
    """Arguments of calls are objects on the wire, so that they cannot be malformed."""
    filters: bool = True
    """The provider says so when a filter ended its answer."""
    keyless: bool = False
    """The provider asks for no key."""
    sampling: str = "temperature"
    """The word for `temperature` in a refusal."""

    def llm(self, url: str, **changes: Any) -> Llm:
        """The section, pointed at the fake; retries are quick."""
        settings: dict[str, Any] = {
            "base_url": url + self.path,
            "api_key": KEY,
            "retry": {"initial_delay": 0.01},
            **self.settings,
            **changes,
        }
        section: Llm = self.section(**settings)
        return section

    def model(self, url: str, **changes: Any) -> ChatModel:
        """The model of that section, under the name "main"."""
        return create("main", self.llm(url, **changes))


FORMATS: tuple[Format, ...] = (
    Format("anthropic", AnthropicLlm),
    Format("anthropic-4.5", AnthropicLlm, {"model": "claude-haiku-4-5-20251001"}),
    Format("anthropic-4.0", AnthropicLlm, {"model": "claude-sonnet-4-20250514"}),
    Format(
        "gemini",
        GeminiLlm,
        usage=Usage(USAGE["input"], USAGE["output"], USAGE["cache_read"], 0, USAGE["reasoning"]),
        overflow="The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        objects_only=True,
    ),
    Format(
        "gemini-2.5",
        GeminiLlm,
        {"model": "gemini-2.5-flash"},
        usage=Usage(USAGE["input"], USAGE["output"], USAGE["cache_read"], 0, USAGE["reasoning"]),
        overflow="The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        objects_only=True,
    ),
    Format("openai-responses", OpenAiLlm, {"api": "responses"}, path="/v1"),
    Format("openai-chat", OpenAiLlm, {"model": "qwen3:8b"}, path="/v1"),
    Format("azure", OpenAiLlm, {"model": "my-deployment", "api_version": "2024-10-21"}),
    Format(
        "ollama",
        OllamaLlm,
        {"model": "qwen3:8b"},
        usage=Usage(USAGE["input"], USAGE["output"]),
        objects_only=True,
        filters=False,
        keyless=True,
    ),
)
