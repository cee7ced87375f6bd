"""The fake provider: one real socket, every dialect behind it, strict about what it takes, scripted in what it gives.

Unscripted it answers "echo: <last words>"; the words `call NAME {json}` make it call a tool first. Over the wire it is
scripted with `POST /_fake/script` (a JSON list of turns); `GET /_fake/log` shows what it saw and refused.
"""

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

from tests.models.fakeprovider.dialect import Dialect, Refusal, Seen
from tests.models.fakeprovider.turn import Call, Turn

_CALL: Final = re.compile(r"call ([\w.:/-]+) ?(\{.*\})?", re.DOTALL)
_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class FakeProvider:
    """Use as an async context manager; `url` is then its address."""

    def __init__(self, dialects: Sequence[Dialect], port: int = 0) -> None:
        self._dialects = tuple(dialects)
        self._port = port
        self._server: asyncio.Server | None = None
        self._script: deque[Turn] = deque()
        self._handlers: set[asyncio.Task[None]] = set()
        self._connections = 0
        self.default: Turn | None = None
        self.seen: list[Seen] = []
        self.refusals: list[Refusal] = []
        self.asked = asyncio.Event()
        """Set when the first request has come."""
        self.gone = asyncio.Event()
        """Set when a client went away before its answer was complete."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=2**26)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._handlers:
            task.cancel()
        while self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections were ever accepted."""
        return self._connections

    def script(self, *turns: Turn) -> None:
        """Answer the next requests like this, one turn each."""
        self._script.extend(turns)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer, self._connections)
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while request := await _read(reader, number):
            if request.path.startswith("/_fake/"):
                _write_whole(writer, 200, self._control(request), {}, "application/json")
                continue
            self.seen.append(request)
            self.asked.set()
            if not await self._answer(request, reader, writer):
                return

    def _control(self, request: Seen) -> bytes:
        if request.path == "/_fake/script":
            self.script(*(Turn.from_json(turn) for turn in request.body))
        return json.dumps(
            {
                "requests": [{"path": seen.path, "body": seen.body} for seen in self.seen],
                "refusals": [asdict(refusal) for refusal in self.refusals],
                "pending": len(self._script),
            }
        ).encode()

    async def _answer(self, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        dialect = next((found for found in self._dialects if found.handles(request)), None)
        if dialect is None:
            _write_whole(writer, 404, b"<html><h1>404 Not Found</h1></html>", {}, "text/html")
            return True
        try:
            dialect.check(request)
        except Refusal as refusal:
            self.refusals.append(refusal)
            _write_whole(writer, refusal.status, dialect.error(refusal), refusal.headers, "application/json")
            return True
        turn = self._next(request, dialect)
        await asyncio.sleep(turn.first_delay)
        if turn.hang_up:
            return False
        if turn.raw is None and turn.status == 200 and dialect.streams(request):
            return await self._stream(dialect, request, turn, reader, writer)
        return await self._whole(dialect, request, turn, reader, writer)

    def _next(self, request: Seen, dialect: Dialect) -> Turn:
        if self._script:
            return self._script.popleft()
        if self.default is not None:
            return self.default
        words = dialect.last_words(request)
        found = _CALL.fullmatch(words.strip())
        return Turn(calls=(Call(found[1], found[2] or "{}"),)) if found else Turn(text=f"echo: {words}")

    async def _whole(
        self, dialect: Dialect, request: Seen, turn: Turn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if turn.raw is not None:
            body = turn.raw.encode()
        elif turn.status >= 400:
            body = dialect.error(_refusal(turn))
        else:
            body = dialect.body(request, turn)
        cut = turn.cut if turn.cut is not None else turn.stall
        _write_whole(writer, turn.status, body, turn.headers, turn.content_type or "application/json", cut)
        await writer.drain()
        if turn.stall is not None:
            await self._wait_for_leave(reader)
        return not turn.close and cut is None

    async def _stream(
        self, dialect: Dialect, request: Seen, turn: Turn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        _write_head(
            writer, 200, {**turn.headers, "transfer-encoding": "chunked"}, turn.content_type or dialect.stream_type
        )
        for index, event in enumerate(dialect.events(request, turn)):
            if turn.malform == index:
                _write_chunk(writer, b"{broken\n" if "ndjson" in dialect.stream_type else b"data: {broken\n\n")
            if turn.fail == index:
                _write_chunk(writer, dialect.stream_error(_refusal(turn)))
                break
            if turn.truncate == index:
                break
            if turn.cut == index:
                return False
            if turn.stall == index:
                return await self._wait_for_leave(reader)
            await self._write_event(writer, dialect, turn, event)
        if turn.linger:
            return await self._wait_for_leave(reader)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not turn.close

    async def _write_event(self, writer: asyncio.StreamWriter, dialect: Dialect, turn: Turn, event: bytes) -> None:
        if turn.noise:
            _write_chunk(writer, dialect.noise())
            for at in range(0, len(event), 7):
                _write_chunk(writer, event[at : at + 7])
                await asyncio.sleep(0)
        else:
            _write_chunk(writer, event)
        try:
            await writer.drain()
            if turn.pace:
                await asyncio.sleep(turn.pace)
        except ConnectionError:
            self.gone.set()
            raise

    async def _wait_for_leave(self, reader: asyncio.StreamReader) -> bool:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass
        self.gone.set()
        return False


def _refusal(turn: Turn) -> Refusal:
    status = turn.status if turn.status >= 400 else 500
    return Refusal(status, turn.message or "scripted failure", turn.kind, turn.code, turn.param, turn.headers)


async def _read(reader: asyncio.StreamReader, number: int) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = re.sub(r"^http://[^/]+", "", target).partition("?")  # a whole address: we are taken for a proxy
    return Seen(method, path, query, headers, _json(body), number)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", errors="replace")


def _write_head(writer: asyncio.StreamWriter, status: int, headers: Any, content_type: str) -> None:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}", f"content-type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


def _write_whole(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: Any, content_type: str, cut: int | None = None
) -> None:
    _write_head(writer, status, {**headers, "content-length": str(len(body))}, content_type)
    writer.write(body[:cut])


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
