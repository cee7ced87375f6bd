"""Hector in a program: agents described in Python, in a file, or in both; run, streamed and served."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hector.api.agent import Agent, Function, with_hook
from hector.api.making import all_agents, catalog_of, loaded_of
from hector.api.results import Answer, Piece, answer_of
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.config.root import HectorConfig
from hector.core.content import Content, Message, Text
from hector.core.errors import AgentError, ConfigError, NotFound
from hector.core.event import TextDelta
from hector.core.hooks import KINDS, Hook, Hooks
from hector.core.ids import new_id
from hector.core.task import AnswerDelta, Caller, ClientMessage, Task, TaskState, ToolProgress, Update
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.api.running import Background, Running

MEMORY = "sqlite://:memory:"


class Hector:
    """Agents and all that they need. Describe first; the first run opens it, `close` or `aclose` ends it.

    Use it in `with` (and call `run_sync`, `stream_sync`) or in `async with` (and `await run`, iterate over `stream`).
    `config` is a file that the program adds to; `database` keeps conversations, in memory unless said otherwise.
    """

    def __init__(self, config: str | Path | None = None, *, database: str = MEMORY, name: str = "") -> None:
        self._path = Path(config) if config is not None else None
        self._database = database
        self._blocks: dict[str, Any] = {"name": name} if name else {}
        self._agents: list[Agent] = []
        self._functions: list[Function] = []
        self._hooks: dict[str, Hooks] = {}
        self._environment = Environment()
        self._running: Running | None = None
        self._background: Background | None = None

    def llm(self, id: str = "default", **settings: Any) -> Self:
        """A model, with the keys of `llms.<id>`: provider, model, api_key ..."""
        self._blocks.setdefault("llms", {})[id] = settings
        return self

    def agent(self, *agents: Agent) -> Self:
        """Agents; those that they name come along."""
        self._agents += agents
        return self

    def tools(self, *functions: Function) -> Self:
        """Functions that entries of the file may name as their handlers."""
        self._functions += functions
        return self

    def set(self, **blocks: Any) -> Self:
        """Other blocks of the configuration, as the file has them: `budgets=[...]`, `storage={...}`."""
        for name, block in blocks.items():
            before = self._blocks.get(name)
            self._blocks[name] = {**before, **block} if isinstance(before, dict) else block
        return self

    def callbacks(self, agent: str, **hooks: Hook) -> Self:
        """Callbacks of an agent of the file, by their kinds: before_agent, after_agent and so on as of `Agent`."""
        for kind, hook in hooks.items():
            if kind not in KINDS:
                raise TypeError(f"{kind!r} is no kind of callback; there are {', '.join(KINDS)}")
            self._hooks[agent] = with_hook(self._hooks.get(agent, Hooks()), kind, hook)
        return self

    @property
    def config(self) -> HectorConfig:
        """The configuration that all this amounts to. Raises InvalidConfig with everything that is wrong."""
        return self._loaded()[0].config

    async def run(
        self,
        text: str | Sequence[Content],
        *,
        agent: str = "",
        session: str | None = None,
        task: str | None = None,
        user: str = "default",
    ) -> Answer:
        """Run a message to its end, or until the agent waits for something.

        `agent` is the first one unless said; `session` goes on with a conversation, `task` answers one that waits.
        Raises ConfigError, NotFound, and AgentError for a run that failed.
        """
        tasks, name = await self._open(agent)
        options = SendOptions(history_length=0)
        return _checked(await tasks.send(Caller(user=user), name, _message(text, session, task), options))

    async def stream(
        self,
        text: str | Sequence[Content],
        *,
        agent: str = "",
        session: str | None = None,
        task: str | None = None,
        user: str = "default",
    ) -> AsyncGenerator[Piece | Answer, None]:
        """The same piece by piece; the last item is the Answer."""
        tasks, name = await self._open(agent)
        caller, message = Caller(user=user), _message(text, session, task)
        stream = await tasks.stream(caller, name, message, SendOptions(history_length=0))
        async with aclosing(stream):
            async for batch in stream:
                for update in batch:
                    for piece in _pieces(update):
                        yield piece
        first = stream.first
        yield _checked(first if isinstance(first, ClientMessage) else await tasks.get(caller, name, first.id, 0))

    def run_sync(self, text: str | Sequence[Content], **options: Any) -> Answer:
        """`run`, for programs without an event loop."""
        return self._thread().run(self.run(text, **options))

    def stream_sync(self, text: str | Sequence[Content], **options: Any) -> Iterator[Piece | Answer]:
        """`stream`, for programs without an event loop."""
        items, thread = self.stream(text, **options), self._thread()
        try:
            while (item := thread.run(_next(items))) is not None:
                yield item
        finally:
            thread.run(items.aclose())

    def serve(self, *flags: str) -> int:
        """Serve over HTTP until told to stop, like `hector serve`; `flags` are its own, such as "--port", "9000"."""
        from hector.cli.serve import serve  # noqa: PLC0415 - only for programs that serve

        loaded, catalog = self._loaded()
        named = any(flag.partition("=")[0] == "--database" for flag in flags)
        database = () if named or self._database == MEMORY else ("--database", self._database)
        return serve((*flags, *database), self._environment, catalog, loaded)

    async def aclose(self) -> None:
        """End what still runs and close everything."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    def close(self) -> None:
        """The same, for programs without an event loop."""
        background, self._background = self._background, None
        if background is not None:
            background.run(self.aclose())
            background.close()

    async def __aenter__(self) -> Self:
        await self._open("")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        self._thread().run(self._open(""))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loaded(self) -> tuple[Loaded, Catalog]:
        """The checked configuration and the catalog behind it. Raises InvalidConfig, ConfigError."""
        agents = all_agents(self._agents)
        catalog = catalog_of(self._functions, agents, self._hooks)
        loaded = loaded_of(self._path, self._blocks, agents, catalog, self._environment)
        _check_hooks(catalog.hooks, loaded.config)
        return loaded, catalog

    async def _open(self, agent: str) -> tuple[TaskService, str]:
        """The tasks, and the agent that is meant. Raises ConfigError, StoreError, NotFound."""
        if self._running is None:
            from hector.api.running import Running  # noqa: PLC0415 - only for programs that run agents

            loaded, catalog = self._loaded()
            self._running = Running(self._database, self._environment, catalog, loaded)
        running = self._running
        try:
            instance = await running.instance()
        except Exception:
            self._running = None
            raise
        agents = instance.config.agents
        name = agent or next(iter(agents))
        if name not in agents:
            raise NotFound("agent", name)
        return instance.tasks, name

    def _thread(self) -> "Background":
        if self._background is None:
            from hector.api.running import Background  # noqa: PLC0415 - only for programs without a loop

            self._background = Background()
        return self._background


