"""A server as a child process that is spoken to over its standard input and output."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from typing import Final

import anyio

from hector.core.child import Child, start
from hector.core.record import dataclass
from hector.mcp.errors import ServerFault
from hector.mcp.link import MESSAGE_LIMIT, Ends, Fate, encode, log

INHERITED: Final = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
     "APPDATA", "LOCALAPPDATA", "USERPROFILE", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "PATHEXT", "COMSPEC",
     "PROGRAMFILES", "PROGRAMDATA", "HOMEDRIVE", "HOMEPATH", "PROCESSOR_ARCHITECTURE")
)  # fmt: skip
"""What a child sees of our environment: where things are, never a key. `LC_*` as well."""
KEPT: Final = 1500
"""Characters of what a server wrote to its error output that an error repeats."""
LEAVE_SECONDS: Final = 2.0
"""How long a server may take to end by itself, and then again after it was asked to."""
_PDEATHSIG: Final = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `env` is added to the little that a child inherits; `cwd` None is where we are."""

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None


def environment(own: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child."""
    kept = {name: value for name, value in ours.items() if name in INHERITED or name.startswith("LC_")}
    return {**kept, **own}


class _Tail:
    """The last of what a server wrote beside the protocol."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, data: bytes) -> None:
        self._text = (self._text + data.decode("utf-8", "replace"))[-KEPT:]

    def __str__(self) -> str:
        return self._text.strip()


@asynccontextmanager
async def open_stdio(program: Program, fate: Fate) -> AsyncIterator[Ends]:
    """A running server. Ending the context ends it, and all that it has started. Raises ServerFault."""
    process = await _start(program)
    ends, tail = Ends(), _Tail()
    try:
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(_hear(process.stderr, tail))
            pumps = [
                group.create_task(_read(process, ends, tail)),
                group.create_task(_write(process, ends)),
                group.create_task(_watch(process, drain, tail, ends, fate)),
            ]
            try:
                yield ends
            finally:
                await _end(process)
                for task in (*pumps, drain):
                    task.cancel()
    finally:
        ends.close()
        _kill(process, signal.SIGKILL)
        with suppress(TimeoutError):  # who cancels has interrupted the wait for its end
            async with asyncio.timeout(LEAVE_SECONDS):
                await process.exited()
        process.let_go()


async def _start(program: Program) -> Child:
    try:
        return await start(
            program.command,
            *program.args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MESSAGE_LIMIT,
            env=environment(program.env, os.environ),
            cwd=program.cwd,
            start_new_session=os.name == "posix",
            preexec_fn=_die_with_us() if sys.platform == "linux" else None,
        )
    except FileNotFoundError as error:
        missing = program.cwd if error.filename == program.cwd and program.cwd else program.command
        raise ServerFault(f"{missing!r} was not found") from None
    except OSError as error:
        raise ServerFault(f"{program.command!r} cannot be started: {error.strerror}") from None


def _die_with_us() -> Callable[[], None]:
    """What the child does before it becomes the server: a kill of ours, which nobody can catch, ends it too."""
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


async def _read(process: Child, ends: Ends, tail: _Tail) -> None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while True:
        try:
            line = await process.stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError as last:
            line = last.partial
            if not line:
                return
        except asyncio.LimitOverrunError:
            tail.add(f"\na message is longer than {MESSAGE_LIMIT} bytes".encode())
            _kill(process, signal.SIGKILL)
            return
        try:
            taken = not line.strip() or await ends.take(line) is not None
        except ServerFault as error:
            tail.add(f"\n{error}".encode())
            _kill(process, signal.SIGKILL)
            return
        if not taken:
            tail.add(line[:500])
            log.debug("a server wrote something that is no message", extra={"line": str(line[:200])})


async def _write(process: Child, ends: Ends) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    async with ends.leaving:
        with suppress(OSError, anyio.ClosedResourceError):  # it has ended: the watch says so
            async for message in ends.leaving:
                process.stdin.write(encode(message) + b"\n")
                await process.stdin.drain()


async def _hear(stderr: asyncio.StreamReader | None, tail: _Tail) -> None:
    """Whatever it writes is taken, so that a talkative server does not come to a stop; the last of it is kept."""
    assert stderr is not None  # noqa: S101 - it is a pipe
    while data := await stderr.read(65536):
        tail.add(data)


async def _watch(process: Child, drain: "asyncio.Task[None]", tail: _Tail, ends: Ends, fate: Fate) -> None:
    code = await process.exited()
    await asyncio.wait((drain,), timeout=0.2)
    how = f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
    fate.end(f"{how}; it wrote: {tail}" if str(tail) else how)
    ends.arrived.close()


async def _end(process: Child) -> None:
    """As the protocol has it: close its input, then ask, then insist."""
    if process.stdin is not None:
        process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await process.exited()
            return
        _kill(process, sign)


def _kill(process: Child, sign: int) -> None:
    """The whole group: `npx` and `uvx` only start what really serves."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, sign)
        elif process.returncode is None:
            process.kill()
