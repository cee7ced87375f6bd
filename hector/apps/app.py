"""An app: one configuration, its agents and the model clients that they share."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from hector.agents.llm import Agent
from hector.config.root import HectorConfig
from hector.core.errors import HectorError
from hector.core.ports import ChatModel
from hector.core.record import dataclass

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
        self._made: dict[str, ChatModel] = {}
        self._making = threading.Lock()

    def get(self, name: str) -> ChatModel:
        """The client of one model. Raises ModelError or ConfigError when it cannot be made."""
        model = self._made.get(name)
        return self._make(name) if model is None else model

    def _make(self, name: str) -> ChatModel:
        with self._making:  # `App.prepare` makes them in a thread, maybe while a message asks for the same one
            if name not in self._made:
                self._made[name] = self._create(name)
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
    agents: Mapping[str, Agent]
    models: Models
    used: tuple[str, ...] = ()
    """The models of all agents; of these, `eager` ones have something to start."""
    eager: tuple[str, ...] = ()
    structured: frozenset[str] = frozenset()
    """The agents whose answers are JSON of a given shape."""

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

    async def prepare(self) -> None:
        """Load the code of the models in use, aside from the event loop. Connects to nothing."""
        for name in self.used:
            with contextlib.suppress(Exception):  # the first call reports it
                await asyncio.to_thread(self.models.get, name)
