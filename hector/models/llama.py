"""llama.cpp as a supervised child process: started, watched, started again when it dies, stopped with us.

The child listens on a port of this machine with a key made up for it, answers /health, and ends when its standard input
does: it never outlives us, not even when we are killed.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from hector.core.child import Child, start
from hector.core.errors import ModelUnavailable
from hector.core.record import dataclass
from hector.models.llama_launch import Launch, free_port
from hector.net.call import Caller, CallerOptions
from hector.net.caller import open_caller
from hector.net.errors import NetError

_log: Final = logging.getLogger("hector.models.local")

_KEPT_LINES: Final = 40
_SHOWN_LINES: Final = 6
_LINE_LENGTH: Final = 300
_READ_AHEAD: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of the supervision; times in seconds.

    `start`: longest load. `stable`: a life of this length makes earlier failures forgotten. `failures`: so many in a
    row are made good by another start, one more is the end, until somebody asks again after `rest`. `stop`: from
    SIGTERM to SIGKILL. A healthy child is asked every `check_every`; after `missed_checks` without an answer it goes.
    """

    start: float = 120.0
    stable: float = 60.0
    failures: int = 4
    first_delay: float = 0.5
    longest_delay: float = 10.0
    rest: float = 30.0
    stop: float = 3.0
    check_every: float = 15.0
    check_timeout: float = 10.0
    missed_checks: int = 3


