"""A closed-loop load client: N connections, each sending its next turn when the last one is complete.

Raw asyncio over kept-alive connections. A turn counts only when every token came back, in order, for its own question;
anything else raises BadTurn and ends the run.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from bench.mock import TOKENS, answer_text

_TEXT: Final = re.compile(rb'"text": ?"((?:[^"\\]|\\.)*)"')
_STAMP: Final = re.compile(r"([a-z0-9-]*)@([0-9]+)")
_LENGTH: Final = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_SERIAL: Final = itertools.count(1)


class BadTurn(Exception):  # noqa: N818 - it is the server that errs
    """An answer was wrong or incomplete."""


@dataclass
class Turns:
    """What one run measured; times in seconds."""

    latencies: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    token_delays: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Turns per second."""
        return len(self.latencies) / self.elapsed


@dataclass(frozen=True)
class Target:
    """Where a turn goes. `render` makes the body from a nonce; `tokens` picks token texts from one event, as bytes."""

    port: int
    path: str
    render: Callable[[str], bytes]
    headers: str = ""
    pick: bytes = b""
    """Only events that hold this belong to the answer."""
    text: re.Pattern[bytes] = _TEXT


def a2a(port: int, path: str, *, stream: bool, headers: str = "") -> Target:
    """A turn in a new session over A2A 1.0 JSON-RPC, with these header lines besides."""
    method = "SendStreamingMessage" if stream else "SendMessage"

    def render(nonce: str) -> bytes:
        parts = [{"text": f"Say fifty words about {nonce}"}]
        message = {"messageId": nonce, "role": "ROLE_USER", "parts": parts}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}).encode()

    return Target(port, path, render, f"a2a-version: 1.0\r\n{headers}", b"artifactUpdate")


def model(port: int, *, stream: bool, paced: bool = False) -> Target:
    """A turn straight to the mock, for the client's and the mock's own share."""

    def render(nonce: str) -> bytes:
        messages = [{"role": "user", "content": f"Say fifty words about {nonce}"}]
        return json.dumps({"model": "paced" if paced else "mock", "stream": stream, "messages": messages}).encode()

    text = re.compile(rb'"content": ?"((?:[^"\\]|\\.)*)"')
    return Target(port, "/v1/chat/completions", render, pick=b'"content"', text=text)


class _Connection(asyncio.Protocol):
    """One kept-alive connection; `turn` sends a request and waits for the whole answer."""

    def __init__(self, target: Target, *, stream: bool, paced: bool, turns: Turns) -> None:
        self._target = target
        self._stream = stream
        self._paced = paced
        self._turns = turns
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._seen = 0
        self._head_end = 0
        self._length: int | None = None
        self._first = 0.0
        self._arrivals: list[tuple[int, int]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(BadTurn(f"the server closed the connection: {self._buffer[-300:]!r}"))
        self._closed.set_result(None)

    async def aclose(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()
        await self._closed

    def data_received(self, data: bytes) -> None:
        if self._stream:
            self._note(data)
        self._buffer += data
        if not self._head_end:
            self._head_end = self._buffer.find(b"\r\n\r\n") + 4
            if self._head_end < 4:
                self._head_end = 0
                return
            length = _LENGTH.search(self._buffer, 0, self._head_end)
            self._length = int(length[1]) if length else None
        if self._length is None:
            complete = self._buffer.endswith(b"0\r\n\r\n")
        else:
            complete = len(self._buffer) >= self._head_end + self._length
        if complete and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _note(self, data: bytes) -> None:
        """Times of arrival: of the first token always, of each stamp when paced."""
        if not self._first and self._target.pick in data and b"nonce-" in data:
            self._first = time.perf_counter()
        if self._paced:
            now = time.monotonic_ns()
            self._arrivals += [(now, int(stamp)) for stamp in re.findall(rb"@([0-9]+)", data)]

    async def turn(self) -> None:
        """One turn, checked."""
        if self._transport is None:
            raise BadTurn("not connected")
        nonce = f"nonce-{next(_SERIAL)}x"
        body = self._target.render(nonce)
        head = (
            f"POST {self._target.path} HTTP/1.1\r\nhost: 127.0.0.1:{self._target.port}\r\n{self._target.headers}"
            f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._buffer, self._head_end, self._first = b"", 0, 0.0
        self._arrivals.clear()
        self._waiter = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._transport.write(head.encode() + body)
        await self._waiter
        ended = time.perf_counter()
        self._verify(nonce)
        self._turns.latencies.append(ended - begun)
        if self._stream:
            self._turns.first_tokens.append(self._first - begun)
            self._turns.token_delays += [(now - sent) / 1e9 for now, sent in self._arrivals]

    def _verify(self, nonce: str) -> None:
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            raise BadTurn(f"no success: {self._buffer[:1000]!r}")
        text = self._text()
        if self._paced:
            stamps = _STAMP.findall(text)
            good = len(stamps) == TOKENS and stamps[0][0] == nonce and len(self._arrivals) >= TOKENS
        elif self._stream:
            good = text == answer_text(nonce)
        else:
            good = answer_text(nonce).encode() in self._buffer and (
                b"COMPLETED" in self._buffer or not self._target.headers
            )
        if not good:
            raise BadTurn(f"incomplete answer to {nonce}: {text!r} in {self._buffer[:6000]!r}")

    def _text(self) -> str:
        """The tokens of a stream, joined."""
        if not self._stream:
            return ""
        pick, text = self._target.pick, self._target.text
        pieces: list[bytes] = []
        for event in _dechunk(self._buffer[self._head_end :], chunked=self._length is None).split(b"\n\n"):
            if pick in event:
                pieces += text.findall(event)
        return b"".join(pieces).decode()


_SIZE_LINE: Final = re.compile(rb"([0-9a-fA-F]+)\r\n")


def _dechunk(body: bytes, *, chunked: bool) -> bytes:
    if not chunked:
        return body
    pieces: list[bytes] = []
    at = 0
    while (size := _SIZE_LINE.match(body, at)) and (length := int(size[1], 16)):
        pieces.append(body[size.end() : size.end() + length])
        at = size.end() + length + 2
    return b"".join(pieces)


async def load(target: Target, clients: int, seconds: float, *, stream: bool = False, paced: bool = False) -> Turns:
    """Run `clients` loops for about `seconds` (a turn that has begun is finished); at least one turn each."""
    turns = Turns()
    loop = asyncio.get_running_loop()

    async def one() -> None:
        _, connection = await loop.create_connection(
            lambda: _Connection(target, stream=stream, paced=paced, turns=turns), "127.0.0.1", target.port
        )
        try:
            while True:
                await connection.turn()
                if time.perf_counter() >= stop:
                    return
        finally:
            await connection.aclose()

    begun = time.perf_counter()
    stop = begun + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
    turns.elapsed = time.perf_counter() - begun
    return turns
