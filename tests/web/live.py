"""A whole server on loopback, in a thread of the test: real sockets, a real database file, scripted models."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app

PATIENCE = 30.0


@dataclass(slots=True)
class Live:
    """A running server; `call` runs a function on its own loop."""

    url: str
    loop: asyncio.AbstractEventLoop
    tasks: TaskService
    apps: Apps
    store: Store
    client: httpx.Client
    stopped: threading.Event = field(default_factory=threading.Event)

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
def live(config: Mapping[str, Any], folder: Path) -> Iterator[Live]:
    """Serve `config` with its database in `folder`."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    started: list[Live] = []
    up, stop = threading.Event(), asyncio.Event()
    failed: list[BaseException] = []

    async def run() -> None:
        parsed = HectorConfig.model_validate(config)
        store = await open_store(f"sqlite://{folder / 'hector.db'}")
        apps = Apps(build(parsed, Catalog(())))
        try:
            async with TaskService(apps, store, SystemClock()) as tasks:
                app = create_app(tasks, apps, store, parsed.server)
                server = _server(app)
                async with asyncio.TaskGroup() as group:
                    group.create_task(server.serve([listener]))
                    while not server.started:
                        await asyncio.sleep(0.005)
                    client = httpx.Client(base_url=url, timeout=PATIENCE)
                    started.append(Live(url, asyncio.get_running_loop(), tasks, apps, store, client))
                    up.set()
                    await stop.wait()
                    await tasks.drain(1)
                    server.should_exit = True
        finally:
            await apps.aclose()
            await store.aclose()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert up.wait(PATIENCE)
    try:
        if failed:
            raise failed[0]
        yield started[0]
    finally:
        if started:
            started[0].client.close()
            started[0].loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        listener.close()
    if failed:
        raise failed[0]


def _server(app: Any) -> uvicorn.Server:
    class Quiet(uvicorn.Server):
        """Signals belong to the test runner."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Quiet(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=3, http="h11"
        )
    )
