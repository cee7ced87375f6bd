"""A whole server on loopback, in a thread of the test: real sockets, a real database file, scripted models."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.apps.stored import StoredApps
from hector.auth.authenticator import ADMIN
from hector.auth.opening import open_authenticator
from hector.cli.server import bind
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.limits.limits import Limits
from hector.observe import metrics
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app
from hector.web.metrics import Watched

PATIENCE = 30.0
ADMIN_SECRET = "a-secret-of-the-tests"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN_SECRET}"}
"""The head of a request with all rights."""


@dataclass(slots=True)
class Live:
    """A running server; `call` runs a function on its own loop."""

    url: str
    loop: asyncio.AbstractEventLoop
    tasks: TaskService
    apps: Apps
    store: Store
    client: httpx.Client
    app: Starlette
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self, work: Callable[[], Any]) -> Any:
        """Await `work()` inside the server."""
        return asyncio.run_coroutine_threadsafe(work(), self.loop).result(PATIENCE)

    def rpc(self, method: str, params: Any = None, agent: str = "helper", **headers: str) -> httpx.Response:
        """One JSON-RPC request with the header of 1.0."""
        body = {"jsonrpc": "2.0", "id": "r-1", "method": method, "params": params}
        return self.client.post(f"/agents/{agent}", json=body, headers={"A2A-Version": "1.0", **headers})

    def send(self, text: str = "hello", agent: str = "helper", **message: Any) -> dict[str, Any]:
        """SendMessage over HTTP+JSON; the task or message that came back."""
        body = {"message": user(text, **message)}
        answer = self.client.post(f"/agents/{agent}/message:send", json=body)
        assert answer.status_code == 200, answer.text
        (value,) = answer.json().values()
        return dict(value)


def user(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A message in the words of 1.0."""
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def helper(*rules: Mapping[str, Any], **agent: Any) -> dict[str, Any]:
    """A configuration with one scripted agent, `helper`."""
    return {
        "llms": {"default": {"provider": "scripted", "rules": list(rules)}},
        "agents": {"helper": {"instruction": "Help.", "tools": ["ask_user", "save_artifact"], **agent}},
    }


@contextmanager
def live(config: Mapping[str, Any] | HectorConfig, folder: Path) -> Iterator[Live]:
    """Serve `config` with its database in `folder`."""
    up: Future[Live] = Future()
    with ThreadPoolExecutor(1) as pool, bind("127.0.0.1", 0) as listener:
        parsed = config if isinstance(config, HectorConfig) else HectorConfig.model_validate(config)
        done = pool.submit(asyncio.run, _run(parsed, folder, listener, up))
        either: list[Future[Any]] = [up, done]
        wait(either, PATIENCE, FIRST_COMPLETED)
        if done.done():
            done.result()
        server = up.result(0)
        try:
            yield server
        finally:
            server.client.close()
            server.loop.call_soon_threadsafe(server.stop.set)
            done.result(PATIENCE)


def watched_by(config: HectorConfig) -> Watched | None:
    """Where figures are counted, if the configuration wants any."""
    settings = config.observability and config.observability.metrics
    return Watched.of(settings) if settings and settings.enabled else None


async def _run(config: HectorConfig, folder: Path, listener: socket.socket, up: "Future[Live]") -> None:
    watched = watched_by(config)
    with nullcontext() if watched is None else metrics.counting(watched.metrics):
        await _serve(config, folder, listener, up, watched)


async def _serve(
    config: HectorConfig, folder: Path, listener: socket.socket, up: "Future[Live]", watched: Watched | None
) -> None:
    store = await open_store(f"sqlite://{folder / 'hector.db'}")
    loaded = Loaded(config, None)
    apps = Apps(build(config, Catalog(())), StoredApps(store.apps, lambda: loaded, Environment({}), Catalog(())))
    try:
        limits = Limits(store, SystemClock(), config)
        async with TaskService(apps, store, SystemClock(), config.server, limits) as tasks:
            auth = open_authenticator(config.server, store, SystemClock())
            auth.let_in(ADMIN_SECRET, ADMIN)
            app = create_app(tasks, apps, store, config.server, auth=auth, watched=watched)
            server = _Server(app)
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve([listener]))
                await server.up.wait()
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                client = httpx.Client(base_url=url, timeout=PATIENCE)
                made = Live(url, asyncio.get_running_loop(), tasks, apps, store, client, app)
                up.set_result(made)
                await made.stop.wait()
                await tasks.drain(1)
                server.should_exit = True
    finally:
        await apps.aclose()
        await store.aclose()


class _Server(uvicorn.Server):
    """Signals belong to the test runner."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="none", proxy_headers=False, timeout_graceful_shutdown=3
        )
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
