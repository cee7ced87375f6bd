"""From a configuration section to a model. Each provider's module is loaded when it is first configured."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hector.core.errors import ConfigError
from hector.core.ports import ChatModel

if TYPE_CHECKING:
    from hector.config.llms import Llm


def _anthropic(llm: Any, name: str) -> ChatModel:
    from hector.models import anthropic  # noqa: PLC0415 - loaded on first use

    return anthropic.create(llm, name)


def _openai(llm: Any, name: str) -> ChatModel:
    from hector.models import openai  # noqa: PLC0415 - loaded on first use

    return openai.create(llm, name)


def _gemini(llm: Any, name: str) -> ChatModel:
    from hector.models import gemini  # noqa: PLC0415 - loaded on first use

    return gemini.create(llm, name)


def _ollama(llm: Any, name: str) -> ChatModel:
    from hector.models import ollama  # noqa: PLC0415 - loaded on first use

    return ollama.create(llm, name)


def _scripted(llm: Any, name: str) -> ChatModel:
    from hector.models import scripted  # noqa: PLC0415 - loaded on first use

    return scripted.create(llm, name)


def _local(llm: Any, name: str) -> ChatModel:
    from hector.models import local  # noqa: PLC0415 - loaded on first use

    return local.create(llm, name)


PROVIDERS: Final[Mapping[str, Callable[[Any, str], ChatModel]]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "gemini": _gemini,
    "ollama": _ollama,
    "scripted": _scripted,
    "local": _local,
}


def create(name: str, llm: "Llm") -> ChatModel:
    """The model that `llms.<name>` describes. Opens no connection, starts nothing. Raises ConfigError."""
    factory = PROVIDERS.get(llm.provider)
    if factory is None:
        raise ConfigError(f"llms.{name}.provider: {llm.provider!r} is unknown; allowed are {', '.join(PROVIDERS)}")
    return factory(llm, name)