def _check_hooks(hooks: Any, config: HectorConfig) -> None:
    for name in hooks:
        found = config.agents.get(name)
        if found is None:
            raise ConfigError(f"there are callbacks for an agent {name!r}, which does not exist")
        if found.type != "llm":
            raise ConfigError(f"agent {name!r} has callbacks and is of type {found.type}; agents of type llm take them")


def _message(text: str | Sequence[Content], session: str | None, task: str | None) -> ClientMessage:
    parts = (Text(text),) if isinstance(text, str) else tuple(text)
    return ClientMessage(new_id(), Message("user", parts), session, task)


def _checked(found: Task | ClientMessage) -> Answer:
    answer = answer_of(found)
    if answer.state in (TaskState.FAILED.value, TaskState.CANCELED.value):
        raise AgentError(answer.question or f"the run is {answer.state}")
    return answer


def _pieces(update: Update) -> Iterator[Piece]:
    if isinstance(update, AnswerDelta):
        for delta in update.deltas:
            yield Piece("text" if isinstance(delta, TextDelta) else "thinking", delta.text)
    elif isinstance(update, ToolProgress) and update.call is not None:
        yield Piece("tool", update.call.name)


async def _next(items: AsyncGenerator[Piece | Answer, None]) -> Piece | Answer | None:
    return await anext(items, None)
