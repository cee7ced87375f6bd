"""What is wrong with a configuration: one value per mistake, and the three ways to print them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from hector.core.errors import ConfigError
from hector.core.pattern import pattern
from hector.core.record import dataclass

Where: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and list positions from the top."""

Kind: TypeAlias = Literal[
    "syntax", "duplicate", "unknown", "type", "range", "missing", "variable", "reference", "cycle", "file", "planned",
    "policy",
]  # fmt: skip
Severity: TypeAlias = Literal["error", "warning"]
Style: TypeAlias = Literal["compact", "verbose", "json"]

Excerpt: TypeAlias = Callable[["Position"], tuple[str, int] | None]
"""The line at a place, fit to be shown, and the column in it that the place then has."""

_PLAIN: Final = pattern(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. `found`, `allowed` and `hint` are short texts without secrets; empty where they say nothing."""

    kind: Kind
    message: str
    where: Where = ()
    file: str = ""
    position: Position | None = None
    found: str = ""
    allowed: str = ""
    hint: str = ""
    severity: Severity = "error"

    @property
    def place(self) -> str:
        """`file:line:column`, as far as known; editors and terminals make links of it."""
        if self.position is None:
            return self.file
        return f"{self.file}:{self.position.line}:{self.position.column}"

    @property
    def details(self) -> str:
        """Found, allowed and the way out, in one line."""
        parts = (("found", self.found), ("allowed", self.allowed), ("", self.hint))
        return "; ".join(f"{label}: {text}" if label else text for label, text in parts if text)

    def as_json(self) -> dict[str, Any]:
        """The form of `hector validate --format json`."""
        line, column = (self.position.line, self.position.column) if self.position else (None, None)
        return {
            "severity": self.severity,
            "type": self.kind,
            "message": self.message,
            "file": self.file,
            "line": line,
            "column": column,
            "path": dotted(self.where),
            "found": self.found,
            "allowed": self.allowed,
            "hint": self.hint,
        }


def _nothing(position: Position) -> None:
    return None


class InvalidConfig(ConfigError):  # noqa: N818 - named like the other refusals
    """The configuration is wrong. `findings` holds every mistake and warning; `source` gives the lines to show."""

    def __init__(self, findings: Sequence[Finding], source: Excerpt = _nothing) -> None:
        self.findings = tuple(findings)
        self.source = source
        super().__init__(compact(self.errors))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The mistakes without the warnings."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def dotted(where: Where) -> str:
    """`agents.helper.skills[0].id`; keys with other signs are quoted."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By place in the file; what has no place comes last. Exact repetitions are dropped."""
    unique = dict.fromkeys(findings)
    far = Position(10**9, 0)

    def place(finding: Finding) -> tuple[str, int, int]:
        position = finding.position or far
        return finding.file, position.line, position.column

    return sorted(unique, key=place)


def line_of(finding: Finding) -> str:
    """One line: place, severity, path, message, details. What comes from no file needs neither place nor severity."""
    path = dotted(finding.where)
    subject = f"{path}: " if path else ""
    place = f"{finding.place}: {finding.severity}: " if finding.place else ""
    details = f" ({finding.details})" if finding.details else ""
    return f"{place}{subject}{finding.message}{details}"


def compact(findings: Iterable[Finding]) -> str:
    """One line per finding."""
    return "\n".join(line_of(finding) for finding in findings)


def verbose(findings: Iterable[Finding], source: Excerpt = _nothing) -> str:
    """A paragraph per finding with the offending line and a caret under the spot."""
    return "\n\n".join(_paragraph(finding, source) for finding in findings)


def _paragraph(finding: Finding, source: Excerpt) -> str:
    head = f"{finding.severity}[{finding.kind}]: {finding.message}"
    lines = [head, *_excerpt(finding, source)]
    facts: Mapping[str, str] = {
        "path": dotted(finding.where),
        "found": finding.found,
        "allowed": finding.allowed,
        "do": finding.hint,
    }
    lines += [f"  {label + ':':9}{text}" for label, text in facts.items() if text]
    return "\n".join(lines)


def _excerpt(finding: Finding, source: Excerpt) -> list[str]:
    if finding.place == "":
        return []
    lines = [f"  --> {finding.place}"]
    position = finding.position
    shown = source(position) if position else None
    if position is None or shown is None:
        return lines
    text, column = shown
    blank = "".join("\t" if sign == "\t" else " " for sign in text[: column - 1])
    return [*lines, f"{position.line:>5} | {text}", f"{'':>5} | {blank}^"]
