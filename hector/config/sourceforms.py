"""Other ways of writing the source of a document store, brought into ours before anything is checked.

A source always has its `type` afterwards: what an app may use is judged by it.
"""

from collections.abc import Mapping
from typing import Any, Final

from hector.config.document import Document, at, matches
from hector.config.findings import Where

_TYPES: Final[Mapping[str, str]] = {
    "folder": "directory", "dir": "directory", "files": "directory", "filesystem": "directory", "local": "directory",
    "database": "sql", "rest": "api", "http": "api", "s3": "blob", "gcs": "blob", "azure": "blob", "repository": "git",
}  # fmt: skip
_KINDS: Final = ("sql", "api", "blob", "git")
"""Those whose keys stand in a block of their own."""
_FLAT: Final[Mapping[str, tuple[str, ...]]] = {
    "sql": (
        *("database", "dsn", "tables", "query", "content_columns", "id_column", "updated_column", "metadata_columns"),
        *("page_size", "timeout"),
    ),
    "api": (
        *("url", "method", "headers", "params", "body", "auth", "response_path", "id_field", "content_field"),
        *("content_fields", "title_field", "url_field", "metadata_fields", "updated_field", "pagination", "timeout"),
    ),
    "blob": ("url", "prefix", "endpoint", "region", "anonymous"),
    "git": (
        *("url", "urls", "ref", "branch", "depth", "sparse_paths", "cache_dir", "auth_token_env", "refresh_mode"),
        *("refresh_interval", "token", "token_env", "username", "password", "headers", "link", "timeout"),
    ),
}
"""Keys that also stand beside `type`."""
_GIT_NAMES: Final = {"branch": "ref", "auth_token_env": "token_env"}
_GIT_IDLE: Final = frozenset(("depth", "cache_dir"))
"""No history is fetched, and nothing is kept on the disk, whatever they say."""


def unfold(document: Document) -> None:
    """Give every store a source with a type, and its keys their places."""
    for where in list(matches(document.value, "document_stores.*")):
        store = at(document.value, where)
        if not isinstance(store, dict):
            continue
        source = store.setdefault("source", {})
        if isinstance(source, str):
            source = store["source"] = _of_text(source)
        if isinstance(source, dict):
            _unfold(document, (*where, "source"), source)


def address_of_bucket(blob: Mapping[str, Any]) -> str:
    """Where an object store is reached; empty for a folder of this machine, and for what cannot be told."""
    scheme, _, rest = str(blob.get("url") or "file://./docs").partition("://")
    bucket = rest.partition("/")[0]
    if scheme.lower() == "file" or not bucket:
        return ""
    if endpoint := blob.get("endpoint"):
        return str(endpoint)
    region = blob.get("region") or "us-east-1"
    return {
        "s3": f"https://{bucket}.s3.{region}.amazonaws.com",
        "gs": "https://storage.googleapis.com",
        "azblob": f"https://{blob['account']}.blob.core.windows.net" if blob.get("account") else "",
    }.get(scheme.lower(), "")


def address_of_repository(git: Mapping[str, Any]) -> str:
    """Where a repository is reached; empty for a folder of this machine, and for what is no address."""
    url = str(git.get("url") or "")
    return url if url.lower().startswith(("https://", "http://")) else ""


def _of_text(text: str) -> dict[str, Any]:
    """A source that is only an address, or a path."""
    kind = _kind_of_address(text)
    return {"type": "directory", "path": text} if kind == "directory" else {"type": kind, kind: {"url": text}}


def _kind_of_address(text: str) -> str:
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in {"file", "s3", "gs", "azblob"}:
        return "blob"
    if scheme == "ssh" or text.startswith("git@") or (scheme in {"http", "https"} and text.endswith(".git")):
        return "git"
    return "api" if scheme in {"http", "https"} else "directory"


def _unfold(document: Document, where: Where, source: dict[str, Any]) -> None:
    _lift_directory(document, where, source)
    named = source.get("type")
    if isinstance(named, str):
        word = named.strip().lower()
        if (known := _TYPES.get(word, word)) != named:
            document.written.setdefault((*where, "type"), named)
            source["type"] = known
    elif named is None:
        source["type"] = _guessed(source)
    kind = source["type"]
    if kind == "collection" and isinstance(source.get("collection"), dict) and "name" in source["collection"]:
        document.move((*where, "collection"), (*where, "_named"))
        document.move((*where, "_named", "name"), (*where, "collection"))
        del source["_named"]
    if kind in _KINDS and isinstance(source.get(kind, {}), dict):
        for key in _FLAT[kind]:
            if key in source and key not in source.setdefault(kind, {}):
                document.move((*where, key), (*where, kind, key))
    if kind == "git" and isinstance(source.get("git"), dict):
        _unfold_git(document, where, source)


def _unfold_git(document: Document, where: Where, source: dict[str, Any]) -> None:
    """`branch`, the one of `urls`, and what others say of copies on the disk, of which there are none here."""
    git = source["git"]
    if isinstance(git.get("urls"), list) and len(git["urls"]) == 1 and "url" not in git:
        document.move((*where, "git", "urls", 0), (*where, "git", "url"))
        del git["urls"]
    for old, new in _GIT_NAMES.items():
        if old in git and new not in git:
            document.move((*where, "git", old), (*where, "git", new))
    if isinstance(paths := git.get("sparse_paths"), list) and "include" not in source:
        document.move((*where, "git", "sparse_paths"), (*where, "include"))
        source["include"] = [f"/{path.strip('/')}" if isinstance(path, str) else path for path in paths]
    for key in _GIT_IDLE & git.keys():
        del git[key]
    mode, interval = git.pop("refresh_mode", None), git.pop("refresh_interval", None)
    store = at(document.value, where[:-1])
    if mode == "interval" or (mode is None and interval is not None):
        store.setdefault("indexing", {}).setdefault("interval", interval or "1h")


def _lift_directory(document: Document, where: Where, source: dict[str, Any]) -> None:
    """`directory: docs`, `directory: {path: docs}`."""
    inner = source.get("directory")
    if isinstance(inner, str) and "path" not in source:
        document.move((*where, "directory"), (*where, "path"))
    elif isinstance(inner, dict) and not inner.keys() & source.keys():
        for key in list(inner):
            document.move((*where, "directory", key), (*where, key))
        del source["directory"]


def _guessed(source: Mapping[str, Any]) -> str:
    for kind in (*_KINDS, "collection"):
        if kind in source:
            return kind
    if "url" in source:
        found = _kind_of_address(str(source["url"]))
        return "api" if found == "directory" else found
    if {"tables", "query", "dsn"} & source.keys():
        return "sql"
    return "git" if "urls" in source else "directory"
