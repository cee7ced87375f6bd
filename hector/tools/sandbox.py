"""How far a command is kept from everything else: the levels, which of them this machine can do, and the order to run.

none < process < landlock < namespaces; each holds what the ones before it hold. What a level keeps out is in
docs/guide/commands.md; how it does so, in `hector.tools.boxed`.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.config.command import Sandbox

Level: TypeAlias = Literal["none", "process", "landlock", "namespaces"]
LEVELS: Final[tuple[Level, ...]] = ("none", "process", "landlock", "namespaces")
FROZEN_COMMAND: Final = "boxed-command"
"""How the one executable is told to be the launcher."""
PATIENCE: Final = 20.0
"""Seconds in which a command that does nothing has to come to its end."""
_ROOT: Final = Path(__file__).parents[2]
_START: Final = "import sys; sys.path.append({root!r}); from hector.tools.boxed.launcher import main; main()"
SYSTEM: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/etc/alternatives",
    "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/crypto-policies", "/etc/fonts", "/etc/group",
    "/etc/gitconfig", "/etc/host.conf", "/etc/hosts", "/etc/inputrc", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/locale.alias", "/etc/localtime", "/etc/lsb-release", "/etc/machine-id", "/etc/magic",
    "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/perl", "/etc/pki",
    "/etc/protocols", "/etc/python3", "/etc/python3.11", "/etc/resolv.conf", "/etc/services", "/etc/shells",
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/terminfo", "/etc/timezone", "/etc/java-17-openjdk",
    "/etc/java-21-openjdk", "/etc/pam.d/other",
)  # fmt: skip
"""What programs need to read in order to run; none of it is secret."""
HIDDEN: Final = (".hector", ".env")
"""Names in the working directory, and where the server runs, that commands do not see: its own data and its secrets."""
_PROGRAMS: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin", "/opt")
_KEPT: Final = frozenset(
    ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR")
)  # fmt: skip
_QUIET: Final = {
    "PAGER": "cat", "GIT_PAGER": "cat", "MANPAGER": "cat", "SYSTEMD_PAGER": "", "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true", "EDITOR": "true", "DEBIAN_FRONTEND": "noninteractive", "GIT_CONFIG_COUNT": "4",
    "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.hooksPath", "GIT_CONFIG_VALUE_1": "/dev/null",
    "GIT_CONFIG_KEY_2": "protocol.ext.allow", "GIT_CONFIG_VALUE_2": "never",
    "GIT_CONFIG_KEY_3": "safe.bareRepository", "GIT_CONFIG_VALUE_3": "explicit",
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
}  # fmt: skip
"""Programs ask nobody, page nothing, and git runs no hooks and believes no folder that only looks like a repository.

For a repository on this machine it starts another git, without these settings: its hooks would run, so there is none.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one command may use; 0 is no bound. Bytes, but for `processes` and `open_files`."""

    memory: int = 2 * 2**30
    processes: int = 128
    file_size: int = 256 * 2**20
    open_files: int = 1024


@dataclass(frozen=True, slots=True)
class Box:
    """Where commands run, and what of the machine they see besides. Paths are absolute."""

    level: Level
    folder: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    network: bool = False
    bounds: Bounds = Bounds()


def at_least(level: Level, wanted: Level) -> bool:
    """Whether a level holds all that another one does."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def scrubbed(
    environment: Mapping[str, str], given: Mapping[str, str], path: Sequence[str], home: str
) -> dict[str, str]:
    """The environment of a command: language, time zone, and what is `given`; nothing else of the server's."""
    kept = {name: value for name, value in environment.items() if name in _KEPT}
    places = {"PATH": os.pathsep.join(path), "HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": f"{home}/.cache"}
    return {**kept, **_QUIET, **places, **given}


def launcher() -> list[str]:
    """The program that confines commands: this executable, or Python with our code and no site-packages."""
    if getattr(sys, "frozen", False):
        return [sys.executable, FROZEN_COMMAND]
    return [sys.executable, "-E", "-s", "-S", "-c", _START.format(root=str(_ROOT))]


def launcher_environment() -> dict[str, str]:
    """What the launcher itself gets: where the one executable was unpacked, and nothing that is secret."""
    return {name: value for name, value in os.environ.items() if name.startswith("_PYI_") or name == "LD_LIBRARY_PATH"}


def order(
    box: Box, file: str, arguments: Sequence[str], folder: str, environment: Mapping[str, str], private: str
) -> dict[str, Any]:
    """What the launcher is told. `private` is a folder for this one command, empty where it gets its own."""
    bounds = box.bounds
    hide = _hidden(box)
    write = _writable(box, hide)
    return {
        "level": box.level,
        "file": file,
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": folder,
        "read": _readable(box, hide),
        "write": [*write, *([private] if private else [])],
        "hide": hide,
        "network": box.network,
        "limits": {
            "memory": bounds.memory,
            "processes": bounds.processes,
            "file_size": bounds.file_size,
            "open_files": bounds.open_files,
        },
    }


def _hidden(box: Box) -> list[str]:
    """What is there of that which commands do not see; of folders that hold what they were given, the rest."""
    places = dict.fromkeys((box.folder, os.getcwd()))
    hide = [*box.hide, *(os.path.join(place, name) for place in places for name in HIDDEN)]
    there = [path for path in dict.fromkeys(map(os.path.realpath, hide)) if os.path.exists(path)]
    given = [os.path.realpath(path) for path in (box.folder, *box.write)]
    return [one for path in there for one in _without(path, given, links=True)]


