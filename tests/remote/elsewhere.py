"""An agent elsewhere: the server of the official SDK, with an agent that does what it is told. It counts."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from a2a.helpers.proto_helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Elsewhere(AgentExecutor):
    """`heads` are the headers of the last request, `texts` what it was told, `files` what came with it.

    `file` is the name of what it gives. Told to be `late`, it makes a task of the message once that may be `shown`;
    `asked`: its tasks have been listed."""

    url: str = ""
    runs: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    heads: Mapping[str, str] = field(default_factory=dict)
    file: str = "x.bin"
    canceled: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    shown: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        text = context.get_user_input()
        self.runs[text] += 1
        self.texts.append(text)
        self.files += [part.filename for part in context.message.parts if part.WhichOneof("content") in ("raw", "url")]
        if "late" in text:
            self.waiting.set()
            await self.shown.wait()
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        does = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await does.start_work()
        await self._act(does, text, answered=context.current_task is not None)

    async def _act(self, does: TaskUpdater, text: str, *, answered: bool) -> None:
        if answered:
            await does.add_artifact([Part(text=f"so it is {text}")], name="answer")
            await does.complete()
        elif "ask" in text:
            await does.requires_input(does.new_agent_message([Part(text="Which colour?")]))
        elif "fail" in text:
            await does.failed(does.new_agent_message([Part(text="no luck")]))
        elif "reject" in text:
            await does.reject(does.new_agent_message([Part(text="not mine")]))
        elif "wait" in text or "late" in text:
            self.waiting.set()
            await self.go_on.wait()
            await does.add_artifact([Part(text="waited")], name="answer")
            await does.complete()
        else:
            await does.add_artifact([Part(text="hello ")], artifact_id="a", name="answer", append=False)
            await does.add_artifact([Part(text="there")], artifact_id="a", name="answer", append=True, last_chunk=True)
            await does.add_artifact([Part(raw=b"abc", filename="x.bin", media_type="application/x")], name=self.file)
            await does.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.canceled.set()
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


class _Heads:
    def __init__(self, app: ASGIApp, agent: Elsewhere) -> None:
        self.app, self.agent = app, agent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.agent.heads = {name.decode(): value.decode() for name, value in scope["headers"]}
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == "/tasks":
            self.agent.asked.set()


@asynccontextmanager
async def elsewhere(binding: str = "JSONRPC", version: str = "1.0", **capabilities: Any) -> AsyncIterator[Elsewhere]:
    """Running on loopback; its card offers one interface."""
    agent = Elsewhere()
    listener = socket.create_server(("127.0.0.1", 0))  # takes connections from now on
    agent.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = AgentCard(
        name="Elsewhere", description="does", version="1", default_input_modes=["text/plain"],
        default_output_modes=["text/plain"], capabilities=AgentCapabilities(streaming=True, **capabilities),
        skills=[AgentSkill(id="s", name="s", description="s", tags=["s"])],
        supported_interfaces=[AgentInterface(url=agent.url, protocol_binding=binding, protocol_version=version)],
    )  # fmt: skip
    if binding == "JSONRPC":
        card.supported_interfaces[0].url = f"{agent.url}/rpc"
    handler = DefaultRequestHandler(agent, InMemoryTaskStore(), card)
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True),
        *create_rest_routes(handler),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(_Heads, agent=agent)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield agent
    finally:
        agent.go_on.set()
        agent.shown.set()
        server.should_exit = True
        server.force_exit = True
        await serving


@dataclass
class Silent:
    """A server that takes every message and says nothing of it; with `replies`, answers all but the first plainly.

    The first one is held then. `ids` are those of the messages."""

    url: str = ""
    sent: int = 0
    replies: bool = False
    ids: list[str] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        """The card, or an empty result."""
        if request.method == "GET":
            interface = {"url": f"{self.url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            return JSONResponse({"supportedInterfaces": [interface], "capabilities": {"streaming": True}})
        asked = await request.json()
        if asked["method"].startswith("Send"):
            self.sent += 1
            self.ids.append(asked["params"]["message"]["messageId"])
            self.taken.set()
            if self.replies:
                return await self._reply(asked["id"])
        if asked["method"] == "SendStreamingMessage":
            return Response(b"", media_type="text/event-stream")
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": {}})

    async def _reply(self, call: Any) -> Response:
        if self.sent == 1:
            await self.go_on.wait()
        said = {"messageId": "a", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}
        return JSONResponse({"jsonrpc": "2.0", "id": call, "result": {"message": said}})


@asynccontextmanager
async def silent(*, replies: bool = False) -> AsyncIterator[Silent]:
    """Running on loopback."""
    agent = Silent(replies=replies)
    listener = socket.create_server(("127.0.0.1", 0))
    agent.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=[Route("/{path:path}", agent.answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield agent
    finally:
        agent.go_on.set()
        server.should_exit = True
        server.force_exit = True
        await serving
