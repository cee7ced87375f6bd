"""MCP requests to our agents, whatever carries them: what is offered, calls, and their cancellation."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from hector.apps.app import App
from hector.apps.registry import Apps
from hector.auth.access import sees
from hector.core.content import JsonObject, Message, Text
from hector.core.errors import HectorError, NotFound, TaskNotCancelable
from hector.core.identity import Principal
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task
from hector.mcp import serving
from hector.mcp.serving import INVALID_PARAMS, INVALID_REQUEST, NO_METHOD, BadCall, Call
from hector.observe.redact import redact
from hector.tasks.follow import TaskStream
from hector.tasks.service import SendOptions, TaskService
from hector.version import __version__
from hector.web.tenancy import app_for

Tell: TypeAlias = Callable[[JsonObject], Awaitable[None]]
"""Takes a notification to the client."""
CANCELLED: Final = "notifications/cancelled"


class Door:
    """Answers messages. It knows of the calls under way here, so that they can be cancelled; nothing else is kept."""

    def __init__(self, apps: Apps, tasks: TaskService) -> None:
        self._apps = apps
        self._tasks = tasks
        self._running: dict[tuple[Caller, str, Any], tuple[str, str]] = {}

    async def handle(self, who: Principal, session: str, message: Any, tell: Tell) -> JsonObject | None:
        """The response to a message, None where it wants none. Raises NotFound where the app has no such server.

        A caller that is cancelled ends nothing but the answer.
        """
        app = await app_for(self._apps, who, None)
        if app.config.mcp_server is None or not app.config.mcp_server.enabled:
            raise NotFound("path", "/mcp")
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return serving.fault(None, INVALID_REQUEST, "this is no JSON-RPC 2.0 message")
        method, params = message.get("method"), message.get("params") or {}
        if "id" not in message:
            if method == CANCELLED and isinstance(params, dict):
                await self._cancel(who.caller(app.id), session, params.get("requestId"))
            return None
        if method is None and ("result" in message or "error" in message):
            return None  # an answer, although nothing was asked
        number = message["id"] if serving.is_id(message["id"]) else None
        if number is None or not isinstance(method, str) or not isinstance(params, dict):
            said = "method must be a text, params an object, and id a text or a whole number"
            return serving.fault(number, INVALID_REQUEST, said)
        return await self._answer(app, who, session, number, method, params, tell)

    async def _answer(
        self, app: App, who: Principal, session: str, number: str | int, method: str, params: JsonObject, tell: Tell
    ) -> JsonObject:
        assert app.config.mcp_server is not None  # noqa: S101 - `handle` has looked
        match method:
            case "initialize":
                told = app.config.mcp_server.instructions
                return serving.result(number, serving.welcome(params, app.config.name, __version__, told))
            case "ping":
                return serving.result(number, {})
            case "tools/list":
                listed = [serving.described(name, app.config.agents[name].description) for name in offered(app, who)]
                return serving.result(number, {"tools": listed})
            case "tools/call":
                names = {serving.tool_name(name): name for name in offered(app, who)}
                agent = names.get(str(params.get("name")))
                if agent is None:
                    said = f"there is no tool {params.get('name')!r}; there are: {', '.join(names) or 'none'}"
                    return serving.fault(number, INVALID_PARAMS, said)
                place = (who.caller(app.id), session, number)
                return serving.result(number, await self._call(place, agent, params, tell))
            case _:
                return serving.fault(number, NO_METHOD, f"there is no method {method[:80]!r} here")

    async def _call(self, place: tuple[Caller, str, Any], agent: str, params: JsonObject, tell: Tell) -> JsonObject:
        """The result of a tool call; what goes wrong is for the caller's model."""
        meta = params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        try:
            asked = serving.call_of(params.get("arguments"))
            stream = await self._stream(place[0], agent, asked)
            return serving.outcome(await self._followed(place, agent, stream, token, tell))
        except (BadCall, HectorError) as error:
            return serving.refused(redact(str(error)))

    async def _stream(self, caller: Caller, agent: str, asked: Call) -> TaskStream:
        if asked.task is not None and not asked.message.strip():
            task = await self._tasks.get(caller, agent, asked.task)
            if task.status.state.terminal or task.status.state.interrupted:
                return TaskStream(task, None)
            return await self._tasks.subscribe(caller, agent, asked.task)
        said = Message("user", (Text(asked.message),))
        message = ClientMessage(new_id(), said, asked.conversation, asked.task)
        return await self._tasks.stream(caller, agent, message, SendOptions(decides=False))

    async def _followed(
        self, place: tuple[Caller, str, Any], agent: str, stream: TaskStream, token: Any, tell: Tell
    ) -> Task | ClientMessage:
        first, number = stream.first, 0
        try:
            if isinstance(first, ClientMessage):
                return first
            if place[1]:  # without a session the numbers of several clients are the same
                self._running[place] = (agent, first.id)
            async for batch in stream:
                for text in filter(None, map(serving.news, batch)) if token is not None else ():
                    number += 1
                    await tell(serving.progress(token, number, text))
            return await self._tasks.get(place[0], agent, first.id)
        finally:
            if self._running.get(place) == (agent, first.id):
                del self._running[place]
            await stream.aclose()

    async def _cancel(self, caller: Caller, session: str, number: Any) -> None:
        """What is not known (any more) has ended, or runs in another process, where its client's word went astray."""
        if serving.is_id(number) and (found := self._running.get((caller, session, number))):
            try:
                await self._tasks.cancel(caller, *found)
            except (NotFound, TaskNotCancelable):
                return


def offered(app: App, who: Principal) -> list[str]:
    """The agents that somebody finds as tools: those that are chosen, of which they may see."""
    chosen = app.config.mcp_server.agents if app.config.mcp_server else ()
    agents = app.config.agents
    if chosen is None:
        return [name for name, agent in agents.items() if agent.visibility == "public"]
    return [name for name in chosen if name in agents and sees(who, agents[name].visibility)]
