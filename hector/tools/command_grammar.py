"""What a command line says: a small part of the POSIX shell's grammar, read strictly.

Words, quotes and file patterns are understood; between commands also `|`, `&&`, `||`, `;`, line ends and redirections.
Everything else is refused by name and never guessed: substitutions, variables, groups, compound commands, background
jobs, here-documents, assignments. What runs is built anew from what was understood (`rendered`), so that no shell can
read a text otherwise than it was read here.
"""

import re
import unicodedata
from typing import Final, NoReturn

from hector.core.errors import ToolError
from hector.core.record import dataclass

LONGEST: Final = 8192
"""Characters of a command line."""
_OPERATORS: Final = (
    "&&",
    "||",
    "|&",
    ";;",
    ";&",
    "<<<",
    "<<",
    ">>",
    "<>",
    ">|",
    "<&",
    ">&",
    "&>",
    "|",
    "&",
    ";",
    "\n",
    "<",
    ">",
)
_JOINTS: Final = frozenset(("|", "&&", "||", ";", "\n"))
_REASONS: Final = {
    "&": "'&' would leave a program running in the background",
    "&>": "'&>' is not understood by every shell: write > FILE 2>&1",
    "|&": "'|&' is not understood by every shell: write 2>&1 |",
    "<<": "here-documents are not available: write the text to a file first",
    "<<<": "here-strings are not available: write the text to a file first",
}
_RESERVED: Final = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "function",
     "select", "time", "coproc", "[[", "]]", "{", "}", "!")
)  # fmt: skip
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*(\[.*\])?\+?=")
_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_CHOICE: Final = re.compile(r"\[[!^]?[\w.,:-]+\]", re.ASCII)
"""A pattern for one of some characters, in the form that all shells read alike."""


class Unclear(ToolError):  # noqa: N818 - a judgement
    """A command line that is not run because of how it is written."""


