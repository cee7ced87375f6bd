"""A task service over a real database and scripted models, from a configuration as it stands in a file."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.llm_scripted import ScriptRule
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.core.content import Text, user
from hector.core.event import Delta
from hector.core.ids import new_id
from hector.core.ports import ModelReply, ModelRequest
from hector.core.task import Caller, ClientMessage, Task
from hector.limits.limits import Limits
from hector.models.scripted import ScriptedModel
from hector.store import Store, open_store
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog
from tests.tasks.conftest import QUICK

ANA, BO = Caller(user="ana"), Caller(user="bo")


class Heard(ScriptedModel):
    """Remembers what it is asked."""

    def __init__(self, rules: Sequence[ScriptRule]) -> None:
        super().__init__(rules)
        self.requests: list[ModelRequest] = []

    def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        self.requests.append(request)
        return super().stream(request)


class World:
    """What tests talk to."""

    def __init__(self, service: TaskService, store: Store, app: Any) -> None:
        self.service = service
        self.store = store
        self.app = app

    def listen(self, llm: str) -> list[ModelRequest]:
        """From now on, what a scripted model is asked."""
        model = Heard(self.app.config.llms[llm].rules)
        self.app.models._made[llm] = model  # as if it had been made that way
        return model.requests

    async def ask(self, text: str, caller: Caller = ANA, context: str = "c", agent: str = "helper") -> str:
        """The answer; of a task that failed, why."""
        said = ClientMessage(new_id(), user(text), context)
        task = await self.service.send(caller, agent, said, SendOptions())
        assert isinstance(task, Task)
        return answer_of(task)


def answer_of(task: Task) -> str:
    """What the agent said; of a task that failed, why."""
    if task.status.message is not None:
        return task.status.message.message.text
    answers = (artifact for artifact in task.artifacts if artifact.id.startswith("answer"))
    return "".join(part.text for artifact in answers for part in artifact.parts if isinstance(part, Text))


@asynccontextmanager
async def serving(dsn: str, config: HectorConfig, *functions: Any) -> AsyncIterator[World]:
    """All of one test share a database."""
    store = await open_store(dsn)
    app = build(config, Catalog(functions))
    apps = Apps(app)
    try:
        limits = Limits(store, SystemClock(), config)
        async with TaskService(apps, store, SystemClock(), QUICK, limits) as service:
            yield World(service, store, app)
    finally:
        await apps.aclose()
        await store.aclose()


def world(dsn: str, config: dict[str, Any], *functions: Any) -> AbstractAsyncContextManager[World]:
    """The same from what a file holds."""
    return serving(dsn, HectorConfig.model_validate(config), *functions)


def scripted(*rules: dict[str, Any], **agent: Any) -> dict[str, Any]:
    """One scripted model, one agent named `helper`."""
    return {
        "llms": {"default": {"provider": "scripted", "rules": list(rules), "retry": {"max_attempts": 1}}},
        "agents": {"helper": {"instruction": "Help.", **agent}},
    }
