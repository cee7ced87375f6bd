"""Variables: those of the process, and those of the `.env` files around a configuration."""

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import field
from pathlib import Path
from typing import Final

from hector.config.findings import Finding, Position
from hector.core.pattern import pattern
from hector.core.record import dataclass

_LINE: Final = pattern(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_UNSAFE: Final = pattern(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DotEnv:
    """A parsed `.env` file; `findings` names lines that are no assignment."""

    path: Path
    values: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


def parse_dotenv(text: str, path: Path) -> DotEnv:
    """KEY=VALUE lines, `export` or not; 'as it is', "with \\n escapes", # comments; quoted values may span lines."""
    values: dict[str, str] = {}
    findings: list[Finding] = []
    index, line = 0, 1
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    while index < len(text):
        end = text.find("\n", index) % (len(text) + 1)
        rest = text[index:end].strip()
        if rest and not rest.startswith("#"):
            if match := _LINE.match(text, index):
                values[match["name"]], end = _value(text, match.end(), end)
            else:
                findings.append(
                    Finding("syntax", "this line is no assignment", (), str(path), Position(line, 1),
                            allowed="KEY=VALUE", severity="warning")
                )  # fmt: skip
        line += text.count("\n", index, end + 1)
        index = end + 1
    return DotEnv(path, values, tuple(findings))


def _value(text: str, start: int, end: int) -> tuple[str, int]:
    """The value that begins at `start`, and the end of its last line."""
    quote = text[start : start + 1]
    if quote in {'"', "'"}:
        close = start + 1
        while close < len(text) and text[close] != quote:
            close += 2 if quote == '"' and text[close] == "\\" else 1
        if close < len(text):
            inner = text[start + 1 : close]
            value = _UNSAFE.sub(lambda hit: _ESCAPES.get(hit[1], hit[1]), inner) if quote == '"' else inner
            return value, text.find("\n", close) % (len(text) + 1)
    return re.split(r"(?:^|\s)#", text[start:end], maxsplit=1)[0].strip(), end


def dotenv_paths(folder: Path, home: Path | None, cwd: Path | None = None) -> list[Path]:
    """Where `.env` files are looked for, the strongest first."""
    places = [folder / ".env", (cwd or Path.cwd()) / ".env"]
    if home is not None:
        places += [home / ".hector" / ".env", home / ".env"]
    return list(dict.fromkeys(place.absolute() for place in places))


@dataclass(slots=True)
class Environment:
    """The variables that a configuration sees. Keep one per process and hand it to every reload.

    `paths` are the places of `.env` files that were looked at, whether or not there is a file.

    At the first reading the process wins over the files. At a later one the files win, so that an edited `.env` takes
    effect, and a key that has gone from the files is unset (or what it was before).
    """

    variables: MutableMapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    paths: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()
    _read: bool = False
    _before: dict[str, str | None] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> str | None:
        """The value, or None where it is not set."""
        return self.variables.get(name)

    def first(self, names: Iterable[str]) -> str:
        """The first of these that is set and not empty, else the empty text."""
        return next((value for name in names if (value := self.variables.get(name, "").strip())), "")

    def read(self, folder: Path) -> None:
        """Take in the `.env` files for a configuration in `folder`."""
        home = self.variables.get("HOME") or self.variables.get("USERPROFILE")
        self.paths = tuple(dotenv_paths(folder, Path(home) if home else None))
        found = [file for path in self.paths if (file := load_dotenv(path))]
        self.findings = tuple(finding for file in found for finding in file.findings)
        merged: dict[str, str] = {}
        for file in reversed(found):
            merged.update(file.values)
        self._apply(merged)

    def _apply(self, merged: Mapping[str, str]) -> None:
        for name in [name for name in self._before if name not in merged]:
            before = self._before.pop(name)
            if before is None:
                self.variables.pop(name, None)
            else:
                self.variables[name] = before
        for name, value in merged.items():
            if not self._read and name in self.variables:
                continue
            self._before.setdefault(name, self.variables.get(name))
            self.variables[name] = value
        self._read = True


def load_dotenv(path: Path) -> DotEnv | None:
    """The file's content, or None if there is none. An unreadable file is a warning."""
    try:
        return parse_dotenv(path.read_text(encoding="utf-8"), path) if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or "no access"
        finding = Finding("file", f"the file cannot be read: {reason}", (), str(path), severity="warning")
        return DotEnv(path, {}, (finding,))
