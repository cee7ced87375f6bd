"""Connections to a PostgreSQL database that holds vectors: made when they are needed, made again when they are lost."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import StoreError, StoreUnavailable
from hector.store.postgres_connection import connect_vectors
from hector.store.postgres_faults import translate
from hector.store.postgres_link import is_lost
from hector.store.queries import load
from hector.store.vectors_pgvector_shape import Extension

if TYPE_CHECKING:
    Raw = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

CONNECTIONS: Final = 4
"""That one index has open at most: one writes, the others search."""
_GIVEN: Final = {
    "42501": "this user lacks a right: GRANT CREATE, USAGE ON SCHEMA {schema} TO it, or name another schema",
    "3F000": "there is no schema {schema}: create it, or name another one",
    "42P01": "the table of these vectors is gone: start again, and index with --force",
}


class Lines:
    """Of one index. `extension` is what is known of pgvector there, once somebody has looked."""

    def __init__(self, address: PostgresAddress, timeout: float, schema: str) -> None:
        """`timeout`: seconds of a statement."""
        self.extension: Extension | None = None
        self._address, self._timeout, self._schema = address, timeout, schema
        self._sql = load("vectors/pgvector", "postgres")
        self._idle: list[Raw] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._closed = False

    def known(self) -> Extension:
        """Raises StoreError where nobody has looked."""
        if self.extension is None:
            raise StoreError(f"the vectors in PostgreSQL at {self._address.place} were not opened")
        return self.extension

    async def aclose(self) -> None:
        """Close all of them."""
        self._closed = True
        while self._idle:
            raw = self._idle.pop()
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await raw.close(timeout=2.0)

    async def run(self, work: "Callable[[Raw], Awaitable[T]]", *, plain: bool = False) -> T:
        """On a connection; once more on a new one where an old one turns out to be lost."""
        for fresh in (False, True):
            try:
                async with self._lent(fresh=fresh, plain=plain) as raw:
                    return await work(raw)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                if fresh or not isinstance(error, _Stale):
                    raise self._explained(error) from None
        raise StoreError("nothing was asked")

    @asynccontextmanager
    async def _lent(self, *, fresh: bool, plain: bool) -> "AsyncIterator[Raw]":
        async with self._turns:
            old = bool(self._idle) and not fresh and not plain
            raw = self._idle.pop() if old else await self._connected(plain=plain)
            try:
                yield raw
            except BaseException as error:
                if not isinstance(error, Exception) or is_lost(raw, error):
                    raw.terminate()
                    if old and isinstance(error, Exception) and not isinstance(error, TimeoutError):
                        raise _Stale(str(error)) from None
                else:
                    self._keep(raw, plain=plain)
                raise
            self._keep(raw, plain=plain)

    def _keep(self, raw: "Raw", *, plain: bool) -> None:
        if plain or self._closed or raw.is_closed():
            raw.terminate()
        else:
            self._idle.append(raw)

    async def _connected(self, *, plain: bool) -> "Raw":
        """`plain`: nothing is known of the extension yet."""
        raw = await connect_vectors(self._address, self._timeout)
        if plain:
            return raw
        try:
            await self._settle(raw)
        except BaseException:
            raw.terminate()
            raise
        return raw

    async def _settle(self, raw: "Raw") -> None:
        extension = self.known()
        await raw.set_type_codec("vector", schema=extension.schema, encoder=_packed, decoder=_unpacked, format="binary")
        await raw.execute(self._sql["settle"])
        if extension.iterates:
            await raw.execute(self._sql["settle_iterating"])

    def _explained(self, error: Exception) -> Exception:
        state = getattr(error, "sqlstate", None) or ""
        told = f"PostgreSQL at {self._address.place}"
        if isinstance(error, asyncpg.QueryCanceledError):
            return StoreUnavailable(f"{told}: a statement took longer than {self._timeout:g} s (timeout)")
        if state in _GIVEN:
            return StoreError(f"{told}: {_GIVEN[state].format(schema=self._schema or 'of the search path')}")
        if isinstance(error, asyncpg.PostgresError) and state[:2] in ("22", "42", "0A", "54"):
            return StoreError(f"{told}: {error}")
        return translate(error, self._address.place)


class _Stale(OSError):  # noqa: N818 - a state
    """A connection that had been lost while nobody used it."""


def _packed(vector: bytes) -> bytes:
    """Little-endian float32 as pgvector sends and takes it: 16 bits for how many, 16 that are 0, big-endian float32."""
    numbers = array("f", vector)
    numbers.byteswap()
    return len(numbers).to_bytes(2, "big") + b"\0\0" + numbers.tobytes()


def _unpacked(sent: bytes) -> bytes:
    numbers = array("f", bytes(sent[4:]))
    numbers.byteswap()
    return numbers.tobytes()