@dataclass(frozen=True, slots=True)
class Word:
    """One argument: texts, each with whether it is a pattern. `bare`: written without quotes."""

    parts: tuple[tuple[str, bool], ...]
    bare: bool = True

    @property
    def text(self) -> str:
        """What it says when no file fits its pattern."""
        return "".join(text for text, _ in self.parts)

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for file names."""
        return any(glob for _, glob in self.parts)


@dataclass(frozen=True, slots=True)
class Redirect:
    """`operator` is <, > or >>, towards a file; or >&, towards another stream."""

    stream: int
    operator: str
    target: str


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments; `joint` is what stands before it, empty for the first one."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()
    joint: str = ""


def parse(text: str) -> tuple[Command, ...]:
    """The commands of a line, in order. Raises Unclear."""
    text = text.strip()
    if not text:
        raise Unclear("the command is empty")
    if len(text) > LONGEST:
        raise Unclear(f"the command is longer than {LONGEST} characters: write a script to a file")
    _seen(text)
    return _Reader(text).commands()


def _seen(text: str) -> None:
    """Raises Unclear for what a person who is asked about the command would not see."""
    for character in text:
        if character in " \t\n":
            continue
        category = unicodedata.category(character)
        if category in _UNSEEN or (category == "Zs" and character != " "):
            raise Unclear(f"the command holds the invisible character U+{ord(character):04X}: leave it out")


class _Reader:
    """One pass over a text, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.done: list[Command] = []
        self.words: list[Word] = []
        self.redirects: list[Redirect] = []
        self.joint = ""

    def commands(self) -> tuple[Command, ...]:
        """All of them."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif operator := self._operator():
                self._take(operator)
            else:
                self._take_word()
        self._close("")
        return tuple(self.done)

    def _operator(self) -> str:
        return next((sign for sign in _OPERATORS if self.text.startswith(sign, self.at)), "")

    def _take(self, operator: str) -> None:
        if operator in _JOINTS:
            self.at += len(operator)
            self._close(operator)
        elif operator in {"<", ">", ">>", ">&"}:
            self.at += len(operator)
            self._redirect(0 if operator == "<" else 1, operator)
        else:
            raise Unclear(_REASONS.get(operator, f"{operator!r} is not available"))

    def _close(self, joint: str) -> None:
        """The command so far is complete."""
        if not self.words:
            if joint == "\n" or (not joint and self.joint in {";", "\n"} and not self.redirects):
                return  # an empty line, or a separator at the end
            raise Unclear(f"a command is missing before {joint!r}" if joint else "a command is missing at the end")
        self._check_first(self.words[0])
        self.done.append(Command(tuple(self.words), tuple(self.redirects), self.joint))
        self.words, self.redirects, self.joint = [], [], ";" if joint == "\n" else joint

    def _check_first(self, word: Word) -> None:
        if word.is_pattern or not word.text:
            raise Unclear("the program must be named, not matched by a pattern")
        if word.bare and word.text in _RESERVED:
            raise Unclear(f"{word.text!r} begins a compound command, which is not available: give simple commands")
        if _ASSIGNMENT.match(word.text):
            raise Unclear("variables cannot be set in front of a command")

    def _redirect(self, stream: int, operator: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        if self.at >= len(self.text) or self._operator():
            raise Unclear(f"a file is missing behind {operator!r}")
        word = self._word()
        if word.is_pattern or not word.text:
            raise Unclear("a redirection must name one file")
        if operator == ">&" and (stream not in {1, 2} or word.text not in {"1", "2"}):
            raise Unclear("only 2>&1 and 1>&2 are available of the redirections between streams")
        self.redirects.append(Redirect(stream, operator, word.text))

    def _take_word(self) -> None:
        word = self._word()
        behind = self._operator()
        if word.bare and word.text.isascii() and word.text.isdigit() and behind in {"<", ">", ">>", ">&"}:
            if word.text not in {"0", "1", "2"}:
                raise Unclear(f"stream {word.text} cannot be redirected: only 0, 1 and 2")
            self.at += len(behind)
            self._redirect(int(word.text), behind)
        else:
            self.words.append(word)

    def _word(self) -> Word:
        parts: list[tuple[str, bool]] = []
        start, bare = self.at, True
        while self.at < len(self.text) and self.text[self.at] not in " \t" and not self._operator():
            character = self.text[self.at]
            if character in "'\"\\":
                bare = False
            if character == "'":
                parts.append((self._single(), False))
            elif character == '"':
                parts.append((self._double(), False))
            elif character == "\\":
                parts.append((self._escaped(), False))
            else:
                parts.append(self._plain(character, first=self.at == start))
        word = Word(_merged(parts), bare)
        if bare and re.search(r"\{[^{}]*(,|\.\.)[^{}]*\}", word.text):
            raise Unclear("lists in braces are not available: write the words out, or quote them")
        return word

    def _plain(self, character: str, *, first: bool) -> tuple[str, bool]:
        if character == "$":
            _no_dollar(self.text[self.at + 1 : self.at + 2])
        if character == "`":
            _no_substitution()
        if character in "()":
            raise Unclear(f"{character!r} is not available: quote it if it belongs to an argument")
        if first and character == "~":
            raise Unclear("'~' is not available: name the folder")
        if first and character == "#":
            raise Unclear("comments are not available: quote '#' if it belongs to an argument")
        if character == "[" and (choice := _CHOICE.match(self.text, self.at)):
            self.at = choice.end()
            return choice.group(), True
        self.at += 1
        return character, character in "*?"

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unclear("a single quote is not closed")
        found, self.at = self.text[self.at + 1 : end], end + 1
        return found

    def _double(self) -> str:
        self.at += 1
        found: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != '"':
            character = self.text[self.at]
            following = self.text[self.at + 1 : self.at + 2]
            if character == "`":
                _no_substitution()
            if character == "$" and following and (following.isalnum() or following in "_({@*#?-$!"):
                _no_dollar(following)
            if character == "\\" and following and following in '$`"\\':
                found.append(following)
                self.at += 1
            elif not (character == "\\" and following == "\n"):
                found.append(character)
            else:
                self.at += 1
            self.at += 1
        if self.at >= len(self.text):
            raise Unclear("a double quote is not closed")
        self.at += 1
        return "".join(found)

    def _escaped(self) -> str:
        following = self.text[self.at + 1 : self.at + 2]
        if not following:
            raise Unclear("a backslash at the end says nothing")
        self.at += 2
        return "" if following == "\n" else following


def _no_dollar(following: str) -> NoReturn:
    if following and following in "({":
        raise Unclear("substitutions are not available: quote '$' with single quotes if it is meant as such")
    raise Unclear("variables are not available: write the value, or quote '$' with single quotes")


def _no_substitution() -> NoReturn:
    raise Unclear("substitutions are not available: use single quotes around a backtick")


def _merged(parts: list[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    merged: list[tuple[str, bool]] = []
    for text, glob in parts:
        if merged and not glob and not merged[-1][1]:
            merged[-1] = (merged[-1][0] + text, False)
        else:
            merged.append((text, glob))
    return tuple(merged)


def rendered(commands: tuple[Command, ...]) -> str:
    """The commands as a text that every POSIX shell reads as it was read here."""
    pieces: list[str] = []
    for command in commands:
        words = [*(_quoted(word) for word in command.words), *(_redirected(one) for one in command.redirects)]
        pieces += [*([command.joint] if command.joint else []), *words]
    return " ".join(pieces)


def _quoted(word: Word) -> str:
    return "".join(text if glob else _single_quoted(text) for text, glob in word.parts) or "''"


def _redirected(redirect: Redirect) -> str:
    target = redirect.target if redirect.operator == ">&" else f" {_single_quoted(redirect.target)}"
    return f"{redirect.stream}{redirect.operator}{target}"


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
