"""Wiring of what an app knows: from its blocks of the configuration to document stores that can be searched."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hector.config.base import Section
from hector.config.documents import DocumentStore
from hector.config.planned import REASON
from hector.config.root import HectorConfig
from hector.config.stores import DEFAULT, NONE, chosen
from hector.config.vectorstores import EmbeddedStore
from hector.core.errors import ConfigError, HectorError
from hector.core.identity import DEFAULT_APP
from hector.core.retrieval import Embedder, Source, VectorIndex
from hector.rag.errors import EmbeddingError
from hector.rag.knowledge import Knowledge
from hector.rag.search_models import Named
from hector.rag.shelving import Plan
from hector.rag.sources.kinds import Around, build
from hector.store.collection import Collection
from hector.store.collection_file import NAME
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.config.embedders import Embedder as EmbedderBase
    from hector.config.vectorstores import VectorStoreBase
    from hector.rag.ingest_scan import Reading
    from hector.rag.opened import OtherReaders
    from hector.rag.stores.index import Keeping

log = logging.getLogger("hector.rag")

READ_AS: Final = 1
"""Of how documents are extracted and cut: raised when the same document gives other chunks than before."""
_BASE: Final = EmbeddedStore.model_fields["persist_path"].default


def knowledge_of(
    config: HectorConfig, catalog: Catalog, app_id: str = DEFAULT_APP, models: Named | None = None, indexes: str = ""
) -> Knowledge:
    """The document stores of an app; nothing of them is opened. Raises ConfigError for a source that cannot be.

    `indexes`: the folder of the operator's that an app keeps them in which may not choose it itself.
    """
    plans = {
        name: plan_of(name, section, config, catalog, app_id, indexes)
        for name, section in config.document_stores.items()
    }
    return Knowledge(plans, models, own_key=app_id == DEFAULT_APP)


def plan_of(
    name: str, section: DocumentStore, config: HectorConfig, catalog: Catalog, app_id: str, indexes: str
) -> Plan:
    """How one store is made. Raises ConfigError."""
    embedder_name, embedder = embedder_of(section, config)
    where, vectors = _vector_store(section, config)
    folder = folder_of(name, section, vectors, where, app_id, indexes)
    source = _source(section, config, catalog, app_id)
    there = name_at(app_id, collection_of(name, section, vectors))
    recipe = digest(READ_AS, section.chunking, section.mcp_parsers)
    embedder_key = digest(app_id, embedder) if embedder is not None else ""
    servers = config.tools if section.mcp_parsers is not None else {}
    shown = (name, str(folder), section, embedder_key, vectors, config.databases, app_id, servers)
    return Plan(
        name, app_id, folder, section, digest(*shown), recipe, source, embedder_key,
        None if embedder is None else _embedder(embedder, embedder_name), _vectors(vectors, there, config),
        "" if embedder is None else _told(embedder), _around(section, config, app_id),
    )  # fmt: skip


def embedder_of(section: DocumentStore, config: HectorConfig) -> "tuple[str, EmbedderBase | None]":
    """Which embedder a store has, under which name; None: it is searched by words alone."""
    if section.embedder == NONE and NONE not in config.embedders:
        return NONE, None
    name = chosen(section.embedder, tuple(config.embedders))
    if name:
        return name, config.embedders[name]
    from hector.config.embedders import BuiltinEmbedder  # noqa: PLC0415 - only where none is declared

    return DEFAULT, BuiltinEmbedder() if has_model() else None


@cache
def has_model() -> bool:
    """Whether the model that needs no service is there: hector-slim comes without it."""
    from hector.rag.minilm.files import find_model  # noqa: PLC0415 - only where none is declared

    try:
        find_model(None)
    except EmbeddingError as error:
        log.warning("documents are found by their words alone, without an embedder", extra={"reason": str(error)})
        return False
    return True


def _vector_store(section: DocumentStore, config: HectorConfig) -> "tuple[str, VectorStoreBase]":
    name = chosen(section.vector_store, tuple(config.vector_stores))
    return (name, config.vector_stores[name]) if name else (DEFAULT, EmbeddedStore())


def indexes_of(config: HectorConfig) -> str:
    """The folder that the operator's file has for indexes: that of the store within Hector that it means first."""
    blocks = config.vector_stores
    meant = chosen("", tuple(blocks))
    stores = [blocks[meant], *blocks.values()] if meant else list(blocks.values())
    return next((store.persist_path for store in stores if isinstance(store, EmbeddedStore)), str(_BASE))


def folder_of(
    name: str, section: DocumentStore, vectors: "VectorStoreBase", where: str, app_id: str, indexes: str = ""
) -> Path:
    """Where the index of a store lies: a folder of its own, below that of its app. Raises ConfigError."""
    base = indexes or getattr(vectors, "persist_path", _BASE)
    collection = collection_of(name, section, vectors)
    if not isinstance(vectors, EmbeddedStore):
        collection = f"{collection}@{where}"
    if Path(collection).name != collection or not collection.strip(
        "."
    ):  # the check of the configuration has said so: this is the second lock
        raise ConfigError(f"document_stores.{name}: {collection!r} is no name of a collection")
    return Path(base).expanduser().absolute() / app_id / collection


