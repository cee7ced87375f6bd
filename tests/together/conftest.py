"""Agents that work together: a task service over a real SQLite file, with one scripted model for each agent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.config.server import Server
from hector.core.clock import SystemClock
from hector.core.content import Data, JsonObject, Message, Text
from hector.core.event import Event
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task, Update
from hector.store import Store, open_store
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog
from tests.tasks.conftest import QUICK

ANA = Caller(user="ana")
Rules: TypeAlias = list[dict[str, Any]]


def calls(*called: tuple[str, JsonObject], text: str = "", **when: Any) -> dict[str, Any]:
    """A rule: call these tools."""
    return {**when, "text": text, "tool_calls": [{"name": name, "args": args} for name, args in called]}


def ask(agent: str, request: str) -> tuple[str, JsonObject]:
    """A call of an agent."""
    return agent, {"request": request}


def hand(agent: str, request: str) -> tuple[str, JsonObject]:
    """A change of hands."""
    return f"transfer_to_{agent}", {"request": request}


def results(text: str = r"\g<all>", tool: str | None = None) -> dict[str, Any]:
    """A rule: answer with what the tools have returned."""
    found = {"tool_result_matches": "(?s)(?P<all>.+)", "text": text}
    return {**found, "tool_result": tool} if tool else found


@dataclass
class Company:
    """A running service and what it has stored."""

    service: TaskService
    store: Store

    async def say(self, *parts: Any, to: str = "chief", task: Task | None = None, **envelope: Any) -> Task:
        """Send a message (to a task that waits) and wait for what comes of it."""
        message = Message("user", tuple(Text(part) if isinstance(part, str) else Data(part) for part in parts))
        if task is not None:
            envelope |= {"task_id": task.id, "context_id": task.context_id}
        async with asyncio.timeout(60):
            answer = await self.service.send(ANA, to, ClientMessage(new_id(), message, **envelope), SendOptions())
        assert isinstance(answer, Task)
        return answer

    async def watch(self, text: str, to: str = "chief", **envelope: Any) -> list[Update]:
        """Send a message and see every update."""
        message = ClientMessage(new_id(), Message("user", (Text(text),)), **envelope)
        async with asyncio.timeout(60):
            stream = await self.service.stream(ANA, to, message, SendOptions())
            return [update async for batch in stream for update in batch]

    async def ended(self, task: Task) -> Task:
        """The task once it has ended."""
        async with asyncio.timeout(60):
            while not task.status.state.terminal:
                await asyncio.sleep(0.01)  # nothing announces it
                task = await self.store.tasks.get(ANA, task.id)
        return task

    async def events(self, task: Task) -> tuple[Event, ...]:
        """The log of a task's session."""
        return (await self.store.sessions.load(ANA, task.context_id)).events

    async def state(self, task: Task) -> dict[str, Any]:
        """The state of a task's session."""
        return (await self.store.sessions.load(ANA, task.context_id)).state


Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Company]]


def configuration(
    models: dict[str, Rules], agents: dict[str, JsonObject], tools: JsonObject | None = None
) -> JsonObject:
    """One model for each agent, under its name; without `tools` an agent has none but those for working together.

    Agents beyond those have no model: what they say is all that there is.
    """
    return {
        "llms": {
            name: {"provider": "scripted", "rules": rules, "retry": {"max_attempts": 1}}
            for name, rules in models.items()
        },
        "agents": {
            name: {"llm": name, "tools": [], "description": f"Does what {name} does.", **agents.get(name, {})}
            for name in models
        }
        | {name: agent for name, agent in agents.items() if name not in models},
        "tools": tools or {},
    }


@pytest.fixture
def company(tmp_path: Path) -> Open:
    """`async with company(models, agents, tools) as found`; all of one test share a database file."""

    @asynccontextmanager
    async def run(
        models: dict[str, Rules],
        agents: dict[str, JsonObject],
        tools: JsonObject | None = None,
        *,
        functions: tuple[Any, ...] = (),
        settings: Server = QUICK,
    ) -> AsyncIterator[Company]:
        config = HectorConfig.model_validate(configuration(models, agents, tools))
        store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
        apps = Apps(build(config, Catalog(functions)))
        try:
            async with TaskService(apps, store, SystemClock(), settings) as service:
                yield Company(service, store)
        finally:
            await apps.aclose()
            await store.aclose()

    return run


def function(name: str, **facts: Any) -> JsonObject:
    """The declaration of a function tool."""
    return {name: {"type": "function", "handler": name, **facts}}


def wanted(task: Task) -> list[JsonObject]:
    """What a task wants to have approved."""
    said = task.status.message
    return [part.value for part in said.message.parts if isinstance(part, Data)] if said else []


def question(task: Task) -> str:
    """What a task asks its user."""
    assert task.status.state.value == "input-required", task.status
    return task.status.message.message.text if task.status.message else ""


def decision(call: JsonObject, word: str, **more: Any) -> JsonObject:
    """The data part that decides about a call."""
    return {"type": "tool_approval", "tool_call_id": call["tool_call_id"], "decision": word, **more}
