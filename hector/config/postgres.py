"""The address of a PostgreSQL database: `postgres://user:password@host:port/database?option=value`, taken apart."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from hector.core.record import dataclass

SCHEMES: Final = ("postgres", "postgresql", "pgx")
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PORT: Final = 5432
MAX_CONNS: Final = 16
LEAST_CONNS: Final = 4
"""One that listens, one that reads, two that write: a commit may wait for the disk while the next one fills."""


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """Where the database is and how to talk to it. Times are seconds.

    What is None is found as PostgreSQL's own programs find it: PGUSER, PGPASSWORD, ~/.pgpass, the system's user.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str | None = None
    user: str | None = None
    password: str | None = None
    ssl_mode: str = "disable"
    ssl_root_cert: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    connect_timeout: float = 5.0
    statement_timeout: float = 30.0
    max_conns: int = MAX_CONNS
    application_name: str = "hector"
    search_path: str | None = None
    synchronous_commit: str | None = None

    @property
    def is_local(self) -> bool:
        """Nothing leaves this machine."""
        return all(_is_local(host) for host, _ in self.hosts)

    def __repr__(self) -> str:
        return f"PostgresAddress({self.place})"

    @property
    def place(self) -> str:
        """For people: no password in it."""
        hosts = ",".join(f"{_bracketed(host)}:{port}" for host, port in self.hosts)
        return f"{self.user + '@' if self.user else ''}{hosts}/{self.database or ''}"


def _is_local(host: str) -> bool:
    return host.startswith(("/", "127.")) or host in ("localhost", "::1")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise ValueError
    return value


def _milliseconds(text: str) -> float:
    """PostgreSQL's own unit for this setting, unless another one is written."""
    for unit, factor in (("ms", 0.001), ("min", 60.0), ("s", 1.0)):
        if text.endswith(unit):
            return _seconds(str(float(text.removesuffix(unit)) * factor))
    return _seconds(str(float(text) / 1000))


def _size(text: str) -> int:
    if not LEAST_CONNS <= int(text) <= 1000:
        raise ValueError
    return int(text)


def _ssl_mode(text: str) -> str:
    mode = text.lower().replace("_", "-")
    if mode not in SSL_MODES:
        raise ValueError
    return mode


def _commit(text: str) -> str:
    if text not in ("on", "off", "local", "remote_write", "remote_apply"):
        raise ValueError
    return text


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any], str]]] = {
    "sslmode": ("ssl_mode", _ssl_mode, ", ".join(SSL_MODES)),
    "sslrootcert": ("ssl_root_cert", str, "a file, or system"),
    "sslcert": ("ssl_cert", str, "a file"),
    "sslkey": ("ssl_key", str, "a file"),
    "connect_timeout": ("connect_timeout", _seconds, "seconds"),
    "statement_timeout": ("statement_timeout", _milliseconds, "milliseconds, or a number with ms, s or min"),
    "max_conns": ("max_conns", _size, f"a whole number from {LEAST_CONNS} to 1000"),
    "pool_max_conns": ("max_conns", _size, f"a whole number from {LEAST_CONNS} to 1000"),
    "application_name": ("application_name", str, "a name"),
    "search_path": ("search_path", str, "a schema"),
    "synchronous_commit": ("synchronous_commit", _commit, "on, off, local, remote_write, remote_apply"),
    "user": ("user", str, "a name"),
    "dbname": ("database", str, "a name"),
}


def is_postgres(dsn: str) -> bool:
    """Whether an address is meant for PostgreSQL."""
    return dsn.partition("://")[0].lower() in SCHEMES and "://" in dsn


def parse(dsn: str) -> PostgresAddress:
    """Take an address apart. Raises ValueError with a text that shows no value of it."""
    _, _, rest = dsn.partition("://")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    userinfo, at_sign, hosts = authority.rpartition("@")
    if "#" in dsn or "/" in path:
        raise ValueError("a user, password or name with one of : / ? # @ in it must be percent-encoded (/ is %2F)")
    options = _options(query)
    user, _, password = userinfo.partition(":")
    if at_sign:
        options.setdefault("user", unquote(user) or None)
        options.setdefault("password", unquote(password) or None)
    if path:
        options.setdefault("database", unquote(path))
    port = options.pop("port", None)
    options["hosts"] = _hosts(options.pop("host", None) or unquote(hosts), port)
    return PostgresAddress(**options)


def _options(query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in ("host", "port"):
            found[key] = value
            continue
        if key == "password":
            raise ValueError("the password stands before the @ of a PostgreSQL address, not among its options")
        if key not in _OPTIONS:
            allowed = ", ".join(sorted(_OPTIONS))
            raise ValueError(f"{key!r} is not an option of a PostgreSQL address: allowed are host, port, {allowed}")
        name, check, allowed = _OPTIONS[key]
        try:
            found[name] = check(value)
        except ValueError:
            raise ValueError(f"the option {key} of the PostgreSQL address must be {allowed}") from None
    return found


def _hosts(text: str, port: str | None) -> tuple[tuple[str, int], ...]:
    """Several hosts, with commas, are tried in order: the one that takes writes is used."""
    hosts = (text or os.environ.get("PGHOST") or "localhost").split(",")
    ports = (port or os.environ.get("PGPORT") or str(PORT)).split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError("the PostgreSQL address has another number of ports than of hosts")
    return tuple(_host(host, ports[min(number, len(ports) - 1)]) for number, host in enumerate(hosts))


def _host(text: str, port: str) -> tuple[str, int]:
    host, _, after = text[1:].partition("]") if text.startswith("[") else (text, "", "")
    if text.startswith("["):
        port = after.removeprefix(":") or port
    elif not text.startswith("/") and ":" in text:
        host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("the host and port of the PostgreSQL address must look like db.example.com:5432")
    return host, int(port)


def compose(hosts: str, port: int | None, database: str, user: str | None, password: str | None,
            options: Mapping[str, str]) -> str:  # fmt: skip
    """The reverse of `parse`, from the keys of a `databases` block."""
    userinfo = f"{quote(user or '', safe='')}{':' + quote(password, safe='') if password else ''}"
    query = dict(options)
    if hosts.startswith("/"):  # a folder with the server's socket
        query["host"], hosts = hosts, ""
    place = f"{userinfo}{'@' if userinfo else ''}{hosts}{f':{port}' if port and hosts else ''}"
    if port and not hosts:
        query["port"] = str(port)
    return f"postgres://{place}/{quote(database, safe='')}{'?' + urlencode(query) if query else ''}"
