"""What document stores refer to: embedders, vector stores, models, databases, tools, and each other."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from hector.config import embedders, vectorstores
from hector.config.document import Document, matches
from hector.config.environment import Environment
from hector.config.findings import Where
from hector.config.shape import peek

Dangling: TypeAlias = Callable[[Where, str, str, Collection[str]], None]
"""Reports a reference that leads nowhere: where, the name, what it should be one of, and what there is."""

DEFAULT: Final = "default"
"""The id that is meant where none is named; without a block of that id, what Hector has itself."""
NONE: Final = "none"
"""In place of an embedder: words alone."""
_OWN_EMBEDDER: Final = "the embedder within Hector: provider builtin"
_OWN_STORE: Final = "the store within Hector: type chromem"
_MODELS: Final = ("hyde_llm", "rerank_llm", "multi_query_llm")


def chosen(named: str, ids: Sequence[str]) -> str:
    """Which of the declared blocks a store means; empty for what Hector has itself."""
    if named and (named in ids or named != DEFAULT):
        return named
    if DEFAULT in ids or not ids:
        return DEFAULT if DEFAULT in ids else ""
    return ids[0]


def complete(document: Document, environment: Environment) -> None:
    """Put in what blocks of embedders may leave out; report the key that is missing, and names that say too little."""
    for name, block in _blocks(document, "embedders"):
        embedders.complete(block, environment)
        if variables := embedders.lacks_key(block):
            _need_key(document, ("embedders", name, "api_key"), variables, _OWN_EMBEDDER)
    for name, block in _blocks(document, "vector_stores"):
        vectorstores.complete(block, environment)
        if variables := vectorstores.lacks_key(block):
            _need_key(document, ("vector_stores", name, "api_key"), variables, _OWN_STORE)
    for kind, key in (("embedders", "embedder"), ("vector_stores", "vector_store")):
        ids = [name for name, _ in _blocks(document, kind)]
        vague = [name for name, store in _blocks(document, "document_stores") if store.get(key) in (None, "", DEFAULT)]
        if len(ids) > 1 and DEFAULT not in ids and vague:
            document.report(
                "reference", (kind,), f"none is named 'default'; document stores that name none use the first one, "
                f"{ids[0]!r}", key=True, hint=f"set document_stores.{vague[0]}.{key} to one of {', '.join(ids)}",
                severity="warning",
            )  # fmt: skip


def _need_key(document: Document, where: Where, variables: Sequence[str], otherwise: str) -> None:
    unset = document.unset.get(where)
    document.findings = [finding for finding in document.findings if finding.where != where]
    document.report(
        "variable" if unset else "missing", where,
        f"the variable {unset} is not set" if unset else "the key is missing, and the service wants one",
        allowed=f"a key, as text or as ${{{unset or variables[0]}}}",
        hint=f"set {unset or ' or '.join(variables)} in the environment or in a .env file, or use {otherwise}",
    )  # fmt: skip


def references(document: Document, dangling: Dangling) -> None:
    """Every reference must lead to something, and no two stores may fill the same collection."""
    stores = _declared(document, "document_stores")
    for where in _listed(document, "agents.*.document_stores"):
        if (name := _text(peek(document.value, where))) and name not in stores:
            dangling(where, name, "document store", stores)
    for kind, key, noun in (("embedders", "embedder", "embedder"), ("vector_stores", "vector_store", "vector store")):
        ids = _declared(document, kind)
        also = {DEFAULT, NONE} if key == "embedder" else {DEFAULT}
        for where in matches(document.value, f"document_stores.*.{key}"):
            if (name := _text(peek(document.value, where))) and name not in also and name not in ids:
                dangling(where, name, noun, (*ids, *also))
    for key in _MODELS:
        _refer(document, f"document_stores.*.search.{key}", "model", _declared(document, "llms"), dangling)
    databases = _declared(document, "databases")
    _refer(document, "document_stores.*.source.sql.database", "database", databases, dangling)
    _parsers(document)
    _shared(document)


def servers(document: Document, dangling: Dangling) -> None:
    """Vectors may lie in a database that is declared, if it is one of PostgreSQL."""
    databases = _declared(document, "databases")
    there = dict(_blocks(document, "databases"))
    for name, block in _blocks(document, "vector_stores"):
        database = _text(block.get("database"))
        if block.get("type") != "pgvector" or not database:
            continue
        where = ("vector_stores", name, "database")
        if database not in databases:
            dangling(where, database, "database", databases)
        elif database in there and there[database].get("driver", "sqlite") != "postgres":
            document.report(
                "reference", where, f"the database {database!r} is none of PostgreSQL", found=database,
                hint="name one with driver: postgres, or write its address as url",
            )  # fmt: skip


def _refer(document: Document, pattern: str, noun: str, ids: Collection[str], dangling: Dangling) -> None:
    for where in matches(document.value, pattern):
        if (name := _text(peek(document.value, where))) and name not in ids:
            dangling(where, name, noun, ids)


def _parsers(document: Document) -> None:
    """Tools that read documents come from MCP servers, of which there must be one."""
    if any(tool.get("type") == "mcp" for _, tool in _blocks(document, "tools")):
        return
    for where in matches(document.value, "document_stores.*.mcp_parsers"):
        document.report(
            "reference", where, "no MCP server is declared whose tools could read documents", key=True,
            hint="declare it under tools, with type mcp",
        )  # fmt: skip


def _shared(document: Document) -> None:
    """No collection has two stores that fill it, and what is only searched is filled by one."""
    filled: dict[tuple[str, str], str] = {}
    searched: list[tuple[str, tuple[str, str]]] = []
    for name, store in _blocks(document, "document_stores"):
        source = store.get("source")
        if isinstance(source, dict) and (source.get("type") == "collection" or "collection" in source):
            searched.append((name, _place(document, store, _text(source.get("collection")))))
            continue
        place = _place(document, store, name)
        other = filled.setdefault(place, name)
        if other != name:
            document.report(
                "duplicate", ("document_stores", name), f"{other!r} and {name!r} would fill the same collection, "
                f"{place[1]!r}", key=True, hint="give each a collection of its own, or let one have the source "
                "{type: collection, collection: ...}",
            )  # fmt: skip
    for name, place in searched:
        if place not in filled:
            document.report(
                "reference", ("document_stores", name, "source"), f"no document store fills the collection {place[1]!r}"
                ", so nothing is found in it unless another server on this machine fills it", key=True,
                allowed=", ".join(sorted({one for where, one in filled if where == place[0]})) or None,
                hint="name the collection of a document store with the same vector_store", severity="warning",
            )  # fmt: skip


def _place(document: Document, store: dict[str, Any], otherwise: str) -> tuple[str, str]:
    """Where the vectors of a store lie, and in which collection. Blocks of the built-in kind may share a folder."""
    blocks = dict(_blocks(document, "vector_stores"))
    name = chosen(_text(store.get("vector_store")), tuple(blocks))
    block = blocks.get(name, {})
    searched = isinstance(source := store.get("source"), dict) and source.get("type") == "collection"
    own = "" if searched else _text(store.get("collection")) or _text(block.get("collection"))
    if block.get("type", "chromem") != "chromem":
        return name, own or otherwise
    folder = _text(block.get("persist_path")) or vectorstores.EmbeddedStore.model_fields["persist_path"].default
    return str(Path(folder).expanduser().absolute()), own or otherwise


def paths(document: Document, folder: Path) -> None:
    """Make folders that stand in the file absolute: they begin where the file lies."""
    for where in matches(document.value, "embedders.*.model_dir"):
        written = peek(document.value, where)
        if isinstance(written, str) and written:
            holder = peek(document.value, where[:-1])
            holder[where[-1]] = str((folder / Path(written).expanduser()).absolute())


def _listed(document: Document, pattern: str) -> Iterator[Where]:
    """Places of a list's members, or of the text with commas that stands for it."""
    for where in matches(document.value, pattern):
        value = peek(document.value, where)
        if isinstance(value, str):
            document_names = [one.strip() for one in value.split(",") if one.strip()]
            peek(document.value, where[:-1])[where[-1]] = document_names
            value = document_names
        if isinstance(value, list):
            yield from ((*where, at) for at in range(len(value)))


def _declared(document: Document, kind: str) -> list[str]:
    """Ids under a block, those that were refused included."""
    entries = document.value.get(kind)
    ids = [str(key) for key in entries] if isinstance(entries, dict) else []
    return ids + [str(where[1]) for where in document.set_aside if len(where) == 2 and where[0] == kind]


def _blocks(document: Document, kind: str) -> list[tuple[str, dict[str, Any]]]:
    entries = document.value.get(kind)
    if not isinstance(entries, dict):
        return []
    return [(key, value) for key, value in entries.items() if isinstance(value, dict)]


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
