"""From the bytes of an answer to deltas, a reply, or a ModelError that says whose fault it is and what to do."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Final, Protocol

from hector.core.errors import ModelError, ModelRejected, ModelUnavailable
from hector.core.event import Delta
from hector.core.ports import ModelReply
from hector.models.faults import glimpse, read_fault, rejected_parameter
from hector.models.sound import Mender, sound
from hector.models.wire import AskAgain, Decoder, HttpCall, Wire
from hector.net.call import Answer
from hector.net.errors import BadRequestHead, ConnectFailed, NetError, NetTimeout, ProxyFailed, TlsFailed
from hector.net.ndjson import NdjsonDecoder
from hector.net.sse import SseDecoder
from hector.observe.redact import redact

ANSWER_LIMIT: Final = 128 * 1024 * 1024
"""Bytes of one answer."""

ERROR_LIMIT: Final = 256 * 1024
"""Bytes that are read of an error answer; much less is ever shown."""

DRAIN_SECONDS: Final = 0.5
"""How long to wait for the orderly end of a stream that has said everything, so that its connection can be kept."""

_MALFORMED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
"""What pure decoding raises on a document of another shape than promised."""


class _Framer(Protocol):
    """Cuts a stream into (event name, data)."""

    def feed(self, data: bytes) -> Sequence[tuple[str | None, str]]: ...

    def finish(self) -> Sequence[tuple[str | None, str]]: ...


class _Lines:
    """NDJSON as a framer."""

    def __init__(self) -> None:
        self._lines = NdjsonDecoder()

    def feed(self, data: bytes) -> Sequence[tuple[str | None, str]]:
        return [(None, line) for line in self._lines.feed(data)]

    def finish(self) -> Sequence[tuple[str | None, str]]:
        return [(None, line) for line in self._lines.finish()]


class ParameterRefused(ModelRejected):
    """The provider refuses a parameter that can be left out."""

    def __init__(self, error: ModelRejected, parameter: str) -> None:
        super().__init__(str(error), status=error.status)
        self.parameter = parameter


class AnswerReader:
    """Reads the answers to one wire format's calls."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def refusal(self, answer: Answer) -> ModelError:
        """What an answer of a bad status means; a refused parameter that can be left out is told apart."""
        status, headers, body = answer.status, answer.headers, await _beginning(answer)
        error = self._wire.error(status, headers, body)
        _redact(error)
        if type(error) is ModelRejected and status in {400, 422}:
            fault = read_fault(status, headers, body)
            parameter = rejected_parameter(f"{fault.param} {fault.message}", self._wire.droppable)
            if parameter is not None:
                return ParameterRefused(error, parameter)
        return error

    def is_whole(self, answer: Answer) -> bool:
        """The server sent one document although a stream was asked for."""
        kind = answer.headers.get("content-type", "")
        return kind.startswith("text/html") or (self._wire.framing == "sse" and kind.startswith("application/json"))

    async def whole(self, answer: Answer, call: HttpCall) -> ModelReply:
        """The reply in an answer that is one document, which is closed then. Raises NetError and ModelError."""
        body = await answer.read(ANSWER_LIMIT)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._no_answer(answer, body)
        return self.contained(lambda: self._wire.decode(document, call))

    async def deltas(self, answer: Answer, decoder: Decoder) -> AsyncGenerator[tuple[Delta, ...], None]:
        """What the stream brings, one tuple per network read that brings anything. Ends at the terminal event."""
        cut: _Framer = _Lines() if self._wire.framing == "ndjson" else SseDecoder()
        mender = Mender()
        size, begun, beginning = 0, False, b""
        pieces = aiter(answer)
        async for piece in pieces:
            size += len(piece)
            if size > ANSWER_LIMIT:
                raise ModelRejected(f"{self._wire.label}: the answer is longer than {ANSWER_LIMIT >> 20} MiB")
            events = cut.feed(piece)
            if not begun:
                begun, beginning = bool(events), beginning or piece
            if deltas := self._fed(decoder, events, mender):
                yield deltas
            if decoder.done:
                await _drain(pieces)
                return
        events = cut.finish()
        if not (begun or events) and beginning.strip() and not beginning.startswith(b":"):
            raise self._no_answer(answer, beginning)
        if deltas := self._fed(decoder, events, mender):
            yield deltas

    def _fed(self, decoder: Decoder, events: Sequence[tuple[str | None, str]], mender: Mender) -> tuple[Delta, ...]:
        deltas: list[Delta] = []
        try:
            for event, data in events:
                deltas += decoder.feed(event, data)
            deltas = mender.feed(deltas)
        except _MALFORMED as error:
            raise self._not_understood(f"{type(error).__name__}: {error}") from error
        except ModelError as error:
            _redact(error)
            raise
        return tuple(deltas)

    def contained(self, read: Callable[[], ModelReply]) -> ModelReply:
        """`read()`, with whatever it stumbles over in a foreign document turned into a ModelError."""
        try:
            return sound(read())
        except _MALFORMED as error:
            raise self._not_understood(f"{type(error).__name__}: {error}") from error
        except ModelError as error:
            _redact(error)
            raise

    def _no_answer(self, answer: Answer, body: bytes) -> ModelUnavailable:
        """The error for a body that is something else altogether; its beginning is enough."""
        kind = answer.headers.get("content-type", "no type")
        return self._not_understood(f"{kind}: {glimpse(body[:ERROR_LIMIT].decode('utf-8', 'replace'))}")

    def _not_understood(self, what: str) -> ModelUnavailable:
        text = f"{self._wire.label}: the answer is not in the expected form ({what}); check `base_url` and `provider`"
        return ModelUnavailable(redact(text))

    def lost(self, error: NetError) -> ModelError:
        """The same failure, said of this model and with what to do about it."""
        kind = ModelUnavailable if error.retryable else ModelError
        return kind(redact(f"{self._wire.label}: {error}{_advice(error)}"))

    def ended(self, decoder: Decoder, lost: NetError | None) -> ModelReply:
        """The reply of a stream. A connection that was lost after the terminal event does no harm."""
        if lost is None:
            return self.contained(decoder.finish)
        try:
            return self.contained(decoder.finish)
        except AskAgain:
            raise
        except ModelError:
            raise self.lost(lost) from lost


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


def _redact(error: ModelError) -> None:
    """Take configured secrets out of its text."""
    error.args = (redact(str(error)),)


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
