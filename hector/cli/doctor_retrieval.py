"""What document stores contact: the services that make their vectors, and the servers that keep them."""

import os
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from hector.cli.doctor_contact import Contact
from hector.net.proxy import proxy_for

if TYPE_CHECKING:
    from hector.cli.place import Place

_HARMLESS: Final = {
    "qdrant": "/collections",
    "weaviate": "/v1/meta",
    "chroma": "/api/v2/heartbeat",
    "pinecone": "/indexes",
}
"""What may be asked without effect, by type; with a wrong key most of them say so."""


def vector_servers(place: "Place") -> "Iterator[Contact]":
    """One for each block that names a server."""
    for name, section in place.config.vector_stores.items():
        kind = str(getattr(section, "type", ""))
        if kind == "chromem":
            continue
        if kind == "pgvector":
            yield from _databases(name, section, place)
            continue
        store: Any = section
        from hector.rag.stores import WIRES, address_of  # noqa: PLC0415 - only with such a store

        url, path = address_of(store), _HARMLESS.get(kind, "")
        yield Contact(
            "vector stores",
            f"vector_stores.{name} ({kind})",
            "retrieval",
            url,
            f"{url}{path}" if path else "",
            {**WIRES[kind](store, name).authorization(store.api_key), **store.headers},
            f"vector_stores.{name}.api_key" if store.api_key else "",
            f"vector_stores.{name}.{'control_url' if kind == 'pinecone' else 'host'}",
            proxy_for(url, store.proxy, os.environ),
            store.ca_bundle,
            secure=url.startswith("https:"),
        )


def _databases(name: str, section: Any, place: "Place") -> "Iterator[Contact]":
    from hector.config.postgres import is_postgres, parse  # noqa: PLC0415 - only with such a store

    known = place.config.databases
    dsn = section.url or (known[section.database].dsn if section.database in known else "")
    for host, port in parse(dsn).hosts if is_postgres(dsn) else ():
        if not host.startswith("/"):
            authority = f"[{host}]" if ":" in host else host
            setting = f"vector_stores.{name}.{'url' if section.url else 'database'}"
            url = f"postgres://{authority}:{port}"
            yield Contact("vector stores", f"vector_stores.{name} (pgvector)", "retrieval", url, setting=setting)


def embedding_services(place: "Place") -> "Iterator[Contact]":
    """One for each embedder that is a service."""
    for name, section in place.config.embedders.items():
        if section.provider == "builtin":
            continue
        embedder: Any = section
        service = import_module(f"hector.rag.embedders.{section.provider}")
        url, headers = service.target(embedder)
        yield Contact(
            "embedders",
            f"embedders.{name} ({embedder.provider} {embedder.model})",
            "retrieval",
            url,
            f"{url}{service.LISTS}",
            {**headers, **{key.lower(): value for key, value in embedder.headers.items()}},
            f"embedders.{name}.api_key" if embedder.api_key else "",
            f"embedders.{name}.base_url",
            proxy_for(url, embedder.proxy, os.environ),
            embedder.ca_bundle,
            secure=url.startswith("https:"),
        )


def rerankers(place: "Place") -> "Iterator[Contact]":
    """One for each store whose passages a service puts in order. Nothing is asked there: every request is paid for."""
    for name, store in place.config.document_stores.items():
        section = store.search.reranker
        if section is None or not store.search.enable_rerank:
            continue
        where = f"document_stores.{name}.search.reranker"
        yield Contact(
            "rerankers",
            f"{where} ({section.provider} {section.model})",
            "retrieval",
            section.base_url,
            "",
            {},
            f"{where}.api_key" if section.api_key else "",
            f"{where}.base_url",
            proxy_for(section.base_url, None, os.environ),
            None,
            secure=section.base_url.startswith("https:"),
        )
