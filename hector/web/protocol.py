"""A2A over HTTP: JSON-RPC in both versions and HTTP+JSON, all through the same operations."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from hector.a2a import parse, render, v03, wire
from hector.a2a import version as versions
from hector.a2a.errors import UNSUPPORTED_OPERATION, ProtocolError, fault_of, rest_error
from hector.a2a.jsonrpc import Call, Operation
from hector.a2a.stream import Dialect, EventStream, failure
from hector.apps.app import App
from hector.apps.registry import Apps
from hector.auth.access import sees
from hector.config.server import Server
from hector.core.content import JsonObject
from hector.core.errors import HectorError, InvalidRequest, NotFound, Violation
from hector.core.identity import Principal
from hector.core.record import dataclass
from hector.core.task import Caller, Task
from hector.tasks.follow import TaskStream
from hector.tasks.positions import Position
from hector.tasks.push import PushService
from hector.tasks.service import SendOptions, TaskService
from hector.web.answers import JSON, NO_CACHE, demands, json_type, note
from hector.web.asgi import Exchange
from hector.web.identity import principal_of
from hector.web.opened import Opened
from hector.web.push import OPERATIONS as PUSH
from hector.web.push import PushOperations
from hector.web.tenancy import app_for

_WITH_BODY: Final = frozenset({Operation.SEND, Operation.STREAM})
_ABOUT_TASKS: Final = PUSH | {Operation.GET, Operation.CANCEL, Operation.SUBSCRIBE}
_STREAMED: Final = frozenset({Operation.STREAM, Operation.SUBSCRIBE})
_PLACES: Final = {"id": "id", "tenant": "tenant"}
_PUSH_PLACES: Final = {"id": "taskId", "config": "id", "tenant": "tenant"}
"""Which parameter a placeholder of a path stands for."""


class _Asked(NamedTuple):
    """An operation on behalf of somebody who may see the agent; `old`: in the words of A2A 0.3."""

    caller: Caller
    agent: str
    params: JsonObject
    operation: Operation
    behind: Position | None
    old: bool


class Protocol:
    """Reads requests, calls the task service, words the answers."""

    def __init__(self, apps: Apps, tasks: TaskService, push: PushService, settings: Server) -> None:
        self._apps = apps
        self._tasks = tasks
        self._push = PushOperations(push)
        self._most = settings.max_body_bytes
        self._open = Opened(tasks.limits)

    async def rpc(self, exchange: Exchange) -> None:
        """One JSON-RPC request. Errors are answered with 200, as JSON-RPC has it, unless HTTP itself has failed."""
        call = Call()
        try:
            exchange.require_json()
            call.read(await exchange.body(self._most))
            asked = exchange.header(b"a2a-version") or exchange.query().get("A2A-Version", "")
            versions.check(asked, old=call.old)
            dialect: Dialect = v03 if call.old else render
            assert call.operation is not None  # noqa: S101 - read() has set it or raised
            params, behind = call.params or {}, _behind(exchange)
            who, agent = principal_of(exchange.scope), exchange.place("agent")
            done = await self.perform(who, call.operation, agent, params, behind, old=call.old)
            if isinstance(done, TaskStream):
                events = _events(dialect, done, call.id)
                await self._follow(exchange, done, events, call.operation, lambda error: failure(call.error(error)))
            else:
                await exchange.reply(200, call.result(done), JSON, NO_CACHE)
        except HectorError as error:
            note(exchange.scope, error)
            status = fault_of(error).status if _is_about_http(error) else 200
            extra = (*NO_CACHE, *demands(error))
            await exchange.reply(status, wire.dumps(call.error(error)).encode("ascii"), JSON, extra)

    async def rest(self, exchange: Exchange, operation: Operation) -> None:
        """One HTTP+JSON request. Raises HectorError for the application to word."""
        query = exchange.query()
        versions.check(exchange.header(b"a2a-version") or query.get("A2A-Version", ""), old=False)
        params = await self._rest_params(exchange, operation, query)
        who, agent = principal_of(exchange.scope), exchange.place("agent")
        done = await self.perform(who, operation, agent, params, _behind(exchange), old=False)
        if isinstance(done, TaskStream):
            events = _events(render, done, None)
            await self._follow(exchange, done, events, operation, lambda error: failure(rest_error(error)))
        else:
            kind = json_type(exchange.headers.get(b"accept", b""))
            await exchange.reply(200, wire.dumps({} if done is None else done).encode("ascii"), kind, NO_CACHE)

    async def _rest_params(self, exchange: Exchange, operation: Operation, query: dict[str, str]) -> JsonObject:
        params: JsonObject = dict(query)
        if operation in _WITH_BODY or (exchange.method == "POST" and exchange.has_body):
            exchange.require_json()
            params = _object(await exchange.body(self._most))
        for name, meant in (_PUSH_PLACES if operation in PUSH else _PLACES).items():
            if (found := exchange.place(name)) is not None:
                params[meant] = found
        return params

    async def perform(
        self,
        who: Principal,
        operation: Operation,
        agent_id: str | None,
        params: JsonObject,
        behind: Position | None = None,
        *,
        old: bool,
    ) -> Any:
        """Do what `who` asks for: a JSON value, or a TaskStream, which goes on behind a position if it can."""
        if operation not in _STREAMED:
            return await self._perform(who, operation, agent_id, params, behind, old=old)
        self._open.enter(who)
        try:
            return await self._perform(who, operation, agent_id, params, behind, old=old)
        except BaseException:
            self._open.leave(who)
            raise

    async def _perform(
        self,
        who: Principal,
        operation: Operation,
        agent_id: str | None,
        params: JsonObject,
        behind: Position | None,
        *,
        old: bool,
    ) -> Any:
        app = await self._app(who, operation, params)
        agent = visible_agent(app, agent_id, who)
        caller = who.caller(app.id)
        if operation in (Operation.SEND, Operation.STREAM):
            return await self._send(_Asked(caller, agent, params, operation, behind, old))
        if operation is Operation.LIST:
            listing = parse.parse_listing(params)
            page = await self._tasks.list(caller, agent, listing.query)
            return render.page(page, listing.query.page_size, artifacts=listing.query.include_artifacts)
        if operation in PUSH:
            return await self._push.perform(caller, agent, params, operation, old=old)
        if operation is Operation.EXTENDED_CARD:
            raise ProtocolError(UNSUPPORTED_OPERATION, "this agent has no extended card; its card says everything")
        return await self._on_task(_Asked(caller, agent, params, operation, behind, old))

    async def _app(self, who: Principal, operation: Operation, params: JsonObject) -> App:
        """The app that is meant. What a foreign tenant is asked for is missing, as if there were no such tenant."""
        try:
            return await app_for(self._apps, who, params.get("tenant"))
        except NotFound:
            if operation in _ABOUT_TASKS:
                raise NotFound("task", str(params.get("taskId" if operation in PUSH else "id"))[:100]) from None
            raise

    async def _send(self, asked: _Asked) -> JsonObject | TaskStream:
        sent = v03.parse_send(asked.params) if asked.old else parse.parse_send(asked.params)
        if sent.push is not None:
            self._push.check(sent.push, old=asked.old)
        options = SendOptions(sent.return_immediately, sent.history_length, sent.push)
        if asked.operation is Operation.STREAM:
            return await self._tasks.stream(asked.caller, asked.agent, sent.message, options, asked.behind)
        answer = await self._tasks.send(asked.caller, asked.agent, sent.message, options)
        return v03.answer(answer) if asked.old else render.answer(answer)

    async def _on_task(self, asked: _Asked) -> JsonObject | TaskStream:
        found = parse.parse_task(asked.params)
        if asked.operation is Operation.SUBSCRIBE:
            return await self._tasks.subscribe(asked.caller, asked.agent, found.id, asked.behind)
        if asked.operation is Operation.CANCEL:
            task = await self._tasks.cancel(asked.caller, asked.agent, found.id, found.metadata)
        else:
            task = await self._tasks.get(asked.caller, asked.agent, found.id, found.history_length)
        return v03.task(task) if asked.old else render.task(task)

    async def _follow(
        self,
        exchange: Exchange,
        stream: TaskStream,
        events: EventStream,
        operation: Operation,
        fail: Callable[[HectorError], bytes],
    ) -> None:
        from hector.web.streams import Follower  # noqa: PLC0415 - loaded by the first stream

        try:
            await Follower(exchange, stream, events).run(fail, until_interrupted=operation is Operation.STREAM)
        finally:
            self._open.leave(principal_of(exchange.scope))


@dataclass(frozen=True, slots=True)
class Rpc:
    """The endpoint of JSON-RPC. An object, not a function, so that starlette hands it the bare ASGI call."""

    protocol: Protocol

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone."""
        with suppress(ClientDisconnect):
            await self.protocol.rpc(Exchange(scope, receive, send))


