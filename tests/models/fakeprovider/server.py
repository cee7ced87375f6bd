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
from typing import Final, Self

from tests.httpserver import END, HttpServer, write_chunk, write_head, write_whole
from tests.models.fakeprovider.dialect import Dialect, Refusal, Seen
from tests.models.fakeprovider.turn import Call, Turn

_CALL: Final = re.compile(r"call ([\w.:/-]+) ?(\{.*\})?", re.DOTALL)


class FakeProvider:
    """Use as an async context manager; `url` is then its address."""

    def __init__(self, dialects: Sequence[Dialect], port: int = 0) -> None:
        self._dialects = tuple(dialects)
        self._server = HttpServer(self._take, port)
        self._script: deque[Turn] = deque()
        self.default: Turn | None = None
        self.seen: list[Seen] = []
        self.refusals: list[Refusal] = []
        self.asked = asyncio.Event()
        """Set when the first request has come."""
        self.gone = asyncio.Event()
        """Set when a client went away before its answer was complete."""

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return self._server.url

    @property
    def connections(self) -> int:
        """How many connections were ever accepted."""
        return self._server.connections

    def script(self, *turns: Turn) -> None:
        """Answer the next requests like this, one turn each."""
        self._script.extend(turns)

    async def _take(self, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if request.path.startswith("/_fake/"):
            write_whole(writer, 200, self._control(request))
            return True
        self.seen.append(request)
        self.asked.set()
        return await self._answer(request, reader, writer)

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
            write_whole(writer, 404, b"<html><h1>404 Not Found</h1></html>", {}, "text/html")
            return True
        try:
            dialect.check(request)
        except Refusal as refusal:
            self.refusals.append(refusal)
            write_whole(writer, refusal.status, dialect.error(refusal), refusal.headers, "application/json")
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
        write_whole(writer, turn.status, body, turn.headers, turn.content_type or "application/json", cut)
        await writer.drain()
        if turn.stall is not None:
            await self._wait_for_leave(reader)
        return not turn.close and cut is None

    async def _stream(
        self, dialect: Dialect, request: Seen, turn: Turn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        write_head(
            writer, 200, {**turn.headers, "transfer-encoding": "chunked"}, turn.content_type or dialect.stream_type
        )
        for index, event in enumerate(dialect.events(request, turn)):
            if turn.malform == index:
                write_chunk(writer, b"{broken\n" if "ndjson" in dialect.stream_type else b"data: {broken\n\n")
            if turn.fail == index:
                write_chunk(writer, dialect.stream_error(_refusal(turn)))
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
        writer.write(END)
        await writer.drain()
        return not turn.close

    async def _write_event(self, writer: asyncio.StreamWriter, dialect: Dialect, turn: Turn, event: bytes) -> None:
        if turn.noise:
            write_chunk(writer, dialect.noise())
            for at in range(0, len(event), 7):
                write_chunk(writer, event[at : at + 7])
                await asyncio.sleep(0)
        else:
            write_chunk(writer, event)
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
