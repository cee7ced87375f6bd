"""Blocks under `databases`: older spellings, what belongs to which driver, what has no effect here."""

from typing import Any, Final

from hector.config import sqlite
from hector.config.document import Document, at, matches
from hector.config.findings import Where
from hector.config.postgres import SCHEMES, parse

SERVER_KEYS: Final = (
    *("host", "port", "username", "password", "ssl_mode", "ssl_root_cert", "ssl_cert", "ssl_key", "max_conns"),
    *("connect_timeout", "statement_timeout"),
)
"""Keys that only a database server has."""

IDLE: Final = ("max_idle", "max_idle_conns", "conn_max_lifetime", "conn_max_idle_time")
"""Settings of other connection pools."""


def unfold(document: Document) -> None:
    """An address (`dsn: sqlite://file`, `dsn: postgres://...`) is taken apart into the keys that it stands for."""
    for where in list(matches(document.value, "databases.*.database")):
        value, holder = at(document.value, where), at(document.value, where[:-1])
        if isinstance(value, str) and "://" in value:
            _unfold(document, where, value, holder)
    for where in list(matches(document.value, "databases.*.driver")):
        holder = at(document.value, where[:-1])
        if isinstance(holder["driver"], str) and holder["driver"].lower() in SCHEMES:
            document.written.setdefault(where, holder["driver"])
            holder["driver"] = "postgres"


def _unfold(document: Document, where: Where, value: str, holder: dict[str, Any]) -> None:
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in SCHEMES:
        document.written.setdefault(where, value)
        holder.setdefault("driver", {"sqlite3": "sqlite"}.get(scheme, scheme))
        holder["database"] = rest
        if holder["driver"] == "sqlite":
            _unfold_file(document, where, rest, holder)
        return
    document.written[where] = f"{scheme}://***"
    holder.setdefault("driver", "postgres")
    holder["database"] = "***"
    try:
        address = parse(value)
    except ValueError as error:
        document.report("range", where, str(error), allowed="postgres://user:password@host:5432/database")
        return
    hosts = ",".join(host for host, _ in address.hosts)
    ports = {port for _, port in address.hosts}
    found = {
        "host": hosts if len(ports) == 1 else ",".join(f"{host}:{port}" for host, port in address.hosts),
        "port": ports.pop() if len(ports) == 1 else None,
        "database": address.database,
        "username": address.user,
        "password": address.password,
        "ssl_mode": address.ssl_mode,
        "ssl_root_cert": address.ssl_root_cert,
        "ssl_cert": address.ssl_cert,
        "ssl_key": address.ssl_key,
        "max_conns": address.max_conns,
        "connect_timeout": address.connect_timeout,
        "statement_timeout": address.statement_timeout,
    }
    del holder["database"]
    for key, part in found.items():
        if part is not None:
            holder.setdefault(key, part)


def _unfold_file(document: Document, where: Where, rest: str, holder: dict[str, Any]) -> None:
    try:
        holder["database"], mode = sqlite.parse(rest)
    except ValueError as error:
        document.report("range", where, str(error), allowed="sqlite://path/to/file.db?synchronous=full")
        return
    if mode != sqlite.FLUSHES[0]:
        holder.setdefault("synchronous", mode)


def check(document: Document) -> None:
    """Keys of a server beside a file, a server without a host, and settings that nothing here corresponds to."""
    for where in list(matches(document.value, "databases.*")):
        block = at(document.value, where)
        if not isinstance(block, dict):
            continue
        for key in [key for key in IDLE if key in block]:
            message = f"{key!r} has no effect: Hector keeps connections open, and makes lost ones again"
            document.report("range", (*where, key), message, key=True, hint="remove it", severity="warning")
            del block[key]
        driver = block.get("driver", "sqlite")
        if driver == "sqlite":
            for key in [key for key in SERVER_KEYS if key in block]:
                message = f"{key!r} is for a database server, and the driver is sqlite"
                document.report("range", (*where, key), message, key=True, hint="remove it, or set driver: postgres")
                del block[key]
        elif "synchronous" in block:
            message = "'synchronous' is for SQLite; PostgreSQL has synchronous_commit in its address"
            document.report("range", (*where, "synchronous"), message, key=True, hint="remove it")
            del block["synchronous"]
        elif driver == "postgres" and "host" not in block and "database" in block and block["database"] != "***":
            hint = "name the host of the server, or the folder of its socket"
            document.report("missing", (*where, "host"), "the host of the server is missing", hint=hint)