@dataclass(frozen=True, slots=True)
class Rest:
    """The endpoint of one operation of HTTP+JSON."""

    protocol: Protocol
    operation: Operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone. Raises HectorError."""
        with suppress(ClientDisconnect):
            await self.protocol.rest(Exchange(scope, receive, send), self.operation)


def visible_agent(app: App, agent_id: str | None, who: Principal) -> str:
    """The agent that a path means; None is the default one: the first that `who` may see. Raises NotFound."""
    agents = app.config.agents
    if agent_id is None:
        agent_id = next((name for name, agent in agents.items() if sees(who, agent.visibility)), None)
        if agent_id is None:
            raise NotFound("agent", "default")
    elif agent_id not in agents or not sees(who, agents[agent_id].visibility):
        raise NotFound("agent", agent_id)
    return agent_id


def _behind(exchange: Exchange) -> Position | None:
    """Where a client was cut off. What it does not have from us is as good as nothing."""
    return Position.parse(exchange.header(b"last-event-id"))


def _events(dialect: Dialect, stream: TaskStream, request_id: str | None) -> EventStream:
    at = str(stream.at) if isinstance(stream.first, Task) else ""
    return EventStream(dialect, stream.first, request_id, at, resumed=stream.resumed)


def _is_about_http(error: HectorError) -> bool:
    """Whether a JSON-RPC client should learn of it from the HTTP status as well."""
    return fault_of(error).status in (401, 403, 408, 413, 429, 503) or (
        isinstance(error, NotFound) and error.kind in ("agent", "tenant")
    )


def _object(body: bytes) -> JsonObject:
    value = wire.loads(body) if body else {}
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", [Violation("", "must be an object")])
    return value
