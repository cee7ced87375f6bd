"""Where the documents of a configuration come from, as far as that is elsewhere."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hector.config.postgres import is_postgres, parse
from hector.config.sourceforms import address_of_bucket
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.config.root import HectorConfig


@dataclass(frozen=True, slots=True)
class Origin:
    """A service: `url` without what might be a secret, `setting` where it is named; the rest as Contact has it."""

    name: str
    url: str
    setting: str
    proxy: str | None = None
    ca_bundle: str | None = None
    get: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


def origins(config: "HectorConfig") -> Iterator[Origin]:
    """Of every document store whose source is not on this machine."""
    for name, store in config.document_stores.items():
        source: Any = store.source
        where = f"document_stores.{name}"
        if source.type == "api":
            yield Origin(where, source.api.url, f"{where}.source.api.url", source.api.proxy, source.api.ca_bundle)
        elif source.type == "blob":
            if url := address_of_bucket(source.blob.model_dump()):
                yield Origin(where, url, f"{where}.source.blob.url", source.blob.proxy, source.blob.ca_bundle)
        elif source.type == "git":
            if not source.git.folder:
                yield _repository(f"{where}.source.git", where, source.git)
        elif source.type == "sql":
            yield from _servers(where, source.sql, config)


def _repository(block: str, name: str, git: Any) -> Origin:
    from hector.rag.sources.git_wire import first_question  # noqa: PLC0415 - only with such a source

    get, headers = first_question(git, git.token or os.environ.get(git.token_env, ""))
    key = next((f"{block}.{one}" for one in ("token", "token_env", "password") if getattr(git, one)), "")
    return Origin(name, git.url, f"{block}.url", git.proxy, git.ca_bundle, get, headers, key)


def missing(config: "HectorConfig") -> Iterator[tuple[str, str, str]]:
    """Folders of this machine that documents are to come from and that cannot be: store, key below it, and why not."""
    for name, store in config.document_stores.items():
        for key, folder in _folders(store.source):
            path = os.path.expanduser(folder)
            if not os.path.exists(path):
                yield name, key, f"there is no folder {folder!r} on this machine"
            elif not os.path.isdir(path):
                yield name, key, f"{folder!r} is no folder"
            elif not os.access(path, os.R_OK | os.X_OK):
                yield name, key, f"the folder {folder!r} cannot be opened by this user"


def _folders(source: Any) -> Iterator[tuple[str, str]]:
    """Key and path of the folder that a source is."""
    if source.type == "directory":
        yield "source.path", source.path
    elif source.type == "git" and source.git.folder:
        yield "source.git.url", source.git.folder
    elif source.type == "blob" and source.blob.scheme == "file":
        yield "source.blob.url", unquote(source.blob.url.removeprefix("file://")) or "."


def _servers(where: str, sql: Any, config: "HectorConfig") -> Iterator[Origin]:
    dsn = sql.dsn or (config.databases[sql.database].dsn if sql.database in config.databases else "")
    if not is_postgres(dsn):
        return
    for host, port in parse(dsn).hosts:
        if not host.startswith("/"):
            authority = f"[{host}]" if ":" in host else host
            yield Origin(where, f"postgres://{authority}:{port}", f"{where}.source.sql")
