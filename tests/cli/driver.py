"""Drives the commands as their users do: in a pipe, at a terminal, beside a server that is a process of its own."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 30.0
ROOT = Path(__file__).parents[2]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "TERM": "xterm-256color", **more}


def hector(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hector", *arguments]


@contextmanager
def serving(folder: Path, config: str, *options: str, **variables: str) -> Iterator[str]:
    """The address of a running server over a configuration file of the folder."""
    command = hector("serve", "--config", config, "--port", "0", *options)
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder, **variables), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            found = next((m for line in process.stderr if (m := re.search(r"ready url=(\S+)", line))), None)
            assert found is not None, "the server did not start"
            yield found[1]
        finally:
            process.terminate()
            process.stderr.read()
            process.wait(PATIENCE)


def pipe(text: str, *arguments: str, folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        hector("chat", *arguments),
        cwd=folder,
        env=environment(folder, **more),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@dataclass(slots=True)
class Terminal:
    """A pseudo-terminal with a chat in it."""

    master: int
    process: "subprocess.Popen[bytes]"
    seen: str = ""
    decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def expect(self, pattern: str) -> str:
        """Read until `pattern` shows up; what came with it is taken."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.seen)) is None:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come; on the screen: {self.seen!r}"
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            assert data, f"the chat ended before {pattern!r}: {self.seen!r}"
            self.seen += self.decoder.decode(data)
        taken, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return taken

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def insist(self, key: str, pattern: str) -> None:
        """Press a key, again every second: a line editor that is just about to wait does not feel an interrupt."""
        deadline = time.monotonic() + PATIENCE
        while re.search(pattern, self.seen) is None:
            assert time.monotonic() < deadline, f"{pattern!r} did not come; on the screen: {self.seen!r}"
            self.type(key)
            if select.select([self.master], [], [], 1.0)[0]:
                self.seen += self.decoder.decode(os.read(self.master, 65536))
        self.expect(pattern)

    def exit_code(self) -> int:
        """Read what is left and wait for the end."""
        while True:
            try:
                if not os.read(self.master, 65536):
                    break
            except OSError:
                break
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(*arguments: str, folder: Path, **more: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        hector("chat", *arguments),
        cwd=folder,
        env=environment(folder, **more),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
