"""Makes vectors of texts: with the model inside, or with a service."""

from typing import TYPE_CHECKING, Any, Final

from hector.core.retrieval import Embedder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hector.config.embedders import Embedder as EmbedderSection


def build(section: "EmbedderSection", name: str = "default") -> Embedder:
    """The embedder that `embedders.<name>` describes. Opens no connection, starts nothing. Raises ConfigError."""
    return FACTORIES[section.provider](section, name)


def _builtin(section: Any, name: str) -> Embedder:
    from hector.rag.embedders.builtin import create  # noqa: PLC0415 - loaded on first use

    return create(section, name)


def _openai(section: Any, name: str) -> Embedder:
    from hector.rag.embedders.openai import create  # noqa: PLC0415 - loaded on first use

    return create(section, name)


def _ollama(section: Any, name: str) -> Embedder:
    from hector.rag.embedders.ollama import create  # noqa: PLC0415 - loaded on first use

    return create(section, name)


def _cohere(section: Any, name: str) -> Embedder:
    from hector.rag.embedders.cohere import create  # noqa: PLC0415 - loaded on first use

    return create(section, name)


def _gemini(section: Any, name: str) -> Embedder:
    from hector.rag.embedders.gemini import create  # noqa: PLC0415 - loaded on first use

    return create(section, name)


FACTORIES: "Final[Mapping[str, Callable[[Any, str], Embedder]]]" = {
    "builtin": _builtin,
    "openai": _openai,
    "ollama": _ollama,
    "cohere": _cohere,
    "gemini": _gemini,
}
