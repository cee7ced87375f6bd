"""Processes that serve several apps over one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from hector.apps.build import build
from hector.apps.keeper import Keeper
from hector.apps.registry import Apps
from hector.apps.stored import StoredApps
from hector.config.environment import Environment
from hector.config.load import Loaded, parse_config
from hector.config.server import Queue, Server
from hector.core.clock import SystemClock
from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task
from hector.store import Accept, Store, open_store
from hector.store.apps import Draft
from hector.store.history import user_event
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog

PATIENCE: Final = 40.0
FILE: Final = "llms: {m: {rules: [{text: default}]}}\nagents: {helper: {tools: []}}\ntenants: {patterns: true}\n"
TEXT: Final = """\
llms:
  m:
    rules:
      - {{tool_result: save_artifact, text: "{name} has saved it"}}
      - user: save
        tool_calls: [{{name: save_artifact, args: {{name: notes.txt, text: "notes of {name}"}}}}]
      - user: slow
        text: "one two three four five six seven eight from {name}"
        pace: 60ms
      - {{text: "I am {name}"}}
agents:
  helper: {{instruction: Help., tools: [save_artifact]}}
"""


def draft(name: str) -> Draft:
    """A configuration whose answers name the app; agents have the same ids everywhere."""
    return Draft("yaml", TEXT.format(name=name), "tests")


def say(text: str, **envelope: Any) -> ClientMessage:
    return ClientMessage(new_id(), Message("user", (Text(text),)), **envelope)


def waiting(caller: Caller, text: str = "hi") -> Accept:
    """A message whose run is left to whoever is free."""
    event = user_event(say(text), event_id=new_id(), invocation_id=new_id(), at=SystemClock().now())
    return Accept(caller, "helper", new_id(), new_id(), event, event.at)


@dataclass
class Process:
    """One process, as far as the database can tell."""

    store: Store
    apps: Apps
    service: TaskService

    async def ask(self, caller: Caller, text: str, **envelope: Any) -> Task:
        """Send a message and wait for what comes of it."""
        answer = await self.service.send(caller, "helper", say(text, **envelope), SendOptions())
        assert isinstance(answer, Task)
        return answer

    async def ended(self, caller: Caller, task_id: str) -> Task:
        """The stored task once it has ended; nothing announces that."""
        async with asyncio.timeout(PATIENCE):
            while not (task := await self.store.tasks.get(caller, task_id)).status.state.terminal:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)
        return task


def answer_of(task: Task) -> str:
    """What the agent said."""
    said = [artifact for artifact in task.artifacts if artifact.id.startswith("answer")]
    return "".join(part.text for artifact in said for part in artifact.parts if isinstance(part, Text))


@asynccontextmanager
async def process(dsn: str) -> AsyncIterator[Process]:
    """A service that keeps its apps true."""
    loaded: Loaded = parse_config(FILE, env=Environment({}))
    catalog = Catalog(())
    store = await open_store(dsn)
    source = StoredApps(store.apps, lambda: loaded, Environment({}), catalog)
    apps = Apps(build(loaded.config, catalog), source)
    settings = Server(queue=Queue().with_changes(initial_delay=0.01, max_delay=0.02))
    try:
        async with TaskService(apps, store, SystemClock(), settings) as service:
            keeper = asyncio.ensure_future(Keeper(apps, store, SystemClock(), lambda: 900.0).keep())
            try:
                yield Process(store, apps, service)
            finally:
                keeper.cancel()
                await asyncio.wait((keeper,))
    finally:
        await apps.aclose()
        await store.aclose()
