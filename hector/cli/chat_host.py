"""A server inside this process, for a chat without one: on a port of its own, in a thread of its own."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import Server

from hector.cli.instance import Instance
from hector.cli.server import bind
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.config.startup import Startup
from hector.core.identity import Principal, Role, Via
from hector.observe.log import set_up
from hector.tools.catalog import Catalog


class _Server(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the chat."""
        yield


@contextmanager
def hosted(environment: Environment, catalog: Catalog, loaded: Loaded, startup: Startup, token: str) -> Iterator[str]:
    """The URL of a server over this configuration, as long as the block runs. It takes the token from the chat.

    Raises ConfigError, StartupError and StoreError before it begins.
    """
    set_up("error", file=Path(startup.log_file) if startup.log_file else None)
    logging.getLogger("hector.server").setLevel(logging.ERROR)
    logging.getLogger("hector.mcp").setLevel(logging.WARNING)  # an agent without its tools would only seem dull
    begun: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def run() -> None:
        try:
            asyncio.run(_serve(environment, catalog, loaded, startup, token, begun))
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    url, loop, stop = begun.result()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)


async def _serve(
    environment: Environment,
    catalog: Catalog,
    loaded: Loaded,
    startup: Startup,
    token: str,
    begun: "Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]",
) -> None:
    stop = asyncio.Event()
    with bind("127.0.0.1", 0) as listener:
        settings = loaded.config.server.with_changes(auth=startup.auth, host="127.0.0.1", egress=startup.egress)
        async with Instance.open(startup.database, environment, catalog, loaded, settings) as instance:
            instance.auth.let_in(token, Principal("chat", Role.USER, Via.SECRET))
            web = instance.web()
            server = _Server(Config(web, loop="asyncio", ws="none", lifespan="off", log_config=None))
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[listener]))
                warming = [group.create_task(instance.start()), group.create_task(instance.warm_up())]
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                begun.set_result((url, asyncio.get_running_loop(), stop))
                await stop.wait()
                for task in warming:
                    task.cancel()
                await instance.tasks.drain(0.0)
                server.should_exit = True
