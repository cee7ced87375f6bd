"""Hector as its users meet it: a command in a folder of its own, in whichever form it was delivered."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DIST: Final = ROOT / "dist"
FORMS: Final[Mapping[str, Sequence[str]]] = {
    "source": (sys.executable, "-m", "hector"),
    "one-file": (str(DIST / "hector"),),
    "one-folder": (str(DIST / "hector-onedir" / "hector"),),
}
PATIENCE: Final = 40.0  # seconds that a start, an answer or a stop may take on a loaded machine
CLOSED_PORT: Final = "http://127.0.0.1:1"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP request came back with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request; an error status is an answer, too."""
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(call, timeout=PATIENCE) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


@dataclass(slots=True)
class Server:
    """A running `hector serve`."""

    process: subprocess.Popen[str]
    url: str
    output: Path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"exited with {self.process.returncode}:\n{self.text()}")
            try:
                if request(f"{self.url}/readyz").status == 200:
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)  # nothing announces that a port begins to listen
        raise AssertionError(f"not ready after {PATIENCE} s:\n{self.text()}")

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def say(self, agent: str, text: str, context: str | None = None) -> dict[str, Any]:
        """The task that answers one message over HTTP+JSON."""
        message: dict[str, object] = {"messageId": os.urandom(8).hex(), "role": "ROLE_USER", "parts": [{"text": text}]}
        if context:
            message["contextId"] = context
        answer = request(f"{self.url}/agents/{agent}/message:send", {"message": message}, {"A2A-Version": "1.0"})
        assert answer.status == 200, answer.body
        task: dict[str, Any] = answer.json()["task"]
        return task

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE)


def answer_text(task: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for artifact in task["artifacts"] for part in artifact["parts"])


@dataclass(frozen=True, slots=True)
class Hector:
    """One delivered form, run in `folder` with nothing of this machine's environment but what is given."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home), "OLLAMA_HOST": CLOSED_PORT, **self.environment}

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self._environment(),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    @contextmanager
    def serve(self, *arguments: str, port: int = 0, ready: bool = True) -> Iterator[Server]:
        """A server, `ready` unless the test waits itself; killed at the end unless the test stopped it."""
        port = port or free_port()
        output = self.folder / f"serve-{port}.log"
        with output.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*self.command, "serve", "--port", str(port), *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        server = Server(process, f"http://127.0.0.1:{port}", output)
        try:
            if ready:
                server.wait_until_ready()
            yield server
        finally:
            process.kill()
            process.wait(PATIENCE)


class _EchoModel(BaseHTTPRequestHandler):
    """Says how many things the user has said and repeats them: proof of what the model was shown."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = [_plain(entry["content"]) for entry in body["messages"] if entry["role"] == "user"]
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": f"{len(said)}: {' | '.join(said)}"},
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        data = json.dumps(answer).encode()
        with suppress(ConnectionError):  # the client may have been killed meanwhile
            self._send(data)

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the test's output is for the test."""


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: clients are killed here on purpose."""


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@contextmanager
def echo_model() -> Iterator[str]:
    """Base URL of an OpenAI-compatible server on loopback that repeats what it was told."""
    server = _QuietServer(("127.0.0.1", 0), _EchoModel)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
