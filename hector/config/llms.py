"""Models: one class per provider, told apart by `provider`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from hector.config.llmbase import LlmBase
from hector.config.tagged import ByTag

if TYPE_CHECKING:
    from hector.config.llm_anthropic import AnthropicLlm
    from hector.config.llm_gemini import GeminiLlm
    from hector.config.llm_local import LocalLlm
    from hector.config.llm_ollama import OllamaLlm
    from hector.config.llm_openai import OpenAiLlm
    from hector.config.llm_scripted import ScriptedLlm

    Llm: TypeAlias = AnthropicLlm | OpenAiLlm | GeminiLlm | OllamaLlm | ScriptedLlm | LocalLlm


def _anthropic() -> type[LlmBase]:
    from hector.config.llm_anthropic import AnthropicLlm  # noqa: PLC0415 - for the first of its kind

    return AnthropicLlm


def _openai() -> type[LlmBase]:
    from hector.config.llm_openai import OpenAiLlm  # noqa: PLC0415 - for the first of its kind

    return OpenAiLlm


def _gemini() -> type[LlmBase]:
    from hector.config.llm_gemini import GeminiLlm  # noqa: PLC0415 - for the first of its kind

    return GeminiLlm


def _ollama() -> type[LlmBase]:
    from hector.config.llm_ollama import OllamaLlm  # noqa: PLC0415 - for the first of its kind

    return OllamaLlm


def _scripted() -> type[LlmBase]:
    from hector.config.llm_scripted import ScriptedLlm  # noqa: PLC0415 - for the first of its kind

    return ScriptedLlm


def _local() -> type[LlmBase]:
    from hector.config.llm_local import LocalLlm  # noqa: PLC0415 - for the first of its kind

    return LocalLlm


CLASSES: Final[Mapping[str, Callable[[], type[LlmBase]]]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "gemini": _gemini,
    "ollama": _ollama,
    "scripted": _scripted,
    "local": _local,
}
"""By `provider`."""

if not TYPE_CHECKING:
    Llm = Annotated[LlmBase, ByTag("provider", CLASSES, lambda _: "")]
