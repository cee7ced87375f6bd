"""How a conversation looks: on a terminal for people, and in a pipe, where only the answer counts."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TextIO

from hector.cli.chat_pieces import (
    Answer,
    Asked,
    Called,
    Ended,
    Note,
    Piece,
    Returned,
    Saved,
    Thought,
    Wanted,
    Working,
)
from hector.cli.chat_wrap import Wrapping
from hector.core.errors import HectorError

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ENDINGS: Final = {"FAILED": "failed", "CANCELED": "canceled", "REJECTED": "the agent declined"}


class View(Protocol):
    """Where pieces are shown."""

    def begin(self) -> None:
        """An answer is on its way."""

    def show(self, piece: Piece) -> None:
        """The next piece of it."""

    def end(self) -> None:
        """It is over."""

    def complain(self, text: str) -> None:
        """Something went wrong."""


class OutputLost(HectorError):  # noqa: N818 - what happened, and nobody's mistake
    """The answer cannot be written any more. Quiet when whoever read it has left, as `| head` does."""

    code = "output_lost"

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write the answer: {cause.strerror}")
        self.quiet = isinstance(cause, BrokenPipeError)


def _give_up(out: TextIO) -> None:
    """Let what is still buffered go nowhere: the interpreter would fail on it once more at its end."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # it may be no file at all
        os.dup2(nowhere.fileno(), out.fileno())


def clean(text: str) -> str:
    """Without control characters, so that what a model writes cannot command the terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


class Plain:
    """The answer on `out`, as it comes; what went wrong on `err`. Nothing else."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._source = ""
        self._last = "\n"

    def begin(self) -> None:
        """Nothing is shown before there is something."""

    def show(self, piece: Piece) -> None:
        """Answers are written; the ends and questions that leave a pipe without an answer are reported."""
        match piece:
            case Answer(text, source):
                if source != self._source and self._last != "\n":
                    self._write("\n")
                self._source = source
                self._write(text)
            case Asked(prompt, auth, calls):
                self.end()
                what = "the agent wants credentials" if auth else "the agent asks"
                self.complain(f"{what}: {prompt}{_how(calls)}")
            case Ended(state, text) if state != "COMPLETED":
                self.end()
                self.complain(f"{_ENDINGS.get(state, state.lower())}{': ' if text else ''}{text}")
            case _:
                pass

    def end(self) -> None:
        """Finish the last line."""
        if self._last != "\n":
            self._write("\n")

    def complain(self, text: str) -> None:
        """One line on standard error."""
        self._err.write(f"hector: {text}\n")
        self._err.flush()

    def _write(self, text: str) -> None:
        if not text:
            return
        self._last = "\n"  # after a failure there is no line to finish
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            _give_up(self._out)
            raise OutputLost(error) from error
        self._last = text[-1]


class Raw(Plain):
    """Writes no pieces: the caller prints the updates as they are. Errors go to standard error."""

    def show(self, piece: Piece) -> None:
        """Nothing; the update has been printed."""

    def event(self, event: Mapping[str, Any]) -> None:
        """One update as a line of JSON."""
        self._write(json.dumps(event, ensure_ascii=False) + "\n")


