"""One command from its start to its end: the launcher as a child, its output as it comes, and its end in any case."""

import asyncio
import codecs
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal, TypeAlias

from hector.core.child import Child, start
from hector.core.errors import ToolError
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.tools.command_policy import Plan
from hector.tools.command_strays import VARIABLE, end_strays
from hector.tools.sandbox import Box, launcher, launcher_environment, order, outcome, scrubbed, told_as

Stream: TypeAlias = Literal["stdout", "stderr"]
Hear: TypeAlias = Callable[[Stream, str], None]
"""Is told of output as it comes."""
Why: TypeAlias = Literal["", "timeout", "canceled", "output"]
"""Why a command was ended from here; empty: it ended by itself."""
_PIECE: Final = 64 * 1024
_LOOK: Final = 0.5
"""Seconds between two looks at what a killed launcher has left behind."""
_PATIENCE: Final = 3.0
"""Seconds that the launcher has to end everything before it is ended itself."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to run, and how long, and with how much output. `variables` are set in the command's environment."""

    plan: Plan
    box: Box
    folder: str
    path: tuple[str, ...]
    variables: Mapping[str, str]
    seconds: float
    most_output: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: an exit code or the negative number of a signal; why, if we ended it; how long it took."""

    code: int
    why: Why
    seconds: float


class Watch:
    """Watches over one command: how much it may still say, and whether somebody has had enough of it, and why."""

    def __init__(self, most_output: int, hear: Hear) -> None:
        self.why: Why = ""
        self.enough = asyncio.Event()
        self._left = most_output
        self._hear = hear

    def end(self, why: Why) -> None:
        """End the command; the first reason counts."""
        self.why = self.why or why
        self.enough.set()

    async def read(self, stream: asyncio.StreamReader, name: Stream) -> None:
        """Pass on what comes, until its end; what comes after it was enough is dropped."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := await stream.read(_PIECE):
            if self.enough.is_set():
                continue
            self._left -= len(data)
            if text := decoder.decode(data):
                self._hear(name, text)
            if self._left < 0:
                self.end("output")
        if rest := decoder.decode(b"", final=True):
            self._hear(name, rest)


async def run(job: Job, watch: Watch) -> Ended:
    """Run a command until it ends, its time is over, or the watch has had enough.

    When this is cancelled, the command and all that it started are ended before it returns. Raises ToolError when the
    command cannot be started.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        async with _private(job.box) as private:
            environment = scrubbed(os.environ, job.variables, job.path, private or "/tmp")  # noqa: S108 - its own
            environment[VARIABLE] = new_id()
            told = order(job.box, job.plan.file, job.plan.arguments, job.folder, environment, private)
            child = await _started(writing)
            try:
                if child.stdin is not None:
                    child.stdin.write(told_as(told, writing))
                await _follow(child, environment[VARIABLE], job.seconds, watch)
            finally:
                await _end(child)
                child.let_go()  # also what somebody still holds whom we could not end
                await _sweep(child, environment[VARIABLE])
        code, problem = outcome(_report(reading))
    finally:
        os.close(reading)
        os.close(writing)
    if problem and not watch.why:
        killed = child.returncode is not None and child.returncode < 0
        what = "was cut off" if killed else "could not be started"
        raise ToolError(f"the command {what}: {problem}")
    return Ended(code if code is not None else -9, watch.why, loop.time() - began)


def _report(reading: int) -> str:
    """What the launcher has said of the end; nothing if it was killed."""
    try:
        return os.read(reading, _PIECE).decode("utf-8", "replace")
    except BlockingIOError:
        return ""


async def _started(report: int) -> Child:
    try:
        return await start(
            *launcher(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=launcher_environment(), pass_fds=(report,), start_new_session=True, limit=_PIECE,
        )  # fmt: skip
    except OSError as error:
        raise ToolError(f"the command could not be started: {error.strerror or error}") from None


async def _follow(child: Child, command_id: str, seconds: float, watch: Watch) -> None:
    """Return when it has ended and there is no more to read, or when something says that it is enough."""
    if child.stdout is None or child.stderr is None:
        return
    async with asyncio.TaskGroup() as group:
        reads = (
            group.create_task(watch.read(child.stdout, "stdout")),
            group.create_task(watch.read(child.stderr, "stderr")),
        )
        parts = (*reads, group.create_task(_gone(child, command_id, reads)))
        try:
            async with asyncio.timeout(seconds or None):
                await _ended_or(parts, watch.enough)
        except TimeoutError:
            watch.end("timeout")
        if watch.why:
            await _end(child)
            await asyncio.wait(parts, timeout=1.0)
            for part in parts:
                part.cancel()


async def _gone(child: Child, command_id: str, reads: tuple["asyncio.Task[None]", ...]) -> None:
    """Return when it has ended; if it was killed, not before nobody holds its output any more, as strays may do."""
    await child.exited()
    await _sweep(child, command_id)
    while child.returncode is not None and child.returncode < 0 and not all(read.done() for read in reads):
        await asyncio.wait(reads, timeout=_LOOK)
        await _sweep(child, command_id)


async def _sweep(child: Child, command_id: str) -> None:
    """End what a launcher has left behind that was killed itself."""
    if child.returncode is not None and child.returncode < 0:
        await asyncio.to_thread(end_strays, command_id)


async def _ended_or(parts: tuple["asyncio.Task[None]", ...], enough: asyncio.Event) -> None:
    """Return when all parts have ended, or when it is enough."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(enough.wait())
        for part in parts:
            await asyncio.wait((part, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


@asynccontextmanager
async def _private(box: Box) -> AsyncGenerator[str]:
    """A folder for temporary files of this one command; empty where it has a file system of its own for them."""
    if box.level == "namespaces":
        yield ""
        return
    folder = await asyncio.to_thread(lambda: os.path.realpath(tempfile.mkdtemp(prefix="hector-command-")))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _end(child: Child) -> None:
    """Let go of the leash and wait; a launcher that does not end is ended. Also when this is cancelled meanwhile."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_PATIENCE):
            await child.exited()
    except TimeoutError:
        pass
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.exited()
