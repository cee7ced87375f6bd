"""The world around a server under attack: models that count what they are asked, and a place for effects."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]
Script: TypeAlias = Callable[[list[Message]], "str | list[tuple[str, dict[str, Any]]]"]
"""What a model says to a conversation: a text, or calls of tools."""


@dataclass
class World:
    """`answers` are the models by name. A request that stands in `held` is not answered before it is let go.

    `asked` counts requests by model and what they end with, `effects` calls of tools by name.
    """

    answers: Mapping[str, Script]
    url: str = ""
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    came: dict[str, asyncio.Event] = field(default_factory=dict)

    def hold(self, *names: str) -> None:
        """Do not answer the next request of these models, or the calls of these tools."""
        for name in names:
            self.held[name], self.came[name] = asyncio.Event(), asyncio.Event()

    async def wait_for(self, *names: str) -> None:
        """Wait until every one of them has been asked."""
        async with asyncio.timeout(60):
            for name in names:
                await self.came[name].wait()

    def let_go(self) -> None:
        """Hold nothing any more."""
        for event in self.held.values():
            event.set()
        self.held.clear()

    async def _stop_at(self, name: str) -> None:
        if name in self.held:
            self.came[name].set()
            await self.held[name].wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                answer = await (self._effect(body) if "/effect" in head else self._think(body))
                data = json.dumps(answer).encode()
                lines = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
                writer.write(lines.encode() + data)
                await writer.drain()
        writer.close()

    async def _effect(self, body: Any) -> Any:
        self.effects[body["name"]] += 1
        await self._stop_at(body["name"])
        return {}

    async def _think(self, body: Any) -> Any:
        name, messages = body["model"], body["messages"]
        self.asked[name, f"{len(messages)}:{messages[-1]['content']}"] += 1
        await self._stop_at(name)
        found = self.answers[name](messages)
        said: dict[str, Any] = {"role": "assistant", "content": found if isinstance(found, str) else None}
        if not isinstance(found, str):
            said["tool_calls"] = [
                {
                    "id": f"{name}_{at}_{len(messages)}",
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps(args)},
                }
                for at, (tool, args) in enumerate(found)
            ]
        reason = "stop" if isinstance(found, str) else "tool_calls"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {"index": 0, "finish_reason": reason, "message": said}
        return {"id": "x", "object": "chat.completion", "model": name, "choices": [choice], "usage": usage}


def last(messages: list[Message]) -> str:
    """Everything that came since the model spoke last, as text."""
    start = max((at for at, one in enumerate(messages) if one["role"] == "assistant"), default=-1)
    return "\n".join(str(one["content"]) for one in messages[start + 1 :] if one["role"] != "system")


def first_call(*found: tuple[str, dict[str, Any]]) -> Script:
    """A model that makes these calls, and then repeats what they returned."""
    return lambda messages: list(found) if not any(one["role"] == "tool" for one in messages) else last(messages)


@asynccontextmanager
async def world(answers: Mapping[str, Script]) -> AsyncIterator[World]:
    """Running on loopback."""
    found = World(answers)
    server = await asyncio.start_server(found._serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        found.let_go()
        server.close()
