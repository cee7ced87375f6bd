"""The one HTTP loop of all wire formats: send, read, try again where that makes sense, give up with a clear text.

A call is tried again only while nothing of an answer has been handed on. What is tried again: states that pass
(overload, rate limits, broken connections, answers cut off, within `RetryPolicy`), once a request without a parameter
that the provider refuses by name, and once an answer of no use.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, assert_never

from hector.config.llms import LlmBase
from hector.core.clock import Clock, SystemClock
from hector.core.errors import ConfigError, ModelError, ModelRejected, ModelUnavailable
from hector.core.event import Delta
from hector.core.ports import ModelReply, ModelRequest
from hector.models.faults import read_fault, rejected_parameter
from hector.models.sound import Mender, sound
from hector.models.wire import REPLAY, AskAgain, Decoder, HttpCall, Wire
from hector.net.caller import Answer, Caller, CallerOptions, open_caller, origin_of
from hector.net.errors import BadRequestHead, ConnectFailed, NetError, NetTimeout, ProxyFailed, TlsFailed
from hector.net.ndjson import NdjsonDecoder
from hector.net.retry import Failure, GiveUp, Retry, RetryPolicy
from hector.net.sse import SseDecoder
from hector.observe.redact import redact, remember

_log: Final = logging.getLogger("hector.models")
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_JSON_HEADERS: Final = {"content-type": "application/json"}

ANSWER_LIMIT: Final = 128 * 1024 * 1024
"""Bytes of one answer."""

ERROR_LIMIT: Final = 256 * 1024
"""Bytes that are read of an error answer; much less is ever shown."""

DRAIN_SECONDS: Final = 0.5
"""How long to wait for the orderly end of a stream that has said everything, so that its connection can be kept."""


_MALFORMED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What pure decoding raises on a document of another shape than promised."""


class _Framer(Protocol):
    """Cuts a stream into (event name, data)."""

    def feed(self, data: bytes) -> Iterable[tuple[str | None, str]]: ...

    def finish(self) -> Iterable[tuple[str | None, str]]: ...


class _Lines:
    """NDJSON as a framer."""

    def __init__(self) -> None:
        self._lines = NdjsonDecoder()

    def feed(self, data: bytes) -> Iterable[tuple[str | None, str]]:
        return [(None, line) for line in self._lines.feed(data)]

    def finish(self) -> Iterable[tuple[str | None, str]]:
        return [(None, line) for line in self._lines.finish()]


class _ParameterRefused(ModelRejected):
    """The provider refuses a parameter that can be left out."""

    def __init__(self, error: ModelRejected, parameter: str) -> None:
        super().__init__(str(error), status=error.status)
        self.parameter = parameter


@dataclass(slots=True)
class _Tries:
    """What has been tried for one request."""

    dropped: frozenset[str]
    failures: int = 0
    asked_again: bool = False


