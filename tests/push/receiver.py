"""A receiver of notifications on loopback: real HTTP, every request kept, answers as a test wants them."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request. `headers` has lower-case names."""

    path: str
    headers: Mapping[str, str]
    body: Any
    status: int

    @property
    def id(self) -> str:
        """What tells a repetition."""
        return self.headers["x-a2a-notification-id"]

    @property
    def state(self) -> str:
        """The state that it speaks of; empty for an artifact."""
        if "kind" in self.body:
            return str(self.body["status"]["state"])
        update = self.body.get("statusUpdate")
        return str(update["status"]["state"]).removeprefix("TASK_STATE_") if update else ""


@dataclass(slots=True)
class Receiver:
    """`answer` gives a status for the n-th request (from 0), perhaps with headers; 0 hangs up instead."""

    url: str
    answer: Callable[[int], int] = lambda _: 200
    extra: Mapping[str, str] = field(default_factory=dict)
    got: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, enough: "Callable[[list[Received]], bool]", seconds: float = PATIENCE) -> list[Received]:
        """Everything received, once it is enough."""
        with self.changed:
            assert self.changed.wait_for(lambda: enough(self.taken), seconds), [one.body for one in self.got]
            return self.taken

    def ended(self, state: str = "COMPLETED", seconds: float = PATIENCE) -> list[Received]:
        """What was taken, once the task has been said to be in this state."""
        return self.wait(lambda got: any(one.state.upper() == state for one in got), seconds)

    @property
    def taken(self) -> list[Received]:
        """Those that were answered with success."""
        return [one for one in self.got if 200 <= one.status < 300]

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.changed:
            status = self.answer(len(self.got))
            self.got.append(Received(handler.path, headers, body, status))
            self.changed.notify_all()
        if status == 0:
            handler.connection.close()
            return
        handler.send_response(status)
        for name, value in self.extra.items():
            handler.send_header(name, value)
        handler.end_headers()


class _Quiet(ThreadingHTTPServer):
    """Hung up on, it says nothing."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    """A running receiver."""
    found: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found[0](self)

        def log_message(self, *_: Any) -> None:
            pass

    with _Quiet(("127.0.0.1", port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        found.append(Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}/notify?k=v"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield found[0]
        finally:
            server.shutdown()
            thread.join()
