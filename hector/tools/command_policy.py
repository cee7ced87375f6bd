"""Which commands may run: an allow list that holds, a deny list that helps, and the programs that names stand for.

In allow-list mode exactly one program runs, without a shell, and what matches is the file that would be run: `/bin/ls`
is `ls`, a file `ls` in the working directory is not. A deny list is no boundary, since programs can be copied, and run
by others; it keeps models from the usual accidents. The boundary is the sandbox.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hector.core.errors import ToolError
from hector.core.record import dataclass
from hector.tools.command_grammar import Command, Word, parse, rendered
from hector.tools.command_programs import DENIED, HATCHES, INTERPRETERS, SHELLS, WRAPPERS, known_as, runs_another

_SHELL_WORDS: Final = frozenset(("cd", "echo", "printf", "pwd", "true", "false", "test", "[", ":"))
"""Commands that a shell carries out itself."""
_MULTIPLE: Final = frozenset(("busybox", "toybox", "coreutils", "uutils", "toolbox"))
"""Files that are many programs, by the name that they are called with."""
_MOST_NAMES: Final = 2000


class Refused(ToolError):  # noqa: N818 - a decision
    """A command that may not run."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`allowed` None: whatever is not denied. Names, or paths of programs. With `shell`, several commands at once."""

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = DENIED
    shell: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run: the folders that programs are looked up in, and the working directory."""

    path: tuple[str, ...]
    folder: str

    def find(self, name: str) -> str | None:
        """The file that a name stands for, or None."""
        if "/" in name:
            found = os.path.normpath(os.path.join(self.folder, name))
            return found if _is_program(found) else None
        return shutil.which(name, path=os.pathsep.join(self.path)) if self.path and name else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: a file, and the arguments, the name that it is called with first."""

    file: str
    arguments: tuple[str, ...]


def search_path(text: str, folder: str) -> tuple[str, ...]:
    """Folders to look programs up in: absolute ones that are not below the working directory, where models write."""
    inside = Path(os.path.realpath(folder))
    found = [one for one in text.split(os.pathsep) if os.path.isabs(one)]
    return tuple(one for one in dict.fromkeys(found) if not Path(os.path.realpath(one)).is_relative_to(inside))


def judge(text: str, rules: Rules, place: Place) -> Plan:
    """What a command line comes to. Raises ToolError, with the reason, for what may not run."""
    if rules.allowed is not None and ("\n" in text.strip() or "\r" in text):
        raise Refused("only one command at a time may be run, in one line")
    commands = parse(text)
    if not rules.shell:
        return _single(commands, rules, place)
    for number, command in enumerate(commands):
        _may_run(command, rules, place, fed=command.joint == "|", number=number)
    return Plan("/bin/sh", ("sh", "-c", rendered(commands)))


def _single(commands: Sequence[Command], rules: Rules, place: Place) -> Plan:
    if len(commands) > 1:
        raise Refused(f"only one command at a time may be run: {commands[1].joint!r} is not available")
    if commands[0].redirects:
        raise Refused("redirections are not available: the output comes back by itself")
    command = commands[0]
    arguments = tuple(text for word in command.words[1:] for text in _expanded(word, place.folder))
    name = command.words[0].text
    return Plan(_allowed(name, arguments, rules, place), (name, *arguments))


def _may_run(command: Command, rules: Rules, place: Place, *, fed: bool, number: int) -> None:
    """Judge one command of several, which a shell will run."""
    name, arguments = command.words[0].text, tuple(word.text for word in command.words[1:])
    for redirect in command.redirects:
        target = os.path.normpath(os.path.join(place.folder, redirect.target))
        if (
            redirect.operator != ">&"
            and target != "/dev/null"
            and target.startswith(("/dev/", "/etc/", "/proc/", "/sys/"))
        ):
            raise Refused(f"{redirect.target} may not be redirected to or from")
    if fed and (known_as(name) in SHELLS or known_as(name) in INTERPRETERS):
        raise Refused(f"nothing may be piped into {name}: it would run it")
    if name not in _SHELL_WORDS:
        _allowed(name, arguments, rules, place)


