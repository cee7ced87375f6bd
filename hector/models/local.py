"""A model file on this machine: chat/completions against a llama.cpp of our own."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from hector.config.llm_local import LocalLlm
from hector.config.modelfile import FOLDER, VARIABLE, find_model, is_model_file
from hector.core.errors import ConfigError, ModelUnavailable
from hector.core.event import Delta
from hector.core.ports import ModelReply, ModelRequest
from hector.core.record import dataclass
from hector.models.http import HttpModel, connect
from hector.models.llama import LlamaServer, Patience
from hector.models.llama_launch import Launch, find_program, thread_count
from hector.models.openai_chat import ChatWire


@dataclass(slots=True)
class _Lease:
    server: LlamaServer
    holders: int = 0


_LEASES: Final[dict[Launch, _Lease]] = {}
"""The running children: equal ones are shared, so that a reload or a second temperature does not load a file twice."""


class LocalModel:
    """ChatModel over a supervised llama.cpp. `start` loads the model ahead of the first call, which else does it."""

    def __init__(self, llm: LocalLlm, name: str, launch: Launch, patience: Patience | None = None) -> None:
        # Small models may never stop by themselves: without a limit, half of the context is for the answer.
        self._llm = llm if llm.max_tokens else llm.with_changes(max_tokens=max(1, llm.context_size // 2))
        self._name = name
        self._launch = launch
        self._patience = patience or Patience(start=llm.startup_timeout)
        self._server: LlamaServer | None = None
        self._client: HttpModel | None = None
        self._client_url = ""
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id of llama.cpp; None while it does not run."""
        return self._server.pid if self._server is not None else None

    async def start(self) -> None:
        """Begin to load the model; returns at once."""
        await self._shared().start()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """As ChatModel says. Waits while the model loads; asks once more when llama.cpp was started again meanwhile."""
        shown = False
        url = await self._connect()
        try:
            async with aclosing(self._inner.stream(request)) as items:
                async for item in items:
                    shown = True
                    yield item
            return
        except ModelUnavailable:
            if shown or self._settled_at(url):
                raise
        await self._connect()
        async with aclosing(self._inner.stream(request)) as items:
            async for item in items:
                yield item

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The same without streaming."""
        url = await self._connect()
        try:
            return await self._inner.complete(request)
        except ModelUnavailable:
            if self._settled_at(url):
                raise
        await self._connect()
        return await self._inner.complete(request)

    async def aclose(self) -> None:
        """Stop llama.cpp, unless another model uses the same."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()
        if self._server is not None:
            server, self._server = self._server, None
            lease = _LEASES[self._launch]
            lease.holders -= 1
            if not lease.holders:
                del _LEASES[self._launch]
                await server.aclose()

    @property
    def _inner(self) -> HttpModel:
        assert self._client is not None, "_connect() makes it"  # noqa: S101
        return self._client

    def _settled_at(self, url: str) -> bool:
        """Whether asking again would meet the same child, or none because we are closed."""
        return self._server is None or self._server.is_at(url)

    def _shared(self) -> LlamaServer:
        """The child for this model, its own or one that runs already."""
        if self._closed:
            raise ModelUnavailable(f"llm {self._name!r}: closed")
        if self._server is None:
            label = f"local model {self._launch.model.name}"
            lease = _LEASES.setdefault(self._launch, _Lease(LlamaServer(self._launch, label, self._patience)))
            lease.holders += 1
            self._server = lease.server
        return self._server

    async def _connect(self) -> str:
        """Get ready to talk to the healthy llama.cpp, wherever it listens now."""
        server = self._shared()
        url = await server.url()
        if url != self._client_url:
            if self._client is not None:
                await self._client.aclose()
            key = server.key
            wire = ChatWire(self._name, self._llm, f"{url}/v1")
            headers = {"authorization": f"Bearer {key}"}
            self._client = connect(wire, self._llm, base_url=f"{url}/v1", headers=headers, secret=key, purpose="child")
            self._client_url = url
        return url


def model_path(llm: LocalLlm, name: str) -> Path:
    """The model file to run. Raises ConfigError when there is none, or when it is something else."""
    path = Path(llm.path).expanduser() if llm.path else find_model()
    where = f"llms.{name}.path"
    if path is None:
        raise ConfigError(
            f"{where}: no model file was found; name a GGUF file here or in {VARIABLE}, or put one in {FOLDER}/"
        )
    if not path.is_file():
        raise ConfigError(f"{where}: there is no file {str(path)!r}; name a GGUF file here or in {VARIABLE}")
    if not is_model_file(path):
        raise ConfigError(f"{where}: {str(path)!r} cannot be read as a GGUF file")
    return path


def create(llm: LocalLlm, name: str) -> LocalModel:
    """The model that `llms.<name>` describes. Starts nothing yet. Raises ConfigError."""
    path = model_path(llm, name)
    try:
        program = find_program(llm.executable, os.environ)
    except ConfigError as error:
        raise ConfigError(f"llms.{name}: {error}") from error
    launch = Launch(path, llm.model, llm.host, llm.port, llm.context_size, thread_count(llm.threads), program)
    return LocalModel(llm, name, launch)