def indexed_folders(config: HectorConfig) -> list[tuple[str, Path]]:
    """The document stores of the file's app that have an index on this machine, and where."""
    folders = []
    for name, section in config.document_stores.items():
        where, vectors = _vector_store(section, config)
        folder = folder_of(name, section, vectors, where, DEFAULT_APP)
        if (folder / NAME).exists():
            folders.append((name, folder))
    return folders


def name_at(app_id: str, collection: str) -> str:
    """What a collection is called in a vector store that several apps may share: no two names are the same."""
    return collection if app_id == DEFAULT_APP else f"{app_id}_{collection}_{digest(app_id, collection)[:8]}"


def collection_of(name: str, section: DocumentStore, vectors: "VectorStoreBase") -> str:
    """The collection that a store fills, or that it searches where another one fills it."""
    searched = "" if section.source.indexed else str(getattr(section.source, "collection", ""))
    return searched or section.collection or vectors.collection or name


def folders_of(app_id: str, config: HectorConfig | None = None) -> list[Path]:
    """Where an app that came through the admin API has indexes: in the operator's folder, and in the usual one."""
    bases = {Path(path).expanduser().absolute() for path in (_BASE, indexes_of(config) if config else _BASE)}
    found = [(base, base / app_id) for base in sorted(bases)]
    return [one for base, one in found if app_id != DEFAULT_APP and one.parent == base and one.name == app_id]


def delete_folders(app_id: str, config: HectorConfig | None = None) -> None:
    """Delete all indexes of such an app."""
    for folder in folders_of(app_id, config):
        shutil.rmtree(folder, ignore_errors=True)


def servers_of(config: HectorConfig, app_id: str) -> "dict[str, Callable[[], Keeping]]":
    """What keeps vectors of an app on servers, by the places that traces name. Connects to nothing."""
    from hector.rag.stores import reach  # noqa: PLC0415 - only when an app is deleted

    databases = {name: database.dsn for name, database in config.databases.items()} if config.databases else {}
    found: dict[str, Callable[[], Keeping]] = {}
    for name, section in config.document_stores.items():
        _, vectors = _vector_store(section, config)
        if not isinstance(vectors, EmbeddedStore):
            there = name_at(app_id, collection_of(name, section, vectors))
            with contextlib.suppress(HectorError):  # it was never used, either
                place, _ = reach(vectors, there, databases)
                found[place] = partial(_kept, vectors, there, databases)
    return found


def _kept(vectors: "VectorStoreBase", name: str, databases: Mapping[str, str]) -> "Keeping":
    from hector.rag.stores import reach  # noqa: PLC0415 - only when an app is deleted

    return reach(vectors, name, databases)[1]


def _source(section: DocumentStore, config: HectorConfig, catalog: Catalog, app_id: str) -> Callable[[], Source] | None:
    if not section.source.indexed:
        return None
    databases = {name: database.dsn for name, database in config.databases.items()} if config.databases else {}

    def made() -> Source:
        own = app_id == DEFAULT_APP
        around = Around(databases if own else {}, dict(os.environ) if own else {}, catalog.own.sealed)
        return build(section.source, around)

    try:
        made()  # says now what is wrong with it
    except KeyError:
        raise ConfigError(f"documents of type {section.source.type} {REASON}") from None
    return made


def _around(section: DocumentStore, config: HectorConfig, app_id: str) -> "Callable[[Reading], OtherReaders] | None":
    if section.mcp_parsers is None:
        return None
    from hector.apps.parsing import parsers_of  # noqa: PLC0415 - only where tools read documents

    return parsers_of(section, config, app_id)


def _embedder(section: "EmbedderBase", name: str) -> Callable[[], Embedder]:
    """Raises ConfigError where its model is to be on this machine, and is not."""
    if section.provider == "builtin":
        from hector.rag.embedders.builtin import create  # noqa: PLC0415 - loaded on first use

        create(section, name)

    def made() -> Embedder:
        from hector.rag.embedders import build as build_embedder  # noqa: PLC0415 - loaded on first use

        return build_embedder(section, name)

    return made


def _vectors(section: "VectorStoreBase", name: str, config: HectorConfig) -> Callable[[Collection], VectorIndex]:
    databases = {name: database.dsn for name, database in config.databases.items()} if config.databases else {}

    def made(collection: Collection) -> VectorIndex:
        if isinstance(section, EmbeddedStore):
            from hector.rag.flat import FlatIndex  # noqa: PLC0415 - loaded on first use

            return FlatIndex(collection, compress=section.compress)
        from hector.rag.stores import build as build_index  # noqa: PLC0415 - loaded on first use

        return build_index(section, name, collection, databases)

    return made


def _told(section: "EmbedderBase") -> str:
    """An embedder as people know it."""
    return f"{getattr(section, 'provider', '')} {getattr(section, 'model', '')}".strip()


def digest(*parts: Any) -> str:
    """The same for the same settings, in every process."""
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _plain(part: Any) -> Any:
    if isinstance(part, Section):
        return {name: _plain(getattr(part, name)) for name in type(part).model_fields}
    if isinstance(part, Mapping):
        return {str(key): _plain(value) for key, value in part.items()}
    return [_plain(one) for one in part] if isinstance(part, list | tuple) else part
