"""Does what the README's first command promises: clone, `make serve`, get an answer of a real local model, stop.

python3 scripts/try_serve.py    takes a minute and the package registries; needs nothing but Python, git and make
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
PATIENCE: Final = 600.0  # seconds for setting up, on a slow line
MESSAGE: Final = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "Name three colours."}]}}


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def foreign(name: str) -> bool:
    """Whether a variable would give the server a model, or tell an outer make's wishes to the inner one."""
    return name.endswith(("_API_KEY", "_BASE_URL")) or name.startswith(("HECTOR_", "OLLAMA_", "MAKE", "MFLAGS"))


def get(url: str, body: object = None) -> Any:
    """The JSON that a request comes back with. Raises OSError."""
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data, {"Content-Type": "application/json", "A2A-Version": "1.0"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(call, timeout=120) as answer:
        return json.load(answer)


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Return once it takes work. Exits when the server ends or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"make serve ended with {server.returncode}")
        with contextlib.suppress(OSError):
            get(f"{url}/readyz")
            return
        time.sleep(0.2)
    sys.exit(f"make serve was not ready after {PATIENCE} s")


def answer_of(url: str) -> str:
    """What the agent says."""
    task = get(f"{url}/agents/assistant/message:send", MESSAGE)["task"]
    if task["status"]["state"] != "TASK_STATE_COMPLETED":
        sys.exit(f"the task ended as {task['status']}")
    return "".join(part["text"] for artifact in task["artifacts"] for part in artifact["parts"])


def main() -> int:
    """In a clone with an empty home, without keys."""
    with tempfile.TemporaryDirectory(prefix="hector-try-") as folder:
        clone, home, port = Path(folder) / "hector", Path(folder) / "home", free_port()
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = {name: value for name, value in os.environ.items() if not foreign(name)} | {"HOME": str(home)}
        command = ["make", "serve", f"ARGS=--port {port}"]
        started = time.monotonic()
        server = subprocess.Popen(command, cwd=clone, env=environment, stdin=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(server, url)
            ready = time.monotonic() - started
            config = (clone / ".hector" / "config.yaml").read_text(encoding="utf-8")
            if "provider: local" not in config:
                sys.exit("make serve found something else than the local model")
            text = answer_of(url).strip()
        finally:
            server.terminate()  # make passes it on
            server.wait(60)
    print(f"make serve was ready after {ready:.0f} s and answered after {time.monotonic() - started:.0f} s: {text!r}")
    return 0 if text else 1


if __name__ == "__main__":
    sys.exit(main())