class LlamaServer:
    """The child and its supervisor: `start` it, ask for its `url`, `aclose` it. `label` names it in logs and errors."""

    def __init__(self, launch: Launch, label: str, patience: Patience | None = None) -> None:
        self.key = secrets.token_urlsafe(24)
        self._launch = launch
        self._label = label
        self._patience = patience or Patience()
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[str] | None = None
        self._process: Child | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._port = launch.port
        self._healthy_since: float | None = None
        self._gave_up_at = 0.0

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Begin to load the model, without waiting for it. Does nothing while that is done already."""
        if self._task is None or self._task.done():
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._supervise(), name=self._label)

    async def url(self) -> str:
        """The address of the healthy child; waits while it loads.

        Raises ModelUnavailable when that takes too long or has failed too often. A while after the child was given
        up, asking starts it again.
        """
        if self._task is None or (self._task.done() and time.monotonic() > self._gave_up_at + self._patience.rest):
            await self.start()
        try:
            async with asyncio.timeout(self._patience.start):
                return await asyncio.shield(self._outcome())
        except TimeoutError:
            raise ModelUnavailable(f"{self._label}: not loaded yet after {self._patience.start:g} s") from None

    def is_at(self, url: str) -> bool:
        """Whether the child is healthy and at this address."""
        return self._healthy_since is not None and self._launch.url(self._port) == url

    async def aclose(self) -> None:
        """Stop the child and its supervision."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._fail(f"{self._label}: stopped")

    def _outcome(self) -> "asyncio.Future[str]":
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
        return self._ready

    def _fail(self, text: str) -> None:
        """Whoever waits, and whoever asks from now on, is told so."""
        if self._outcome().done():
            self._ready = None
        self._outcome().set_exception(ModelUnavailable(text))
        self._outcome().exception()  # marks it as seen, for nobody may be waiting

    async def _supervise(self) -> None:
        """Run the child again and again, until it fails too often in a row."""
        failures = 0
        while True:
            began = time.monotonic()
            reason = await self._run()
            failures = 1 if time.monotonic() - began > self._patience.stable else failures + 1
            text = f"{self._label}: llama.cpp {reason}{self._last_words()}"
            if failures > self._patience.failures:
                break
            delay = min(self._patience.first_delay * 2 ** (failures - 1), self._patience.longest_delay)
            _log.warning("%s; starting it again in %.1f s", text, delay)
            await asyncio.sleep(delay)
        self._gave_up_at = time.monotonic()
        _log.error("%s; given up after %d tries", text, failures)
        self._fail(f"{text}; given up after {failures} tries")

    def _last_words(self) -> str:
        said = list(self._lines)[-_SHOWN_LINES:]
        return f"; its last words: {' | '.join(said)}" if said else ""

    async def _run(self) -> str:
        """One life of the child. Returns how it ended, as the end of a sentence."""
        self._lines.clear()
        try:
            self._port = self._port or free_port(self._launch.host)
            async with self._child(self._port) as process:
                return await self._watched(process)
        except OSError as error:
            return f"could not be started: {error.strerror or error}"
        finally:
            if self._healthy_since is None:  # perhaps somebody else took the port
                self._port = self._launch.port
            else:
                self._ready = None
            self._healthy_since = None

    @contextlib.asynccontextmanager
    async def _child(self, port: int) -> AsyncIterator[Child]:
        self._process = await start(
            *self._launch.command(port),
            limit=_READ_AHEAD,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            env={**os.environ, "LLAMA_API_KEY": self.key},
            start_new_session=True,  # Ctrl-C in the terminal is for us: running answers may end first
        )
        try:
            yield self._process
        finally:
            await _stop(self._process, self._patience.stop)
            self._process.let_go()
            self._process = None

    async def _watched(self, process: Child) -> str:
        """Until the child has ended or is of no more use."""
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._read(process))
            health = group.create_task(self._check())
            ended = group.create_task(process.exited())
            await asyncio.wait({health, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await _stop(process, self._patience.stop)
                reader.cancel()
                return health.result()
            health.cancel()
            await asyncio.wait({reader}, timeout=1.0)  # what it wrote last; a grandchild may hold the pipe open
            reader.cancel()
            return _ending(ended.result())

    async def _read(self, process: Child) -> None:
        """Keep the last lines that the child writes."""
        assert process.stderr is not None, "a pipe was asked for"  # noqa: S101
        rest = ""
        while chunk := await process.stderr.read(4096):
            *lines, rest = (rest + chunk.decode("utf-8", "replace")).split("\n")
            self._lines.extend(line.rstrip()[:_LINE_LENGTH] for line in lines if line.strip())
            rest = rest[:_LINE_LENGTH]
        if rest.strip():
            self._lines.append(rest.rstrip())

    async def _check(self) -> str:
        """Wait until the child is healthy, tell those who wait, then look now and then. Returns what is wrong."""
        url = self._launch.url(self._port)
        caller = open_caller(
            CallerOptions(url, connect_timeout=1.0, read_timeout=self._patience.check_timeout, purpose="child")
        )
        try:
            began = time.monotonic()
            if not await _becomes_healthy(caller, self._patience.start):
                return f"was not ready within {self._patience.start:g} s"
            self._healthy_since = time.monotonic()
            _log.info("%s: ready after %.1f s", self._label, self._healthy_since - began)
            self._outcome().set_result(url)
            missed = 0
            while missed < self._patience.missed_checks:
                await asyncio.sleep(self._patience.check_every)
                missed = 0 if await _healthy(caller) else missed + 1
            return "has stopped answering"
        finally:
            await caller.aclose()


async def _becomes_healthy(caller: Caller, limit: float) -> bool:
    pause = 0.02
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while not await _healthy(caller):
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.5)
            return True
    return False


async def _healthy(caller: Caller) -> bool:
    """Whether it is up and the model is loaded (it answers 503 until then)."""
    try:
        async with await caller.send("GET", "/health") as answer:
            await answer.read()
            return answer.status == 200
    except NetError:
        return False


async def _stop(process: Child, grace: float) -> None:
    """Ask the child to end, and end it after `grace` seconds."""
    ended = asyncio.create_task(process.exited())
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=grace)  # asyncio.timeout fails in a cancelled task before Python 3.11.4
    _signal(process, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    if process.stdin is not None:
        process.stdin.close()
    await ended


def _signal(process: Child, number: int) -> None:
    """To the child and everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.kill()


def _ending(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
