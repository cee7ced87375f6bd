"""The command tool: a command line from a model, judged, confined, watched, and told of."""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from hector.config.command import CommandTool
from hector.core.content import Data, JsonObject, Text
from hector.core.errors import ConfigError, ToolError
from hector.core.ports import ToolContext, ToolOutput, ToolPolicy, ToolSpec
from hector.core.record import dataclass
from hector.tools.calls import CALLS
from hector.tools.command_grammar import Redirect, parse
from hector.tools.command_policy import Place, Rules, judge, search_path
from hector.tools.command_programs import DENIED
from hector.tools.command_run import Ended, Job, Watch, run
from hector.tools.sandbox import Bounds, Box, Level, at_least, describe, level_for, seclude, trouble

log = logging.getLogger("hector.tools")
PROMPT: Final = "The agent wants to run a command."
_LEAST: Final = 200
"""Characters of max_output that are left for what is said about the end of a command."""
_REASONS: Final = {
    "timeout": "it took longer than {seconds:g} s",
    "canceled": "somebody has canceled it",
    "output": "it said too much",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One configured command tool. `seconds`: the longest run, 0 for any; `shown`: characters for the model."""

    spec: ToolSpec
    rules: Rules
    place: Place
    box: Box
    variables: tuple[tuple[str, str], ...]
    seconds: float
    shown: int
    most_output: int

    def check(self, args: JsonObject) -> None:
        """Raises ToolError for a command that may not run: nobody is asked about it."""
        self._job(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Run it. Raises ToolError as `check` does, and when it cannot be started."""
        job = self._job(args)
        kept = Kept(self.shown, context.progress)
        watch = Watch(self.most_output, kept.hear)
        with CALLS.open((context.app, context.task_id, context.name or context.call_id), lambda: watch.end("canceled")):
            ended = await run(job, watch)
        return _told(ended, kept, job, describe(self.box.level, network=self.box.network))

    def _job(self, args: JsonObject) -> Job:
        text, seconds = _checked(args, self.seconds)
        folder = _below(self.box.folder, args.get("working_dir"))
        place = Place(self.place.path, folder)
        plan = judge(text, self.rules, place)
        return Job(plan, self.box, folder, place.path, dict(self.variables), seconds, self.most_output)

    def readings(self, args: JsonObject) -> Sequence[JsonObject]:
        """Each command of a line by itself, for rules about arguments, and each file that is written as `> file`."""
        try:
            commands = parse(str(args.get("command", "")))
        except ToolError:
            return ()
        found = [" ".join(word.text for word in command.words) for command in commands]
        names = [
            " ".join((os.path.basename(one.words[0].text), *(word.text for word in one.words[1:]))) for one in commands
        ]
        written = [f"> {one.target}" for command in commands for one in command.redirects if _writes(one)]
        return [{**args, "command": text} for text in dict.fromkeys((*found, *names, *written))]


def _writes(redirect: Redirect) -> bool:
    return redirect.operator in {">", ">>"} and os.path.normpath(redirect.target) != os.devnull


def _checked(args: JsonObject, most: float) -> tuple[str, float]:
    """The command and its time. Raises ToolError for arguments of the wrong kind."""
    text, wanted = args.get("command"), args.get("timeout", most)
    if unknown := sorted(set(args) - {"command", "working_dir", "timeout"}):
        raise ToolError(f"the arguments of a command are command, working_dir and timeout, not {', '.join(unknown)}")
    if not isinstance(text, str):
        raise ToolError("command must be a text")
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or wanted < 0:
        raise ToolError("timeout must be a number of seconds")
    seconds = float(wanted) or most
    return text, min(seconds, most) if most else seconds


def _below(root: str, wanted: Any) -> str:
    """A folder inside the working directory. Raises ToolError for any other."""
    if wanted is not None and not isinstance(wanted, str):
        raise ToolError("working_dir must be a text")
    if not wanted:
        return root
    found = os.path.realpath(os.path.join(root, wanted)) if "\0" not in wanted else ""
    if not found or not Path(found).is_relative_to(root):
        raise ToolError("working_dir must be a folder inside the working directory")
    if not os.path.isdir(found):
        raise ToolError(f"there is no folder {wanted!r} in the working directory")
    return found


class Kept:
    """The beginning and the end of what a command says, and how much was left out between them."""

    def __init__(self, most: int, show: Callable[[str], None]) -> None:
        self._most = most
        self._show = show
        self._head: list[str] = []
        self._tail = ""
        self._room = most // 2 if most else -1
        self._length = 0

    def hear(self, stream: str, text: str) -> None:
        """Keep it, and show it to those who watch."""
        self._show(text)
        self._length += len(text)
        if self._room < 0:
            self._head.append(text)
            return
        self._head.append(text[: self._room])
        rest = text[self._room :]
        self._room = max(0, self._room - len(text))
        self._tail = (self._tail + rest)[-(self._most - self._most // 2) :]

    @property
    def text(self) -> str:
        """What is kept."""
        head = "".join(self._head)
        left_out = self._length - len(head) - len(self._tail)
        middle = f"\n[{left_out} characters were left out here]\n" if left_out > 0 else ""
        return f"{head}{middle}{self._tail}"


def _told(ended: Ended, kept: Kept, job: Job, sandbox: str) -> ToolOutput:
    """The result: what was said, then how it ended; and the same as data for programs."""
    output = kept.text
    facts = {
        "exit_code": ended.code, "duration_ms": round(ended.seconds * 1000), "working_dir": job.folder,
        "sandbox": sandbox,
    }  # fmt: skip
    if ended.why:
        how = f"the command was ended: {_REASONS[ended.why].format(seconds=job.seconds)}"
        facts["ended"] = ended.why
    elif ended.code < 0:
        how = f"the command was ended by {_signal(-ended.code)}"
    else:
        how = f"exit code {ended.code}"
    text = f"{output.rstrip()}\n[{how}]" if output.strip() else f"[{how}, no output]"
    return ToolOutput((Text(text), Data(facts)), is_error=bool(ended.why))


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def command_tool(name: str, section: CommandTool) -> tuple[Command, ToolPolicy]:
    """The tool of an entry. Raises ConfigError where the sandbox that it requires cannot be had, and for its folder."""
    where = f"tools.{name}"
    box = _box(where, section)
    place = Place(
        search_path(section.environment.get("PATH") or os.environ.get("PATH", os.defpath), box.folder), box.folder
    )
    allowed = frozenset(section.allowed_commands) if section.listed else None
    rules = Rules(allowed, DENIED | frozenset(section.denied_commands), section.shell)
    variables = tuple((key, value) for key, value in section.environment.items() if key != "PATH")
    shown = max(_LEAST, section.max_output - _LEAST) if section.max_output else 0
    spec = ToolSpec(name, section.description or _about(section), _PARAMETERS)
    seclude()
    log.info("commands run", extra={"tool": name, "sandbox": describe(box.level, network=box.network)})
    tool = Command(
        spec, rules, place, box, variables, section.timeout, shown, section.limits.output
    )  # fmt: skip
    return tool, ToolPolicy(approval=True, prompt=PROMPT, readings=tool.readings)


def _box(where: str, section: CommandTool) -> Box:
    sandbox, limits = section.sandbox, section.limits
    folder = _folder(where, section.working_directory)
    level = _level(where, section)
    bounds = Bounds(limits.memory, limits.processes, limits.file_size, limits.open_files)
    hide = tuple(os.path.join(folder, name) for name in sandbox.hide)
    read, write = (tuple(os.path.realpath(path) for path in paths) for paths in (sandbox.read, sandbox.write))
    return Box(level, folder, read, write, hide, sandbox.network, bounds)


def _folder(where: str, written: str) -> str:
    folder = os.path.realpath(os.path.expanduser(written))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{where}.working_directory: {folder} cannot be made: {error.strerror}") from None
    if Path(folder) == Path(folder).parent:
        raise ConfigError(f"{where}.working_directory: the root of the file system cannot be the folder of commands")
    return folder


def _level(where: str, section: CommandTool) -> Level:
    """The level that is used. Raises ConfigError when it is not to be had, or less than required."""
    wanted, required = section.sandbox.level, section.sandbox.require
    level = level_for(wanted)
    if wanted != "auto" and (reason := trouble(level)):
        raise ConfigError(f"{where}.sandbox.level: {wanted} cannot be had on this machine: {reason}")
    if not at_least(level, required):
        raise ConfigError(
            f"{where}.sandbox.require: {required} is required, but commands would run with {level}: {trouble(required)}"
        )
    return level


_ONE: Final = "Run one command in the working directory, without a shell: no pipes, redirections or variables."
_SEVERAL: Final = (
    "Run commands in the working directory. Pipes, redirections, && and ; work; variables and substitutions do not."
)


def _about(section: CommandTool) -> str:
    if section.listed:
        return f"{_ONE} Available: {', '.join(section.allowed_commands) or 'none'}."
    return _SEVERAL if section.shell else _ONE


_PARAMETERS: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "the command line"},
        "working_dir": {"type": "string", "description": "folder inside the working directory to run it in"},
        "timeout": {"type": "number", "description": "seconds after which it is ended"},
    },
    "required": ["command"],
    "additionalProperties": False,
}
