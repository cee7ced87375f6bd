"""Confines a command, watches over it, and ends all that it has started.

The order comes as one line of JSON on standard input. That stream is also a leash: when it closes, because the server
has had enough or is no more, everything is ended. What became of the command is written, as JSON, to the stream that
the order names.
"""

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

from hector.tools.boxed import callfilter, kernel, landlock, mounts

GRACE: Final = 0.5
"""Seconds between the polite signal and the other one."""
_LOOK: Final = 0.1
"""Seconds between two looks at the number of processes, where the kernel does not count them for us."""
_READABLE: Final = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/version",
    "/proc/filesystems", "/proc/sys/kernel", "/proc/sys/vm", "/sys/devices/system/cpu", "/sys/fs/cgroup",
)  # fmt: skip
_DEVICES: Final = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/fd",
)  # fmt: skip


def main() -> NoReturn:
    """Carry out the order on standard input."""
    order = json.loads(sys.stdin.buffer.readline())
    os.set_inheritable(order["report"], False)
    try:
        code = _supervise(order)
    except OSError as error:
        _report(order, {"error": str(error)})
        code = 1
    os._exit(code)


def _supervise(order: dict[str, Any]) -> int:
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    apart = order["level"] == "namespaces"
    if apart:
        mounts.enter(network=order["network"])
    child = os.fork()
    if child == 0:
        _contained(order, _first if apart else _become)
    _let_go()
    status = _watch(child, order["limits"]["processes"] if os.geteuid() == 0 else 0)
    _end_all(child)
    _report(order, {"ended": status})
    return 0


def _contained(order: dict[str, Any], work: Callable[[dict[str, Any]], NoReturn]) -> NoReturn:
    """A child never goes back into the code of its parent."""
    try:
        work(order)
    except OSError as error:
        _report(order, {"error": str(error)})
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
        _report(order, {"error": f"{type(error).__name__}: {error}"})
    os._exit(126)


def _first(order: dict[str, Any]) -> NoReturn:
    """The first process of the namespace: it collects the others, and takes them with it."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 0 and select.select([0], [], [], 0)[0]:
        os._exit(126)  # the leash was let go meanwhile
    mounts.build(order["read"], order["write"], order["hide"])
    child = os.fork()
    if child == 0:
        _contained(order, _become)
    _let_go()
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            os._exit(_code(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _become(order: dict[str, Any]) -> NoReturn:
    """Turn into the command, with all that it must not do already taken away."""
    os.setsid()
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir(order["folder"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _limit(order["limits"], own_count=order["level"] == "namespaces")
    if kernel.LINUX and order["level"] != "none":
        _confine(order)
    os.execve(order["file"], order["arguments"], order["environment"])  # noqa: S606 - judged before


def _confine(order: dict[str, Any]) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.drop_capabilities()
    if order["level"] == "process":
        return
    if landlock.version():
        landlock.restrict(_rules(order), network=order["network"])
    if callfilter.available():
        callfilter.refuse_calls(network=order["network"])


def _rules(order: dict[str, Any]) -> list[tuple[str, int]]:
    everything = landlock.everything(landlock.version())
    apart = order["level"] == "namespaces"
    rules = [(path, landlock.READ) for path in (*order["read"], *_READABLE, f"/proc/{os.getpid()}")]
    rules += [(path, landlock.DEVICE) for path in _DEVICES]
    own = ("/tmp", "/dev/shm") if apart else ()  # noqa: S108 - the command's own
    rules += [(path, everything) for path in (*order["write"], *own)]
    return [*rules, ("/proc", landlock.READ)] if apart else rules


def _limit(limits: dict[str, int], *, own_count: bool) -> None:
    """Where a number is not 0. Memory is counted for each process, by what it can write to."""
    used = 0 if own_count else _mine()
    wanted = {
        resource.RLIMIT_DATA if kernel.LINUX else resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_FSIZE: limits["file_size"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_NPROC: limits["processes"] and limits["processes"] + used,
    }
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for what, most in wanted.items():
        hard = resource.getrlimit(what)[1]
        if most:
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))


def _mine() -> int:
    """Threads of this user, which the kernel counts together."""
    count = 0
    for name in os.listdir("/proc") if kernel.LINUX else ():
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _let_go() -> None:
    """Leave the output to the command alone, so that it ends with it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def _watch(child: int, most: int) -> int:
    """Wait for the command, or for the leash. With `most`, end what has started more processes than that."""
    ended = _signal_pipe()
    while True:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    return _code(found[1])
        if most and len(_descendants()) > most:
            return -signal.SIGKILL
        ready = select.select([0, ended], [], [], _LOOK if most else None)[0]
        if ended in ready:
            os.read(ended, 512)
        if 0 in ready and not os.read(0, 512):
            return -signal.SIGTERM


def _signal_pipe() -> int:
    """A stream that is readable when a child has ended."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _code(status: int) -> int:
    """An exit code, or the negative number of a signal."""
    return os.waitstatus_to_exitcode(status)


def _end_all(child: int) -> None:
    """Politely first where somebody is left, then for certain, until nobody is: whoever was left behind is ours too."""
    if _left():
        for pid in _descendants():
            _kill(pid, signal.SIGTERM)
        until = time.monotonic() + GRACE
        while _left() and time.monotonic() < until:
            time.sleep(0.01)
    with suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    while _left():
        for pid in _descendants():
            _kill(pid, signal.SIGSTOP)
        for pid in _descendants():
            _kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def _left() -> bool:
    """Whether there are children, after those that have ended were collected."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _kill(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def _descendants() -> list[int]:
    """All processes below this one, by their parents; where there is no /proc, the process group has to do."""
    if not kernel.LINUX:
        return []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b") ")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _report(order: dict[str, Any], what: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(order["report"], json.dumps(what).encode() + b"\n")
