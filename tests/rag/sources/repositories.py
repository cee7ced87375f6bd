"""Repositories for tests: made by git, served by `git http-backend` on loopback. Tests are skipped where git is not."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
       for what, value in (("NAME", "T"), ("EMAIL", "t@example.org"), ("DATE", "2026-01-02T03:04:05Z"))},
}  # fmt: skip


def git(folder: Path, *words: str, stdin: bytes = b"") -> str:
    """One command of git in a folder, and what it says."""
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(command, cwd=folder, env=_ENVIRONMENT, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Repository:
    """A working copy, and the bare repository that it is pushed to."""

    def __init__(self, folder: Path, *, filters: bool = True) -> None:
        if shutil.which("git") is None:
            pytest.skip("git is not installed")
        self.folder, self.bare = folder / "work", folder / "served" / "docs.git"
        self.folder.mkdir(parents=True)
        self.bare.mkdir(parents=True)
        git(self.folder, "init", "-q")
        git(self.bare, "init", "-q", "--bare")
        git(self.bare, "config", "uploadpack.allowFilter", "true" if filters else "false")
        git(self.folder, "remote", "add", "origin", str(self.bare))

    def commit(self, files: Mapping[str, bytes | None], branch: str = "main") -> str:
        """Write files (None: delete), commit and push by force; gives the commit's id."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                path.unlink()
            else:
                path.write_bytes(data)
        git(self.folder, "add", "-A", "-f")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", "change")
        return self.push(branch)

    def push(self, branch: str = "main") -> str:
        """Push what is checked out."""
        git(self.folder, "push", "-q", "--force", "origin", f"HEAD:refs/heads/{branch}", "--tags")
        return git(self.folder, "rev-parse", "HEAD")


@dataclass
class Served:
    """A running server. `password`: of the user `reader`, empty for none; `asked`: requests, and lengths of answers."""

    url: str = ""
    password: str = ""
    is_old: bool = False
    spoil: Callable[[bytes], bytes] | None = None
    """What is made of answers that hold packs."""
    elsewhere: str = ""
    """Where callers are sent on to."""
    asked: list[tuple[str, bytes, int]] = field(default_factory=list)

    @property
    def fetches(self) -> list[int]:
        """Lengths of the answers that held packs."""
        return [size for _, body, size in self.asked if b"want " in body]


@contextmanager
def serving(root: Path) -> Iterator[Served]:
    """Everything below a folder, by git's own program."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["content-length"])))

        def log_message(self, *_: Any) -> None:
            """Not on the terminal."""

        def _answer(self, body: bytes) -> None:
            pair = base64.b64encode(f"reader:{served.password}".encode()).decode()
            if served.password and self.headers.get("authorization") != f"Basic {pair}":
                self._send(401, {"www-authenticate": "Basic"}, b"who are you?")
                return
            if served.elsewhere:
                self._send(301, {"location": served.elsewhere}, b"")
                return
            path, _, query = self.path.partition("?")
            environment = {
                **_ENVIRONMENT, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": self.headers.get("content-type", ""), "REMOTE_ADDR": "127.0.0.1",
                "GIT_PROTOCOL": "" if served.is_old else self.headers.get("git-protocol", ""),
            }  # fmt: skip
            done = subprocess.run(
                ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
            )
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            data = served.spoil(data) if served.spoil and b"want " in body else data
            served.asked.append((self.path, body, len(data)))
            self._send(int(headers.pop("Status", "200 OK")[:3]), headers, data)

        def _send(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield served
        server.shutdown()
        thread.join()
