"""Requests to a service that holds documents: through hector/net, tried again as it asks, bounded in size and pace."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final, NoReturn

from hector.core.clock import SystemClock
from hector.core.errors import ConfigError
from hector.core.record import dataclass
from hector.net.call import Answer, CallerOptions
from hector.net.caller import open_caller
from hector.net.egress import EgressRefused
from hector.net.errors import NetError, ProtocolViolation
from hector.net.retry import Failure, Retry, RetryPolicy
from hector.rag.errors import SourceError, SourceRefused, Unreadable

_CLOCK: Final = SystemClock()
_TRIES: Final = RetryPolicy(max_attempts=4, initial_delay=0.3, max_delay=10.0, patience=60.0)
_COMPLAINT: Final = 1 << 20
"""Bytes of an answer that only says why not."""
_SHOWN: Final = 200
"""Characters of an answer that an error tells."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reach:
    """How a service is reached. `timeout` in seconds of silence; `pace`: requests per second at most, 0 for any."""

    origin: str
    timeout: float = 30.0
    proxy: str | None = None
    ca_bundle: str | None = None
    pace: float = 0.0


class Web:
    """One service. `sign` gives the headers of each try, since signatures hold for minutes only."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._caller = open_caller(
            CallerOptions(
                reach.origin, proxy=reach.proxy, ca_bundle=reach.ca_bundle, read_timeout=reach.timeout,
                purpose="retrieval",
            )
        )  # fmt: skip
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def ask(
        self, method: str, path: str, *, sign: Callable[[], Mapping[str, str]], body: bytes = b"", limit: int,
        passing: frozenset[int] = frozenset(),
    ) -> Reply:  # fmt: skip
        """One request; statuses of 400 and more raise SourceError, but those that are `passing`.

        Raises Unreadable for an answer of more than `limit` bytes.
        """
        attempt = 1
        while True:
            await self._wait_for_turn()
            reply, failure = await self._try(method, path, sign(), body, limit)
            if reply is not None and (reply.status < 300 or reply.status in passing):
                return reply
            decision = _TRIES.decide(failure, attempt)
            if not isinstance(decision, Retry):
                self._refuse(reply, failure)
            await asyncio.sleep(decision.delay)
            attempt += 1

    async def stream(self, method: str, path: str, *, sign: Callable[[], Mapping[str, str]], body: bytes) -> Answer:
        """One request whose answer is read by `pieces`; tried again until an answer begins. Raises SourceError."""
        attempt = 1
        while True:
            await self._wait_for_turn()
            reply: Reply | None = None
            try:
                answer = await self._caller.send(method, path, body=body, headers=sign())
                if answer.status < 300:
                    return answer
                reply = Reply(answer.status, answer.headers, await answer.read(_COMPLAINT))
                failure = Failure(reply.status, reply.headers, now=_CLOCK.now())
            except EgressRefused as error:
                raise SourceRefused(str(error)) from None
            except NetError as error:
                failure = _Cut(retryable=error.retryable, text=str(error))
            decision = _TRIES.decide(failure, attempt)
            if not isinstance(decision, Retry):
                self._refuse(reply, failure)
            await asyncio.sleep(decision.delay)
            attempt += 1

    async def pieces(self, answer: Answer, longest: float) -> AsyncGenerator[bytes]:
        """An answer as it arrives, for `longest` seconds at most. Raises SourceError where it breaks off."""
        until = time.monotonic() + longest
        try:
            async for piece in answer:
                yield piece
                if time.monotonic() > until:
                    raise SourceError(f"an answer of {self._reach.origin} takes more than {longest:.0f} seconds")
        except NetError as error:
            raise SourceError(f"an answer of {self._reach.origin} breaks off: {error}") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._caller.aclose()

    async def _try(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, limit: int
    ) -> tuple[Reply | None, Failure]:
        try:
            answer = await self._caller.send(method, path, body=body, headers=headers)
            reply = Reply(answer.status, answer.headers, await answer.read(limit))
        except ProtocolViolation as error:
            if "longer than" in str(error):
                raise Unreadable(f"it has more than {limit} bytes") from None
            raise SourceError(f"{self._reach.origin} gives no answer that can be read: {error}") from None
        except EgressRefused as error:
            raise SourceRefused(str(error)) from None
        except NetError as error:
            return None, _Cut(retryable=error.retryable, text=str(error))
        return reply, Failure(reply.status, reply.headers, now=_CLOCK.now())

    async def _wait_for_turn(self) -> None:
        if not self._reach.pace:
            return
        async with self._turn:
            wait = self._next - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._next = time.monotonic() + 1 / self._reach.pace

    def _refuse(self, reply: Reply | None, failure: Failure) -> NoReturn:
        origin = self._reach.origin
        if reply is None:
            raise SourceError(f"{origin} cannot be asked: {getattr(failure, 'text', '')}")
        said = " ".join(reply.body[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]
        if 300 <= reply.status < 400:
            where = reply.headers.get("location", "").partition("?")[0]
            raise SourceRefused(
                f"{origin} sends on to {where or 'elsewhere'}, which is not followed: name that address"
            )
        if reply.status in {401, 403}:
            raise SourceRefused(
                f"{origin} refuses access (status {reply.status}): check the credentials; it says {said!r}"
            )
        raise SourceError(f"{origin} answers with status {reply.status}: {said!r}")


@dataclass(frozen=True, slots=True)
class _Cut(Failure):
    """No answer at all."""

    text: str = ""


def opened(reach: Reach) -> Web:
    """Raises ConfigError for an address, proxy or CA bundle of no use."""
    try:
        return Web(reach)
    except EgressRefused as error:
        raise ConfigError(str(error)) from None