def _writable(box: Box, hide: Sequence[str]) -> list[str]:
    """Folders to write to.

    Landlock cannot take out a part of a folder: one that holds something hidden is given entry by entry.
    """
    places = [box.folder, *box.write]
    return places if box.level != "landlock" else [one for place in places for one in _without(place, hide)]


def _readable(box: Box, hide: Sequence[str]) -> list[str]:
    """Folders and files to read. A server that is installed among the system's programs is none of them."""
    here, links = os.path.realpath(os.getcwd()), box.level == "namespaces"
    holds_programs = any(Path(path).is_relative_to(here) for path in _PROGRAMS)
    closed = [*hide, *([] if holds_programs else [here])]
    system = [one for place in SYSTEM for one in _without(place, closed, links=links)]
    own = [sys.prefix] if not holds_programs and Path(sys.prefix).is_relative_to(here) else []
    read = [one for place in (*own, *box.read) for one in _without(place, hide, links=links)]
    return [*system, *read]


def _without(place: str, out: Sequence[str], *, links: bool = False) -> list[str]:
    """The parts of a folder that hold nothing of `out`; `links`: with the symbolic links in it."""
    inside = [path for path in out if Path(path).is_relative_to(place)]
    if not inside:
        return [place]
    if place in inside:
        return []
    try:
        with os.scandir(place) as entries:
            found = [os.path.join(place, entry.name) for entry in entries if links or not entry.is_symlink()]
    except OSError:
        return []
    return [one for path in found for one in _without(path, inside, links=links)]


def best_level() -> Level:
    """The highest level that this machine can do, found by trying them."""
    if os.name != "posix":
        return "none"
    return next((level for level in reversed(LEVELS[1:]) if not trouble(level)), "none")


def level_for(wanted: str) -> Level:
    """The level that a setting comes to: `auto` is the best that there is."""
    return best_level() if wanted == "auto" else next(level for level in LEVELS if level == wanted)


def describe(level: Level, *, network: bool) -> str:
    """What keeps commands, in a few words."""
    return f"{level}, {'with network' if network or not at_least(level, 'landlock') else 'no network'}"


def sandbox_here(section: "Sandbox") -> str:
    """What a configuration comes to on this machine, in a few words."""
    level = level_for(section.level)
    if reason := trouble(level):
        return f"{level}, not to be had here: {reason}"
    short = "" if at_least(level, section.require) else f", but {section.require} is required"
    return describe(level, network=section.network) + short


@lru_cache
def trouble(level: Level) -> str:
    """Why a level cannot be had here; empty: it can."""
    if level == "none":
        return ""
    if os.name != "posix":
        return "this system has no process groups"
    if level == "landlock" and (reason := _no_landlock()):
        return reason
    import tempfile  # noqa: PLC0415 - loaded for the first command tool

    with tempfile.TemporaryDirectory(prefix="hector-trial-") as folder:
        return _tried(order(Box(level, os.path.realpath(folder)), "/bin/sh", ("sh", "-c", ":"), folder, {}, ""))


def _no_landlock() -> str:
    if sys.platform != "linux":
        return "only Linux has Landlock"
    from hector.tools.boxed.landlock import version  # noqa: PLC0415 - loaded for the first command tool

    return "" if version() else "this kernel has no Landlock, or it is not switched on"


def _tried(told: dict[str, Any]) -> str:
    """Run a command that does nothing; what the launcher complains of."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0):
        try:
            with subprocess.Popen(  # noqa: S603 - our own program
                launcher(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=launcher_environment(), pass_fds=(writing,),
            ) as child:  # fmt: skip
                os.close(writing)
                assert child.stdin is not None  # noqa: S101 - for the type checker
                child.stdin.write(told_as(told, writing))
                child.stdin.flush()
                try:
                    ended, error = outcome(_report_of(reading))
                except TimeoutError as late:
                    child.kill()
                    return str(late)
        except OSError as failure:
            return str(failure)
    return error or ("" if ended == 0 else f"a command that does nothing ended with {ended}")


def _report_of(reading: int) -> str:
    """All that a launcher says. Raises TimeoutError."""
    until, said = time.monotonic() + PATIENCE, b""
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        more = os.read(reading, 65_536)
        if not more:
            return said.decode("utf-8", "replace")
        said += more
    raise TimeoutError(f"a command that does nothing had not ended after {PATIENCE:g} s")


def seclude() -> None:
    """Keep other processes of this user from reading this one's memory and environment. Linux; there is no way back.

    Nothing of the sort is left where this process crashes, either: the kernel writes no core dump of it.
    """
    if sys.platform == "linux":
        from hector.tools.boxed import kernel  # noqa: PLC0415 - loaded for the first command tool

        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def told_as(told: Mapping[str, Any], report: int) -> bytes:
    """An order as the launcher reads it; `report` is the stream for its answer."""
    return json.dumps({**told, "report": report}).encode() + b"\n"


def outcome(text: str) -> tuple[int | None, str]:
    """How the command ended (an exit code, or the negative number of a signal), and why it could not begin."""
    said: dict[str, Any] = {}
    for line in text.splitlines():
        said = {**json.loads(line), **said}
    return said.get("ended"), str(said.get("error", "" if said else "the launcher was ended"))