class HttpModel:
    """A ChatModel over one wire format and one server."""

    def __init__(
        self,
        wire: Wire,
        open_caller: Callable[[], Caller],
        retry: RetryPolicy,
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,  # noqa: S311 - spreads load, guards nothing
    ) -> None:
        """`open_caller` runs at the first call; `chance` gives numbers from 0 to 1 for the jitter of waits."""
        self._wire = wire
        self._open_caller = open_caller
        self._caller: Caller | None = None
        self._retry = retry
        self._clock = clock or SystemClock()
        self._chance = chance
        self._refused: frozenset[str] = frozenset()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole turn at once. Raises ModelError."""
        tries = _Tries(self._refused)
        while True:
            try:
                reply = await self._complete(request, tries.dropped)
            except ModelError as error:
                if (settled := await self._recover(error, tries)) is not None:
                    return settled
            else:
                self._remember(tries)
                return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """Deltas as they arrive, then the reply. Raises ModelError. Closing the generator closes the connection."""
        tries = _Tries(self._refused)
        while True:
            shown = False
            try:
                async with contextlib.aclosing(self._stream(request, tries.dropped)) as items:
                    async for item in items:
                        shown = True
                        yield item
            except ModelError as error:
                if (settled := await self._recover(error, tries, shown=shown)) is not None:
                    yield settled
                    return
            else:
                self._remember(tries)
                return

    async def aclose(self) -> None:
        """Close every connection."""
        if self._caller is not None:
            await self._caller.aclose()

    async def _complete(self, request: ModelRequest, dropped: frozenset[str]) -> ModelReply:
        call = self._wire.encode(request, stream=False, dropped=dropped)
        try:
            async with await self._send(call) as answer:
                body = await answer.read(ANSWER_LIMIT)
        except NetError as error:
            raise self._net_error(error) from error
        return self._decoded(body, call, answer)

    async def _stream(
        self, request: ModelRequest, dropped: frozenset[str]
    ) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        call = self._wire.encode(request, stream=True, dropped=dropped)
        decoder = self._wire.decoder(call)
        lost: NetError | None = None
        try:
            async with await self._send(call) as answer:
                if self._is_whole(answer):
                    yield self._decoded(await answer.read(ANSWER_LIMIT), call, answer)
                    return
                async with contextlib.aclosing(self._deltas(answer, decoder)) as found:
                    async for deltas in found:
                        yield deltas
        except NetError as error:
            lost = error
        yield self._ended(decoder, lost)

    def _ended(self, decoder: Decoder, lost: NetError | None) -> ModelReply:
        """The reply of a stream. A connection that was lost after the terminal event does no harm."""
        if lost is None:
            return self._contained(decoder.finish)
        try:
            return self._contained(decoder.finish)
        except AskAgain:
            raise
        except ModelError:
            raise self._net_error(lost) from lost

    async def _send(self, call: HttpCall) -> Answer:
        """The answer to one POST, if its status is good. Raises NetError, and ModelError for any other status."""
        if self._caller is None:
            self._caller = self._opened()
        body = _encode(call.body).encode("utf-8", "replace")
        headers = {**_JSON_HEADERS, **call.headers} if call.headers else _JSON_HEADERS
        answer = await self._caller.send("POST", call.path, body=body, headers=headers)
        if 200 <= answer.status < 300:
            return answer
        raise self._refusal(answer.status, answer.headers, await _beginning(answer))

    def _opened(self) -> Caller:
        try:
            return self._open_caller()
        except ConfigError as error:
            raise ModelRejected(f"{self._wire.label}: {redact(str(error))}") from error

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """What an answer of a bad status means; a refused parameter that can be left out is told apart."""
        error = _redacted(self._wire.error(status, headers, body))
        if type(error) is ModelRejected and status in {400, 422}:
            fault = read_fault(status, headers, body)
            parameter = rejected_parameter(f"{fault.param} {fault.message}", self._wire.droppable)
            if parameter is not None:
                return _ParameterRefused(error, parameter)
        return error

    def _is_whole(self, answer: Answer) -> bool:
        """The server sent one document although a stream was asked for."""
        kind = answer.headers.get("content-type", "")
        return kind.startswith("text/html") or (self._wire.framing == "sse" and kind.startswith("application/json"))

    def _decoded(self, body: bytes, call: HttpCall, answer: Answer) -> ModelReply:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._not_understood(f"{answer.headers.get('content-type', 'no type')}: {_glimpse(body)}")
        return self._contained(lambda: self._wire.decode(document, call))

    async def _deltas(self, answer: Answer, decoder: Decoder) -> AsyncGenerator[tuple[Delta, ...], None]:
        """What the stream brings, one tuple per network read that brings anything. Ends at the terminal event."""
        cut: _Framer = _Lines() if self._wire.framing == "ndjson" else SseDecoder()
        mender = Mender()
        size = 0
        pieces = aiter(answer)
        async for piece in pieces:
            size += len(piece)
            if size > ANSWER_LIMIT:
                raise ModelRejected(f"{self._wire.label}: the answer is longer than {ANSWER_LIMIT >> 20} MiB")
            if deltas := self._fed(decoder, cut.feed(piece), mender):
                yield deltas
            if decoder.done:
                await _drain(pieces)
                return
        if deltas := self._fed(decoder, cut.finish(), mender):
            yield deltas

    def _fed(self, decoder: Decoder, events: Iterable[tuple[str | None, str]], mender: Mender) -> tuple[Delta, ...]:
        deltas: list[Delta] = []
        try:
            for event, data in events:
                deltas += decoder.feed(event, data)
            deltas = mender.feed(deltas)
        except _MALFORMED as error:
            raise self._not_understood(f"{type(error).__name__}: {error}") from error
        except ModelError as error:
            raise _redacted(error) from error
        return tuple(deltas)

    def _contained(self, read: Callable[[], ModelReply]) -> ModelReply:
        """`read()`, with whatever it stumbles over in a foreign document turned into a ModelError."""
        try:
            return sound(read())
        except _MALFORMED as error:
            raise self._not_understood(f"{type(error).__name__}: {error}") from error
        except ModelError as error:
            raise _redacted(error) from error

    def _not_understood(self, what: str) -> ModelUnavailable:
        text = f"{self._wire.label}: the answer is not in the expected form ({what}); check `base_url` and `provider`"
        return ModelUnavailable(redact(text))

    def _net_error(self, error: NetError) -> ModelError:
        """The same failure, said of this model and with what to do about it."""
        kind = ModelUnavailable if error.retryable else ModelError
        return kind(redact(f"{self._wire.label}: {error}{_advice(error)}"))

    async def _recover(self, error: ModelError, tries: _Tries, *, shown: bool = False) -> ModelReply | None:
        """Get ready for the next try: None. Or the reply to be content with. Or raise `error`: no try is left."""
        if isinstance(error, AskAgain):
            reply = error.reply
            if shown or tries.asked_again:
                return self._contained(lambda: reply)
            tries.asked_again = True
            return None
        if shown:
            raise error
        if isinstance(error, _ParameterRefused) and error.parameter not in tries.dropped:
            _log.info("%s: asking again without %r, which was refused", self._wire.label, error.parameter)
            tries.dropped |= {error.parameter}
            return None
        await self._wait(error, tries)
        return None

    async def _wait(self, error: ModelError, tries: _Tries) -> None:
        """Until the time of the next try. Raises `error` when there is to be none."""
        tries.failures += 1
        failure = Failure(asked=error.retry_after, retryable=error.retryable)  # the class has judged the status
        match self._retry.decide(failure, tries.failures, chance=self._chance):
            case Retry(delay):
                _log.warning("%s; trying again in %.1f s", error, delay)
                await self._clock.sleep(delay)
            case GiveUp(reason):
                if error.retryable:
                    error.args = (f"{error} ({reason})",)
                raise error
            case decision:
                assert_never(decision)

    def _remember(self, tries: _Tries) -> None:
        """Later requests leave out at once what this server has refused for this model."""
        self._refused |= tries.dropped - {REPLAY}


def connect(wire: Wire, llm: LlmBase, *, base_url: str, headers: Mapping[str, str], secret: str = "") -> HttpModel:
    """The model of one configuration section. `headers` are the format's own; those of the section win over them.

    Opens no connection. From now on `secret` is left out of every log line and error text. Raises ConfigError.
    """
    origin_of(base_url)
    remember(secret)
    options = CallerOptions(
        base_url=base_url,
        headers={**headers, **{name.lower(): value for name, value in llm.headers.items()}},
        proxy=llm.proxy,
        ca_bundle=llm.ca_bundle,
        connect_timeout=llm.connect_timeout,
        read_timeout=llm.timeout,
    )
    retry = RetryPolicy(
        max_attempts=llm.retry.max_attempts,
        initial_delay=llm.retry.initial_delay,
        max_delay=llm.retry.max_delay,
        patience=llm.retry.max_delay,
    )
    return HttpModel(wire, partial(open_caller, options), retry)


async def _beginning(answer: Answer) -> bytes:
    """Up to ERROR_LIMIT bytes of an error answer; what came before the connection broke will do."""
    body = b""
    async with answer:
        with contextlib.suppress(NetError):
            async for piece in answer:
                body += piece
                if len(body) >= ERROR_LIMIT:
                    break
    return body


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read to the end of a stream that has said everything, within DRAIN_SECONDS."""
    with contextlib.suppress(TimeoutError, NetError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in pieces:
                pass


def _redacted(error: ModelError) -> ModelError:
    """The same error, with configured secrets taken out of its text."""
    error.args = (redact(str(error)),)
    return error


def _glimpse(body: bytes) -> str:
    """The beginning of a body that should have been JSON."""
    return " ".join(body[:200].decode("utf-8", "replace").split()) or "empty"


def _advice(error: NetError) -> str:
    match error:
        case TlsFailed():
            return " (check `base_url`, and `ca_bundle` for a private certificate authority)"
        case ProxyFailed():
            return " (check `proxy`)"
        case ConnectFailed():
            return " (is the server running? check `base_url`)"
        case NetTimeout(phase="connect"):
            return " (check `base_url` and `proxy`, or raise `connect_timeout`)"
        case NetTimeout():
            return " (raise `timeout` if this model needs longer)"
        case BadRequestHead():
            return " (check `api_key` and `headers`)"
        case _:
            return ""