def _allowed(name: str, arguments: tuple[str, ...], rules: Rules, place: Place) -> str:
    """The file to run. Raises Refused."""
    _not_denied(name, arguments, rules.denied, place)
    file = place.find(name)
    if rules.allowed is not None:
        _listed(name, file, rules.allowed, place)
        if reason := runs_another(_called(name), arguments):
            raise Refused(f"{reason}, so the list of allowed commands could not be held")
    if file is None:
        raise Refused(f"there is no program {name!r} here")
    return file


def _not_denied(name: str, arguments: tuple[str, ...], denied: frozenset[str], place: Place) -> None:
    if found := _denied(name, denied, place):
        raise Refused(f"{found} may not be run")
    known = known_as(_called(name))
    if known in SHELLS and any(text.startswith("-") and "c" in text for text in arguments):
        raise Refused(f"{name} may not be given a command line: give the command itself")
    if known in SHELLS or known in WRAPPERS or known in HATCHES:
        subject = known in WRAPPERS or known in SHELLS or HATCHES[known].found(arguments)
        found = next((text for text in _pieces(arguments) if subject and _denied(text, denied, place)), "")
        if found:
            raise Refused(f"{_called(found)} may not be run, not by {name} either")
    if any(text.startswith("--no-preserve-root") for text in arguments):
        raise Refused("--no-preserve-root may not be given")


def _pieces(arguments: Iterable[str]) -> Iterable[str]:
    """Whatever in the arguments could be the name of a program."""
    for text in arguments:
        yield text
        yield from (
            piece for piece in text.replace("=", " ").replace(";", " ").replace("'", " ").replace('"', " ").split()
        )


def _denied(name: str, denied: frozenset[str], place: Place) -> str:
    """The name under which it is denied, or the empty text: by its own name, its file's, or as the same file."""
    called = _called(name)
    if called in denied or known_as(called) in denied or name in denied:
        return called
    file = place.find(name)
    real = os.path.realpath(file) if file else ""
    if not real:
        return ""
    if _called(real) in denied:
        return _called(real)
    if _called(real) in _MULTIPLE:
        return ""
    return next((one for one in sorted(denied) if _same(real, place.find(one))), "")


def _listed(name: str, file: str | None, allowed: frozenset[str], place: Place) -> None:
    """Raises Refused unless the file is that of an entry, called by the name of the entry."""
    for entry in allowed:
        if file is not None and _called(entry) == _called(name) and _same(file, place.find(entry)):
            return
    if _called(name) in {_called(entry) for entry in allowed} and file is not None:
        raise Refused(f"{name} is not the {_called(name)} that may be run")
    listed = ", ".join(sorted(allowed)) or "none"
    raise Refused(f"{_called(name)} is not among the commands that may be run: {listed}")


def _called(name: str) -> str:
    return name.rpartition("/")[2]


def _same(file: str, other: str | None) -> bool:
    try:
        return other is not None and os.path.samefile(file, other)
    except OSError:
        return False


def _is_program(file: str) -> bool:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and os.access(file, os.X_OK)


def _expanded(word: Word, folder: str) -> list[str]:
    """The files that a pattern stands for, or the text itself. A file name is never taken for an option."""
    if not word.is_pattern:
        return [word.text]
    import glob  # noqa: PLC0415 - loaded for the first pattern

    pattern = "".join(text if is_glob else glob.escape(text) for text, is_glob in word.parts)
    found = sorted(glob.glob(pattern.replace("[^", "[!"), root_dir=folder))[: _MOST_NAMES + 1]
    if len(found) > _MOST_NAMES:
        raise Refused(f"the pattern {word.text!r} stands for more than {_MOST_NAMES} files")
    return [f"./{name}" if name.startswith("-") else name for name in found] or [word.text]