class Screen:
    """A terminal: thinking dimmed, a line for each tool, the answer as it comes."""

    def __init__(self, out: TextIO, *, colours: bool) -> None:
        self._out = out
        self._colours = colours
        self._unicode = (out.encoding or "").lower().startswith("utf")
        self._kind = ""
        self._style = ""
        self._wrap = Wrapping(_columns() - 1)
        self._at_start = True
        self._waiting = False
        self._calls: dict[str, Called] = {}
        self._working: dict[str, str] = {}

    def begin(self) -> None:
        """Show that something is going on."""
        self._kind = ""
        self._at_start = True
        self._calls.clear()
        self._working.clear()
        self._wait("")

    def show(self, piece: Piece) -> None:
        """One piece, set apart from those of another kind."""
        self._unwait()
        match piece:
            case Answer(text, source):
                self._flow(f"answer {source}", text, "")
            case Thought(text):
                self._flow("thought", text, "2")
            case Note(text):
                self._line(text, "2")
            case Called() | Returned() | Working():
                self._call(piece)
            case Saved(name, facts):
                self._line(f"{self._sign('+', '▤')} {name} ({facts})", "36")
            case Asked():
                self._asked(piece)
            case Ended(state, text):
                self._pending()
                if state != "COMPLETED":
                    self._line(f"{_ENDINGS.get(state, state.lower())}{': ' if text else ''}{text}", "31")

    def end(self) -> None:
        """Leave the cursor at the start of a line, below an empty one."""
        self._unwait()
        self._break()
        self._out.write("\n")
        self._out.flush()

    def complain(self, text: str) -> None:
        """An error, in red."""
        self._unwait()
        self._line(text, "31")

    def say(self, text: str, style: str = "") -> None:
        """A line of our own."""
        self._line(text, style)

    def prompt(self, label: str) -> str:
        """The prompt for `input`; control sequences are marked for the line editor, which counts columns."""
        text = f"{_cut(clean(label), _columns() // 2)} {self._sign('>', '›')} "
        return f"\001\033[1;32m\002{text}\001\033[0m\002" if self._colours else text

    def _call(self, piece: Called | Returned | Working) -> None:
        match piece:
            case Called():
                self._calls[piece.id] = piece
                self._wait(piece.name)
            case Returned(call_id, name, text, failed):
                self._tool(self._calls.pop(call_id, Called(call_id, name, {})), text, failed=failed)
                self._working.pop(call_id, None)
                self._wait("")
            case Working(call_id, name, text):
                self._works(call_id, name, text)

    def _works(self, call_id: str, name: str, text: str) -> None:
        """The end of what a called agent has said so far, until its result replaces it: several may speak at once."""
        said = self._working[call_id] = (self._working.get(call_id, "") + text)[-200:]
        line = " ".join(clean(said).split())
        room = max(10, _columns() // 2 - len(name) - 6)
        self._wait(f"{name}: {line[-room:]}")

    def _tool(self, call: Called, result: str, *, failed: bool) -> None:
        width = _columns() - 1
        by = f"{clean(call.by)} {self._sign('>', '›')} " if call.by else ""
        line = _cut(f"{self._sign('*', '⚙')} {by}{call.name}({_arguments(call.arguments)}", width * 2 // 3 - 1) + ")"
        self._line(_cut(f"{line} {self._sign('->', '→')} {result or 'done'}", width), "31" if failed else "36")

    def _asked(self, question: Asked) -> None:
        self._calls = {key: call for key, call in self._calls.items() if not _is_of_agent(call)}  # they wait as well
        self._pending(question.prompt)
        self._line(f"{'Credentials are wanted' if question.auth else '?'} {question.prompt}", "33")
        for call in question.calls:
            self._wanted(call, question.prompt)

    def _wanted(self, call: Wanted, prompt: str) -> None:
        """What the prompt does not say of a call: all of its arguments, and until when it can be approved."""
        from hector.agents.approval import legible  # noqa: PLC0415 - loaded on first use

        whole = legible(call.arguments)
        if whole not in prompt:
            self._line(f"{call.tool}: {whole}", "33")
        if call.expires:
            self._line(f"{call.tool} can be approved until {call.expires}", "2")

    def _pending(self, prompt: str = "") -> None:
        """Calls whose results have not come and will not come now; but not the one that asks what is shown anyway."""
        for call in self._calls.values():
            if not prompt or prompt not in str(call.arguments):
                self._tool(call, "no result", failed=False)
        self._calls.clear()

    def _flow(self, kind: str, text: str, style: str) -> None:
        """Text that goes on where the last of its kind ended; an answer is set apart from what comes before it."""
        if kind != self._kind:
            self._break()
            if self._kind and (style == "" or self._kind.startswith("answer")):
                self._out.write("\n")
            self._kind, self._style = kind, style
            self._wrap = Wrapping(_columns() - 1)
            text = text.lstrip("\n")
        self._put(self._wrap.feed(clean(text)))

    def _put(self, text: str) -> None:
        if text:
            self._at_start = text.endswith("\n")
            self._out.write(self._styled(text, self._style))
            self._out.flush()

    def _line(self, text: str, style: str) -> None:
        self._break()
        self._kind = "line"
        self._out.write(self._styled(clean(text), style) + "\n")
        self._out.flush()

    def _break(self) -> None:
        if not self._at_start:
            self._out.write("\n")
            self._at_start = True

    def _wait(self, tool: str) -> None:
        """A sign that will be wiped out again; only where the cursor can be moved."""
        if self._colours and self._at_start:
            name = _cut(clean(tool), _columns() // 2)  # a longer one could not be wiped out again
            self._out.write(self._styled(f"{self._sign('...', '…')} {name}", "2"))
            self._out.flush()
            self._waiting = True

    def _unwait(self) -> None:
        if self._waiting:
            self._out.write("\r\033[K")
            self._waiting = False

    def _styled(self, text: str, style: str) -> str:
        return f"\033[{style}m{text}\033[0m" if style and self._colours else text

    def _sign(self, ascii_only: str, sign: str) -> str:
        return sign if self._unicode else ascii_only


def _how(calls: Sequence[Wanted]) -> str:
    """Where a person can say yes who has only a pipe."""
    return "\nApprove with `hector approve`, or answer the task with approve or deny" if calls else ""


def _is_of_agent(call: Called) -> bool:
    """Whether a call looks like one that goes to an agent, which may have to wait for people itself."""
    return isinstance(call.arguments, dict) and call.arguments.keys() == {"request"}


def _arguments(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{key}: {item if isinstance(item, str) else json.dumps(item)}" for key, item in value.items())


def _cut(line: str, width: int) -> str:
    """One line that fits."""
    line = " ".join(line.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def _columns() -> int:
    return max(40, shutil.get_terminal_size().columns)


def wants_colours(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """A terminal that understands them, and nobody has said no (https://no-color.org)."""
    return out.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def standard_view() -> Plain:
    """For pipes: standard output and error, whatever the locale says in UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    return Plain(sys.stdout, sys.stderr)
