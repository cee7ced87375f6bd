"""Vector stores that are servers, all over one index (`index.RemoteIndex`): one wire format a module, or tables.

Text, words, places and what else is known of chunks stay in the collection's index.db. A server holds vectors, and
beside each the identity of the index that it is of: several may share a collection there, and never see each other's.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from hector.config.postgres import is_postgres, parse
from hector.core.errors import ConfigError
from hector.core.retrieval import VectorIndex
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.retry import RetryPolicy
from hector.observe.redact import remember
from hector.rag.stores.http import OverHttp
from hector.rag.stores.index import Keeping, RemoteIndex
from hector.rag.stores.service import Service
from hector.rag.stores.wire import Wire

if TYPE_CHECKING:
    from hector.config.vectorservers import PgvectorStore, VectorServer
    from hector.config.vectorstores import VectorStoreBase
    from hector.store.collection import Collection


def _qdrant(section: Any, name: str) -> Wire:
    from hector.rag.stores.qdrant import Qdrant  # noqa: PLC0415 - loaded on first use

    return Qdrant(name)


def _weaviate(section: Any, name: str) -> Wire:
    from hector.rag.stores.weaviate import Weaviate  # noqa: PLC0415 - loaded on first use

    return Weaviate(name)


def _milvus(section: Any, name: str) -> Wire:
    from hector.rag.stores.milvus import Milvus  # noqa: PLC0415 - loaded on first use

    return Milvus(name, section.database)


def _chroma(section: Any, name: str) -> Wire:
    from hector.rag.stores.chroma import Chroma  # noqa: PLC0415 - loaded on first use

    return Chroma(name, section.tenant, section.database)


def _pinecone(section: Any, name: str) -> Wire:
    from hector.rag.stores.pinecone import Pinecone  # noqa: PLC0415 - loaded on first use

    return Pinecone(section.index_name, section.environment, section.host)


WIRES: Final[Mapping[str, Callable[[Any, str], Wire]]] = {
    "qdrant": _qdrant,
    "weaviate": _weaviate,
    "milvus": _milvus,
    "chroma": _chroma,
    "pinecone": _pinecone,
}
"""By `type`."""


def address_of(section: "VectorServer") -> str:
    """What is called first."""
    return str(getattr(section, "control_url", "")) or section.base_url()


def build(
    section: "VectorStoreBase", name: str, collection: "Collection", databases: Mapping[str, str] | None = None
) -> VectorIndex:
    """The vectors of a collection on a server; `name` is what the server's collection is called. Connects to nothing.

    `databases`: addresses by id, for stores that name one. Raises ConfigError for an address of no use, EgressRefused
    for one that the policy closes.
    """
    place, keeping = reach(section, name, databases)
    return RemoteIndex(keeping, collection, place=place)


def reach(section: "VectorStoreBase", name: str, databases: Mapping[str, str] | None = None) -> tuple[str, Keeping]:
    """What keeps the vectors of a server's collection, and how that is called in traces. Raises as `build` does."""
    if getattr(section, "type") == "pgvector":  # noqa: B009 - each kind has its own
        return _tables(cast("PgvectorStore", section), name, databases or {})
    return _over_http(cast("VectorServer", section), name)


def dsn_of(section: "PgvectorStore", databases: Mapping[str, str]) -> str:
    """The address of the database that vectors lie in. Raises ConfigError."""
    dsn = section.url or databases.get(section.database, "")
    if not is_postgres(dsn):
        raise ConfigError(f"there is no PostgreSQL database {section.database!r} under databases")
    return dsn


def _tables(section: "PgvectorStore", name: str, databases: Mapping[str, str]) -> tuple[str, Keeping]:
    from hector.rag.stores.pgvector import Pgvector  # noqa: PLC0415 - loads the driver
    from hector.store.vectors_pgvector import VectorTable  # noqa: PLC0415

    address = parse(dsn_of(section, databases))
    remember(address.password or "")
    keeping = Pgvector(VectorTable(address, section.db_schema, name, section.timeout, section.index == "hnsw"))
    return f"pgvector {address.place} {section.db_schema} {name}", keeping


def _over_http(section: "VectorServer", name: str) -> tuple[str, Keeping]:
    kind: str = getattr(section, "type")  # noqa: B009 - each kind has its own
    wire = WIRES[kind](section, name)
    remember(section.api_key)

    def open_at(url: str) -> Service:
        options = CallerOptions(
            url, {**section.headers, **wire.authorization(section.api_key)}, section.proxy, section.ca_bundle,
            section.connect_timeout, section.timeout, section.timeout, "retrieval",
        )  # fmt: skip
        retry = section.retry
        policy = RetryPolicy(retry.max_attempts, retry.initial_delay, retry.max_delay, retry.max_delay)
        return Service(wire.service, url, lambda: open_caller(options), policy)

    scheme = "https" if section.enable_tls else "http"
    keeping = OverHttp(wire, open_at(address_of(section)), elsewhere=lambda host: open_at(f"{scheme}://{host}"))
    return f"{kind} {address_of(section)} {name}", keeping
