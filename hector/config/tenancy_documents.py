"""Where document stores of an app lead that names no web address: services have one of their own, databases another."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hector.config.base import Section
from hector.config.check import blocks
from hector.config.document import Document, matches
from hector.config.embedders import CLASSES as EMBEDDERS
from hector.config.findings import Where
from hector.config.postgres import PostgresAddress, is_postgres, parse
from hector.config.searching import Reranker
from hector.config.shape import peek
from hector.config.vectorstores import CLASSES as VECTOR_STORES


def unnamed(document: Document) -> Iterator[tuple[Where, str, str]]:
    """The block, the address that it means, and what is there."""
    for name, embedder in blocks(document, "embedders").items():
        if not embedder.get("base_url") and (address := _default(EMBEDDERS, embedder.get("provider"), "base_url")):
            yield ("embedders", name), address, "an embedder"
    for name, store in blocks(document, "vector_stores").items():
        if not store.get("control_url") and (address := _default(VECTOR_STORES, store.get("type"), "control_url")):
            yield ("vector_stores", name), address, "a vector store"
    for where in matches(document.value, "document_stores.*.search.reranker"):
        reranker = peek(document.value, where)
        if isinstance(reranker, dict) and not reranker.get("base_url"):
            yield where, str(Reranker.model_fields["base_url"].default), "a reranker"


def databases(document: Document) -> Iterator[tuple[Where, str, str]]:
    """Databases that vectors lie in: the place of the address, each host, and what else of it is not an app's own."""
    for name, store in blocks(document, "vector_stores").items():
        url = store.get("url")
        if not isinstance(url, str) or not is_postgres(url):
            continue
        try:
            address = parse(url)
        except ValueError:
            continue  # which is said anyway
        for host, _ in address.hosts:
            yield ("vector_stores", name, "url"), f"http://{f'[{host}]' if ':' in host else host}", _not_own(address)


def _not_own(address: PostgresAddress) -> str:
    if not address.user or not address.password:
        return "without a user and a password in it, those of the server would be used"
    if address.ssl_cert or address.ssl_key or address.ssl_root_cert not in {None, "system"}:
        return "it names files of the server"
    return ""


def _default(classes: Mapping[str, Callable[[], type[Section]]], kind: Any, key: str) -> str:
    """The address that a section of this kind has where none is written; empty without one."""
    load = classes.get(str(kind).strip().lower())
    field = load().model_fields.get(key) if load else None
    return str(field.default) if field is not None and field.default else ""
