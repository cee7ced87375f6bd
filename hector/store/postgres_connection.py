"""One connection to PostgreSQL, in the shape that units of work expect."""

import re
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from hector.config.postgres import PostgresAddress
from hector.core.errors import StartupError
from hector.net.egress import EgressRefused
from hector.net.gate import current
from hector.store.database import Row

if TYPE_CHECKING:
    from hector.net.policy import Purpose

_TOKEN: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\?(\d*)")
_WRITES: Final = re.compile(r"\b(?:INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE)
_LOCKS: Final = re.compile(r"\s+FOR\s+UPDATE(?:\s+OF\s+\w+(?:,\s*\w+)*)?(?:\s+SKIP\s+LOCKED)?\s*$", re.IGNORECASE)
SLACK: Final = 5.0
"""Seconds that a statement may take beyond the server's own limit before the connection is given up."""


class Statement(NamedTuple):
    """A statement as PostgreSQL takes it, the same without its row locks, and whether it may change rows."""

    sql: str
    unlocked: str
    writes: bool


@lru_cache(maxsize=2048)
def statement(sql: str) -> Statement:
    """`?` and `?3` become `$1` and `$3`; what stands in quotes stays."""
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        if not found[0].startswith("?"):
            return found[0]
        count += 1
        return f"${found[1] or count}"

    text = _TOKEN.sub(number, sql)
    unlocked = _LOCKS.sub("", text)
    return Statement(text, unlocked, bool(_WRITES.search(unlocked)))


@lru_cache(maxsize=256)
def _returning_key(sql: str) -> str:
    return f"{statement(sql).sql} RETURNING key"


class PostgresConnection:
    """Statements in the words of `database.Connection`, over asyncpg.

    `reading`: locks no rows, so that what is about to be changed elsewhere is read and not waited for.
    """

    __slots__ = ("raw", "reading")
    again: Final = False

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]", *, reading: bool = False) -> None:
        self.raw = raw
        self.reading = reading

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        count = (await self.raw.execute(statement(sql).sql, *args)).rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def send(self, sql: str, args: Sequence[Any] = ()) -> None:
        await self.raw.execute(statement(sql).sql, *args)

    async def insert(self, sql: str, args: Sequence[Any]) -> int:
        return await self.raw.fetchval(_returning_key(sql), *args) or 0

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        listed = list(rows)
        if len(listed) == 1:
            await self.raw.execute(statement(sql).sql, *listed[0])
        elif listed:
            await self.raw.executemany(statement(sql).sql, listed)

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        found = await self.all(sql, args)
        return found[0] if found else None

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        text, unlocked, _ = statement(sql)
        return [tuple(row) for row in await self.raw.fetch(unlocked if self.reading else text, *args)]

    async def notify(self, channel: str, payload: str = "") -> None:
        await self.raw.execute("SELECT pg_notify($1, $2)", channel, payload)


async def connect(address: PostgresAddress) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to the first host that takes writes. Raises what asyncpg raises; nobody waits for more than a while.

    Raises StartupError where the egress policy forbids one of the hosts.
    """
    await _admit(address, "database")
    settings = {
        "application_name": address.application_name,
        "statement_timeout": f"{round(address.statement_timeout * 1000)}",
        # A process that is stopped in the middle of a transaction must not keep its locks.
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "2s",
        "default_transaction_isolation": "read committed",
        # Every statement is small, asked again and again, and has an index: planning it anew or compiling it would take
        # longer than running it, and a table that was empty when the plan was made may grow: then what is read in the
        # order of an index and stops early must not have been planned as reading, and sorting, all there is.
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
    }
    if address.search_path:
        settings["search_path"] = address.search_path
    if address.synchronous_commit:
        settings["synchronous_commit"] = address.synchronous_commit
    return await asyncpg.connect(
        host=[host for host, _ in address.hosts],
        port=[port for _, port in address.hosts],
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=tls(address),
        timeout=address.connect_timeout,
        command_timeout=address.statement_timeout + SLACK,
        max_cached_statement_lifetime=0,
        statement_cache_size=256,
        server_settings=settings,
        target_session_attrs=SessionAttribute.read_write if len(address.hosts) > 1 else None,
    )


async def connect_reading(address: PostgresAddress, timeout: float) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to a database of others, in which nothing can be changed. `timeout`: seconds of one statement.

    Raises like `connect`.
    """
    await _admit(address, "retrieval")
    settings = {
        "application_name": f"{address.application_name} documents",
        "default_transaction_read_only": "on",
        "statement_timeout": f"{round(timeout * 1000)}",
        "idle_in_transaction_session_timeout": "10s",
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
    }
    if address.search_path:
        settings["search_path"] = address.search_path
    return await asyncpg.connect(
        host=[host for host, _ in address.hosts],
        port=[port for _, port in address.hosts],
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=tls(address),
        timeout=address.connect_timeout,
        command_timeout=timeout + SLACK,
        statement_cache_size=32,
        server_settings=settings,
    )


async def connect_vectors(address: PostgresAddress, timeout: float) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to a database that holds vectors, to the first host that takes writes. `timeout`: seconds of a statement.

    Raises like `connect`.
    """
    await _admit(address, "retrieval")
    settings = {
        "application_name": f"{address.application_name} vectors",
        "statement_timeout": f"{round(timeout * 1000)}",
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "5s",
        "standard_conforming_strings": "on",
    }
    if address.search_path:
        settings["search_path"] = address.search_path
    return await asyncpg.connect(
        host=[host for host, _ in address.hosts],
        port=[port for _, port in address.hosts],
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=tls(address),
        timeout=address.connect_timeout,
        command_timeout=timeout + SLACK,
        statement_cache_size=32,
        server_settings=settings,
        target_session_attrs=SessionAttribute.read_write if len(address.hosts) > 1 else None,
    )


async def _admit(address: PostgresAddress, purpose: "Purpose") -> None:
    """Have the egress policy judge all hosts. The driver looks their names up once more when it connects.

    Raises StartupError.
    """
    gate = current()
    for host, port in address.hosts:
        if host.startswith("/"):  # a socket of this machine
            continue
        with suppress(OSError):  # the driver says it better
            try:
                await gate.addresses(purpose, host, port)
            except EgressRefused as error:
                raise StartupError(f"the database cannot be opened: {error}") from None
        gate.traffic(purpose, host, port).attempt()


def tls(address: PostgresAddress) -> "ssl.SSLContext | Literal[False, 'allow', 'prefer']":
    """What `sslmode` means, as PostgreSQL's own library has it: `require` alone encrypts but trusts anybody."""
    mode = address.ssl_mode
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return "allow" if mode == "allow" else "prefer"
    if mode == "require" and not address.ssl_root_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _verifying(address)
    if address.ssl_cert:
        _load(address.ssl_cert, lambda: context.load_cert_chain(address.ssl_cert or "", address.ssl_key))
    return context


def _verifying(address: PostgresAddress) -> ssl.SSLContext:
    root = address.ssl_root_cert
    if root in (None, "system"):
        context = ssl.create_default_context()
    else:
        context = _load(root, lambda: ssl.create_default_context(cafile=root))
    context.check_hostname = address.ssl_mode == "verify-full" or root == "system"
    return context


def _load(file: str | None, read: Any) -> Any:
    try:
        return read()
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartupError(f"the TLS file {file} of the PostgreSQL address cannot be used: {reason}") from None
