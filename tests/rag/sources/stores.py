"""Object stores for tests: moto (S3), Azurite (Azure) and the emulator of Google's, where they are installed.

PyPI servers are looked for in .venv-servers, or in the folder of programs that TEST_SERVERS names; Azurite among the
packages that TEST_NODE_PACKAGES names.
"""

import base64
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of Azurite's own account, which everybody knows."""
_START: Final = 30.0
_PLAIN: Final = {
    "content-type": "application/octet-stream",
    "authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=x, Signature=x",
}
"""moto wants to see that somebody has signed, and does not look how."""
_ROOT: Final = Path(__file__).parents[3]


def program(name: str) -> str:
    """Where it is. Skips the test where it is not."""
    folders = [os.environ.get("TEST_SERVERS", ""), str(_ROOT / ".venv-servers/bin")]
    found = next((path for folder in folders if folder and (path := shutil.which(name, path=folder))), None)
    if found is None:
        pytest.skip(f"{name} is not installed (group `servers` of pyproject.toml)")
    return found


def node_program(name: str) -> str:
    """The same for packages of npm."""
    found = shutil.which(name, path=str(Path(os.environ.get("TEST_NODE_PACKAGES", "nowhere")) / "node_modules/.bin"))
    if found is None:
        pytest.skip(f"{name} is not installed (npm install {name}; TEST_NODE_PACKAGES names the folder)")
    return found


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """A server, once it takes connections; its address."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        try:
            deadline = time.monotonic() + _START
            while not _answers(port):
                assert process.poll() is None, f"{command[0]} has ended"
                assert time.monotonic() < deadline, f"{command[0]} does not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """One request of the tests' own."""
    request = urllib.request.Request(url, data=body or None, method=method, headers=dict(headers or _PLAIN))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def put_azure(base: str, path: str, body: bytes, query: Mapping[str, str], kind: str = "") -> None:
    """Make a container or a blob, signed by the account's key."""
    headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2021-12-02"}
    if kind:
        headers["x-ms-blob-type"] = kind
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    length = str(len(body)) if body else ""
    content = "application/octet-stream" if body else ""
    text = f"PUT\n\n\n{length}\n\n{content}\n\n\n\n\n\n\n{lines}/{ACCOUNT}/{ACCOUNT}{path}{asked}"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"authorization": f"SharedKey {ACCOUNT}:{signature}", "content-length": str(len(body))}
    if content:
        headers["content-type"] = content
    line = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    send("PUT", f"{base}/{ACCOUNT}{path}" + (f"?{line}" if line else ""), body, headers)


def put_google(base: str, name: str, body: bytes) -> None:
    """Make an object in `bucket`."""
    send("POST", f"{base}/upload/storage/v1/b/bucket/o?uploadType=media&name={quote(name, safe='')}", body)
