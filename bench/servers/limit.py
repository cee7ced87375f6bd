"""Reference (b): the practical limit. Raw ASGI on uvicorn, two durable SQLite writes per turn, nothing else.

No sessions, no validation, no history, no errors worth the name. Both writes are awaited before the caller hears of
them; a writer thread commits whatever has come together (WAL, synchronous=NORMAL). One ASGI send per network read of
the model's stream, events from a string template.
"""

import argparse
import asyncio
import json
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from json.encoder import encode_basestring
from typing import Any, TypeAlias

import uvicorn

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Statement: TypeAlias = tuple[str, tuple[Any, ...]]
Job: TypeAlias = tuple[Statement, asyncio.Future[None]]

_JSON = [(b"content-type", b"application/json")]
_SSE = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_ACCEPT = "INSERT INTO tasks (id, context, state, message) VALUES (?, ?, 'WORKING', ?)"
_FINISH = "UPDATE tasks SET state = 'COMPLETED', answer = ? WHERE id = ?"


class Writer:
    """Group commit: one thread, one transaction for all that waits."""

    def __init__(self, path: str) -> None:
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._path = path
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, statement: Statement) -> asyncio.Future[None]:
        """Await the result: then it is committed."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((statement, future))
        return future

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS tasks"
            " (id TEXT PRIMARY KEY, context TEXT, state TEXT, message TEXT, answer TEXT) WITHOUT ROWID"
        )
        while True:
            jobs = [self._queue.get()]
            while not self._queue.empty():
                jobs.append(self._queue.get())
            database.execute("BEGIN IMMEDIATE")
            for (sql, values), _ in jobs:
                database.execute(sql, values)
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._done, [future for _, future in jobs])

    @staticmethod
    def _done(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)


class Model:
    """A model server over bare asyncio streams with kept-alive connections."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._host, self._port = host, port
        self._head = f"POST {path}/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def _ask(self, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return reader, writer, await reader.readuntil(b"\r\n\r\n")

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()

    async def plain(self, body: bytes) -> bytes:
        """The body of a response."""
        reader, writer, head = await self._ask(body)
        at = head.lower().index(b"content-length:")
        answer = await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
        self._idle.append((reader, writer))
        return answer

    async def stream(self, body: bytes) -> AsyncIterator[list[bytes]]:
        """The data of the events of each network read."""
        reader, writer, _ = await self._ask(body)
        rest, done = b"", False
        while not done:
            data = await reader.read(262144)
            if not data:
                raise ConnectionError("cut off")
            done = data.endswith(b"0\r\n\r\n")
            *lines, rest = (rest + data).split(b"\n\n")
            yield [line[line.index(b"data: ") + 6 :] for line in lines if b"data: " in line]
        self._idle.append((reader, writer))


class App:
    """The ASGI application."""

    def __init__(self, model: Model, database: str) -> None:
        self._model = model
        self._database = database
        self._writer: Writer | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        call = json.loads(body)
        agent = scope["path"].rpartition("/")[2]
        if self._writer is None:
            self._writer = Writer(self._database)
        await self._turn(self._writer, call, agent, send)

    async def _turn(self, writer: Writer, call: dict[str, Any], agent: str, send: Send) -> None:
        text = call["params"]["message"]["parts"][0]["text"]
        task, context = os.urandom(16).hex(), os.urandom(16).hex()
        stream = call["method"] == "SendStreamingMessage"
        messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}]
        question = json.dumps({"model": agent, "messages": messages, "stream": stream}).encode()
        await writer.write((_ACCEPT, (task, context, text)))
        if stream:
            await self._stream(writer, call["id"], task, context, question, send)
            return
        answer = json.loads(await self._model.plain(question))["choices"][0]["message"]["content"]
        await writer.write((_FINISH, (answer, task)))
        status = {"state": "TASK_STATE_COMPLETED"}
        artifacts = [{"artifactId": "answer", "parts": [{"text": answer}]}]
        result = {"task": {"id": task, "contextId": context, "status": status, "artifacts": artifacts}}
        body = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode()
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [*_JSON, length]})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, writer: Writer, call_id: Any, task: str, context: str, question: bytes, send: Send) -> None:
        opening = f'data: {{"jsonrpc":"2.0","id":{json.dumps(call_id)},"result":'
        ids = f'"taskId":"{task}","contextId":"{context}"'
        before = (
            f'{opening}{{"artifactUpdate":{{{ids},"append":true,"artifact":{{"artifactId":"answer","parts":[{{"text":'
        )
        after = "}]}}}}\n\n"
        status = '"status":{"state":"TASK_STATE_WORKING"}'
        working = f'{opening}{{"task":{{"id":"{task}","contextId":"{context}",{status}}}}}}}\n\n'
        await send({"type": "http.response.start", "status": 200, "headers": _SSE})
        await send({"type": "http.response.body", "body": working.encode(), "more_body": True})
        answer: list[str] = []
        async for events in self._model.stream(question):
            out: list[str] = []
            for event in events:
                if event == b"[DONE]":
                    continue
                choices = json.loads(event)["choices"]
                token = choices[0]["delta"].get("content") if choices else None
                if token:
                    answer.append(token)
                    out += (before, encode_basestring(token), after)
            if out:
                await send({"type": "http.response.body", "body": "".join(out).encode(), "more_body": True})
        await writer.write((_FINISH, ("".join(answer), task)))
        last = f'{opening}{{"statusUpdate":{{{ids},"status":{{"state":"TASK_STATE_COMPLETED"}}}}}}}}\n\n'
        await send({"type": "http.response.body", "body": last.encode()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--http", default="auto")
    parser.add_argument("--loop", default="auto")
    given = parser.parse_args()
    host, _, rest = given.model.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    uvicorn.run(
        App(Model(host, int(port), f"/{path}"), given.database),
        port=given.port,
        http=given.http,
        loop=given.loop,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
