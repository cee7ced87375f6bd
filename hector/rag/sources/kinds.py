"""The kinds of sources: one module each, all of them core.retrieval.Source, loaded when one is made."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from hector.core.record import dataclass
from hector.core.retrieval import Source

if TYPE_CHECKING:
    from hector.config.sourcebase import SourceBase


@dataclass(frozen=True, slots=True)
class Around:
    """What a source may use of its surroundings.

    `databases`: addresses by id. `environment`: variables that credentials may come from; none for the apps of tenants.
    `own`: files and folders of the server itself (its data, its configuration), never read unless `include` names them.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()


NOTHING: Final = Around()


def build(section: "SourceBase", around: Around = NOTHING) -> Source:
    """The source that a section describes; nothing is opened yet.

    Raises ConfigError for what cannot be, such as a database that is not there. Sections that are not `indexed`
    (collections) have no source: nothing is read from them.
    """
    return _KINDS[section.type](section, around)


def _directory(section: Any, around: Around) -> Source:
    from hector.rag.sources.directory import Directory  # noqa: PLC0415 - only with such a source

    return Directory(section, around.own)


def _sql(section: Any, around: Around) -> Source:
    from hector.rag.sources.sql import SqlRows  # noqa: PLC0415 - only with such a source

    return SqlRows(section, around.databases)


def _api(section: Any, around: Around) -> Source:
    from hector.rag.sources.api import ApiEntries  # noqa: PLC0415 - only with such a source

    return ApiEntries(section)


def _blob(section: Any, around: Around) -> Source:
    from hector.rag.sources.blob import folder_of, open_bucket  # noqa: PLC0415 - only with such a source

    if section.blob.scheme == "file":
        return _directory(folder_of(section), around)
    return open_bucket(section, around.environment)


def _git(section: Any, around: Around) -> Source:
    from hector.rag.sources.git import GitFiles  # noqa: PLC0415 - only with such a source

    return GitFiles(section, around.environment)


_KINDS: Final[Mapping[str, Callable[[Any, Around], Source]]] = {
    "directory": _directory,
    "sql": _sql,
    "api": _api,
    "blob": _blob,
    "git": _git,
}
