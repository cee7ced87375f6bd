"""An app: one configuration, its agents and the model clients that they share."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hector.agents.flow import Worker
from hector.config.root import HectorConfig
from hector.core.errors import HectorError
from hector.core.ports import ChatModel, Toolset
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.a2a.client import Client
    from hector.apps.removal import Configurations
    from hector.models.fallback import Rests
    from hector.rag.knowledge import Knowledge
    from hector.rag.recollection import Meaning
    from hector.rag.shelving import Library
    from hector.store import Store

log = logging.getLogger("hector.apps")


@runtime_checkable
class Startable(Protocol):
    """A model that has something to bring up before its first answer, such as a child process."""

    async def start(self) -> None:
        """Bring it up. Raises ModelError."""


class Models:
    """Model clients by id, each made when it is first needed and closed with the app."""

    def __init__(self, create: Callable[[str], ChatModel]) -> None:
        self._create = create
        self._offered: dict[str, Callable[[], ChatModel]] = {}
        self.rests: Rests | None = None
        self._made: dict[str, ChatModel] = {}
        self._making = threading.Lock()

    def offer(self, name: str, create: Callable[[], ChatModel]) -> None:
        """Have another client, under a name that no model has: one of several models, or of one agent alone."""
        self._offered[name] = create

    def get(self, name: str) -> ChatModel:
        """The client of one model. Raises ModelError or ConfigError when it cannot be made."""
        model = self._made.get(name)
        return self._make(name) if model is None else model

    def _make(self, name: str) -> ChatModel:
        with self._making:  # `App.prepare` makes them in a thread, maybe while a message asks for the same one
            if name not in self._made:
                offered = self._offered.get(name)
                self._made[name] = self._create(name) if offered is None else offered()
            return self._made[name]

    async def aclose(self) -> None:
        """Close every client; one that fails to close does not keep the others open."""
        while self._made:
            name, model = self._made.popitem()
            try:
                await model.aclose()
            except Exception:
                log.exception("model could not be closed", extra={"model": name})


@dataclass(frozen=True, slots=True)
class App:
    """Immutable once built: a reload builds another one, and running tasks keep the one they began with."""

    id: str
    config: HectorConfig
    agents: Mapping[str, Worker]
    models: Models
    used: tuple[str, ...] = ()
    """The models of all agents; of these, `eager` ones have something to start."""
    eager: tuple[str, ...] = ()
    structured: frozenset[str] = frozenset()
    """The agents whose answers are JSON of a given shape."""
    toolsets: tuple[Toolset, ...] = ()
    """What holds connections or processes for tools."""
    keeps: bool = False
    """Whether any agent could keep something beside a conversation."""
    clients: "tuple[Client, ...]" = ()
    """Of agents elsewhere."""
    knowledge: "Knowledge | None" = None
    """Its document stores, if it has any."""
    meaning: "Meaning | None" = None
    """Finds memories by what they mean, where that is wanted."""

    async def start(self) -> None:
        """Bring up what answers should not have to wait for. Failures are logged: the first call reports them again."""
        async with asyncio.TaskGroup() as group:
            for name in self.eager:
                group.create_task(self._start_model(name))

    async def _start_model(self, name: str) -> None:
        try:
            model = self.models.get(name)
            if isinstance(model, Startable):
                await model.start()
        except HectorError as error:
            log.warning("model is not ready", extra={"model": name, "error": str(error)})
        except Exception:
            log.exception("model could not be started", extra={"model": name})

    async def aclose(self) -> None:
        """Close what it holds; what fails to close does not keep the rest open."""
        held: list[Toolset | Client | Knowledge | Meaning] = [*self.toolsets, *self.clients]
        if self.meaning is not None:
            held.append(self.meaning)
        if self.knowledge is not None:
            held.append(self.knowledge)
        if held:
            async with asyncio.TaskGroup() as group:  # a server of tools may take seconds to end
                for one in held:
                    group.create_task(_end(one))
        await self.models.aclose()

    def remember_tools(self, store: "Store") -> None:
        """Have what is kept of tools that may change behind people's backs in this database."""
        if self.toolsets:
            from hector.mcp.pins import Pinned  # noqa: PLC0415 - loaded on first use

            for toolset in self.toolsets:
                if isinstance(toolset, Pinned):
                    toolset.pin(store.mcp_pins)

    async def prepare(self) -> None:
        """Load the code of the models in use, aside from the event loop. Connects to nothing."""
        for name in self.used:
            with contextlib.suppress(Exception):  # the first call reports it
                await asyncio.to_thread(self.models.get, name)


async def _end(held: "Toolset | Client | Knowledge | Meaning") -> None:
    try:
        await held.aclose()
    except Exception:
        log.exception("connections could not be closed")


class Shelves:
    """The document stores of all apps of a process: open once each, and indexed from when the server is ready.

    Nothing of retrieval is loaded before an app has one.
    """

    def __init__(
        self,
        readers: int = 0,
        file: Callable[[], HectorConfig] | None = None,
        configurations: "Configurations | None" = None,
    ) -> None:
        """`readers` as `rag.shelving.Library` has it; `file` gives the operator's configuration."""
        self._readers = readers
        self._file = file
        self._configurations = configurations
        self._library: Library | None = None
        self._started = False

    def take(self, app: App) -> None:
        """An app that is served from now on: what it knows is open as long as the app is."""
        if app.knowledge is None:
            return
        if self._library is None:
            from hector.rag.shelving import Library  # noqa: PLC0415 - only where an app has document stores

            self._library = Library(readers=self._readers)
            if self._started:
                self._library.start()
        app.knowledge.bind(self._library)

    def start(self) -> None:
        """Index from now on."""
        self._started = True
        if self._library is not None:
            self._library.start()

    async def remove(self, app: str, seconds: float) -> "tuple[bool, Sequence[str]]":
        """Delete all indexes of an app that is no more; those of other hosts are theirs to delete.

        As `removal.Removal` says. Raises StoreError.
        """
        if self._library is not None:
            await self._library.forget(app)
        from hector.apps.removal import Removal  # noqa: PLC0415 - only when an app is deleted

        return await Removal(app, self._file() if self._file else None, self._configurations)(seconds)

    async def aclose(self) -> None:
        """Close what is still open."""
        if self._library is not None:
            await self._library.aclose()
