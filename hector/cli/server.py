"""The HTTP server process: socket, signals, reload, orderly stop."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from hector.cli.lean import skip_command_line
from hector.config.transport import Heads
from hector.core.errors import StartupError

skip_command_line()
from uvicorn.config import Config  # noqa: E402 - only now without its command line
from uvicorn.server import Server  # noqa: E402 - likewise

from hector.cli.http import bounded  # noqa: E402 - likewise

if TYPE_CHECKING:
    from hector.cli.tls import ServerTls

log = logging.getLogger("hector.server")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises StartupError that says what is in the way and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only if told so
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise StartupError(_bind_problem(host, port, error)) from None
    found.listen(2048)
    found.setblocking(False)
    return found


def _bind_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is already in use; stop the other program, "
            "or choose another port with --port (0 takes any free one)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"not allowed to listen on {host} port {port}; ports below 1024 need a privilege: use --port 8080"
    return f"cannot listen on {host} port {port}: {error.strerror or error}; check --host and --port"


class _Server(Server):
    """Uvicorn without signal handlers of its own: signals are ours, so that a stop is orderly and exits with 0."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any,
    listener: socket.socket,
    *,
    heads: Heads | None = None,
    tls: "ServerTls | None" = None,
    drain: Callable[[], Awaitable[None]],
    reload: Callable[[], Coroutine[Any, Any, None]],
    ready: Callable[[], None],
) -> None:
    """Answer until SIGINT or SIGTERM; then take no new connections, `drain`, and close. SIGHUP calls `reload`."""
    config = Config(
        app,
        loop="asyncio",
        http=bounded(heads or Heads()),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        ssl_context_factory=None if tls is None else lambda *_: tls.context,
    )
    server = _Server(config)
    stopping = asyncio.Event()
    async with _signals(stopping, reload), asyncio.TaskGroup() as group:
        keeping = group.create_task(tls.keep()) if tls is not None else None
        group.create_task(server.serve(sockets=[listener]))
        await server.up.wait()
        ready()
        await stopping.wait()
        log.info("stopping")
        for accepting in server.servers:
            accepting.close()
        await drain()
        if keeping is not None:
            keeping.cancel()
        server.should_exit = True


@contextlib.asynccontextmanager
async def _signals(stopping: asyncio.Event, reload: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Turn signals into events; a second SIGINT or SIGTERM ends the process at once."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def stop() -> None:
        if stopping.is_set():
            log.warning("stopped at once, without waiting for running tasks")
            logging.shutdown()
            os._exit(1)
        stopping.set()

    def start_reload() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = start_reload
    for number, handler in handlers.items():
        _handle(loop, number, handler)
    try:
        yield
    finally:
        for task in reloads:
            task.cancel()


def _handle(loop: asyncio.AbstractEventLoop, number: int, handler: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, handler)
    except NotImplementedError:  # Windows has no loop signal handlers
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(handler))
