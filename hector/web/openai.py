"""OpenAI's API over HTTP: models, chat completions, responses."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from hector.a2a import render, wire
from hector.a2a.errors import UNAVAILABLE, ProtocolError
from hector.a2a.stream import EventStream
from hector.core.content import JsonObject
from hector.core.errors import HectorError
from hector.tasks.follow import TaskStream
from hector.web.answers import JSON, NO_CACHE, demands, note
from hector.web.asgi import Exchange
from hector.web.identity import principal_of
from hector.web.openai_door import Door, Work
from hector.web.openai_errors import ONCE, RunFailed, body_of, status_of
from hector.web.openai_input import Asked, chat, responses
from hector.web.openai_output import ChatWords, Names, Outcome, ResponseWords, Telling, Words, outcome
from hector.web.opened import Opened
from hector.web.streams import Follower

_READ: Final[dict[str, Callable[[Any], Asked]]] = {"chat": chat, "responses": responses}


class OpenAi:
    """The endpoints behind their paths."""

    def __init__(self, door: Door, opened: Opened, most: int) -> None:
        self._door = door
        self._opened = opened
        self._most = most

    async def serve(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone: what it asked for goes on all the same."""
        exchange = Exchange(scope, receive, send)
        with suppress(ClientDisconnect):
            try:
                await self._serve(kind, exchange)
            except HectorError as error:
                note(scope, error)
                extra = (*NO_CACHE, *demands(error), *(ONCE if isinstance(error, RunFailed) else ()))
                await exchange.reply(status_of(error), _json(body_of(error)), JSON, extra)

    async def _serve(self, kind: str, exchange: Exchange) -> None:
        who = principal_of(exchange.scope)
        if kind == "models":
            name = exchange.place("model")
            found = await (self._door.models(who) if name is None else self._door.model(who, name))
            await exchange.reply(200, _json(found), JSON, NO_CACHE)
            return
        exchange.require_json()
        asked = _READ[kind](wire.loads(await exchange.body(self._most)))
        if not asked.stream:
            await self._whole(kind, exchange, await self._door.work(who, asked))
            return
        self._opened.enter(who)
        try:
            work = await self._door.work(who, asked)
            stream = await self._door.stream(work)
            names = self._door.names(work, stream.first)
            telling = _Told(exchange, stream, self._door, work, names, _words(kind, names, asked))
            await telling.run(telling.words.fail, until_interrupted=True)
        finally:
            self._opened.leave(who)

    async def _whole(self, kind: str, exchange: Exchange, work: Work) -> None:
        answer = await self._door.run(work)
        names = self._door.names(work, answer)
        found = outcome(answer, work.known)
        usage = await self._door.usage(work, names.context)
        self._door.over(work, names, found.text, waits=found.waits)
        body = _words(kind, names, work.asked).whole(found, usage)
        await exchange.reply(200, _json(body), JSON, NO_CACHE)


class _Told(Follower):
    """One client that is told an answer as it comes. Its leaving ends nothing but the stream."""

    def __init__(
        self, exchange: Exchange, stream: TaskStream, door: Door, work: Work, names: Names, words: Words
    ) -> None:
        super().__init__(exchange, stream, EventStream(render, stream.first, None))
        self.words = words
        self._door = door
        self._work = work
        self._names = names
        self._telling = Telling(stream.first, work.known)

    async def _pump(self, fail: Callable[[HectorError], bytes], *, until_interrupted: bool) -> None:
        telling = self._telling
        try:
            await self._write(self.words.begin() + self.words.pieces(telling.begin()))
            while not telling.over:
                batch = await anext(self._stream, None)
                if batch is None:
                    raise ProtocolError(UNAVAILABLE, "the stream was cut before the answer had ended")
                if blob := self.words.pieces(telling.feed(batch)):
                    await self._write(blob)
            rest = self.words.pieces(telling.end())
            usage = await self._door.usage(self._work, self._names.context)
        except HectorError as error:
            await self._write(fail(error), last=True)
            return
        found = Outcome(telling.text, waits=telling.status is not None and telling.status.state.interrupted)
        self._door.over(self._work, self._names, found.text, waits=found.waits)
        await self._write(rest + self.words.end(found.text, usage), last=True)


def _words(kind: str, names: Names, asked: Asked) -> Words:
    return ChatWords(names, include_usage=asked.include_usage) if kind == "chat" else ResponseWords(names)


def _json(value: JsonObject) -> bytes:
    return wire.dumps(value).encode("ascii")
