"""Wiring of what finds memories by what they mean."""

from typing import TYPE_CHECKING, Final

from hector.config.root import HectorConfig
from hector.config.stores import DEFAULT, chosen
from hector.core.errors import ConfigError
from hector.core.retrieval import Embedder
from hector.rag.recollection import Meaning

if TYPE_CHECKING:
    from hector.config.embedders import Embedder as EmbedderSection

BUILTIN: Final = "builtin"
"""In place of an id: the model within Hector, whatever else is declared."""


def meaning_of(named: str, config: HectorConfig) -> Meaning:
    """Raises ConfigError where there is no embedder."""
    name, section = _embedder(named, config)

    def made() -> Embedder:
        from hector.rag.embedders import build  # noqa: PLC0415 - loaded on first use

        return build(section, name)

    return Meaning(made)


def _embedder(named: str, config: HectorConfig) -> "tuple[str, EmbedderSection]":
    own = named == BUILTIN and named not in config.embedders
    name = "" if own else chosen(named, tuple(config.embedders))
    if name:
        return name, config.embedders[name]
    from hector.apps.knowledge import has_model  # noqa: PLC0415 - only where none is declared
    from hector.config.embedders import BuiltinEmbedder  # noqa: PLC0415 - likewise

    if not has_model():
        raise ConfigError(
            "storage.memory.backend: vector needs something that makes vectors, and this executable has no model "
            "within: declare one under embedders, or use backend keyword"
        )
    return DEFAULT, BuiltinEmbedder()
