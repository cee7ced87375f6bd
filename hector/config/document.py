"""A parsed file: plain values, the place of each, and what was found wrong with them so far."""

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from hector.config.findings import Finding, Kind, Position, Where
from hector.core.record import dataclass


@dataclass(slots=True)
class Document:
    """A parsed file: plain values, and for every path the place of its key and of its value."""

    file: str
    text: str
    value: dict[str, Any] = field(default_factory=dict)
    values: dict[Where, Position] = field(default_factory=dict)
    keys: dict[Where, Position] = field(default_factory=dict)
    written: dict[Where, str] = field(default_factory=dict)
    """Texts as they stand in the file, where a variable has changed them."""
    unset: dict[Where, str] = field(default_factory=dict)
    """Paths that were left out because the variable they consist of is not set: path -> name."""
    set_aside: set[Where] = field(default_factory=set)
    """Blocks that were refused as a whole; references to them are no further mistakes."""
    findings: list[Finding] = field(default_factory=list)

    def place(self, where: Where, *, key: bool = False) -> Position | None:
        """Where the value (or its key) stands; for what is missing, the nearest block around it."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        while where:
            if found := first.get(where) or second.get(where):
                return found
            where, (first, second) = where[:-1], (self.keys, self.values)
        return Position(1, 1) if self.text else None

    def report(self, kind: Kind, where: Where, message: str, *, key: bool = False, **details: Any) -> None:
        """Note a mistake at a path. `details`: found, allowed, hint, severity."""
        self.findings.append(Finding(kind, message, where, self.file, self.place(where, key=key), **details))

    def move(self, old: Where, new: Where) -> None:
        """Let a value and its places stand under another path."""
        holder, value = _descend(self.value, old[:-1]), None
        value = holder.pop(old[-1])
        _descend(self.value, new[:-1])[new[-1]] = value
        maps: tuple[dict[Where, Any], ...] = (self.values, self.keys, self.written, self.unset)
        for places in maps:
            for path in [path for path in places if path[: len(old)] == old]:
                places[new + path[len(old) :]] = places.pop(path)


def _descend(value: Any, where: Where) -> Any:
    for step in where:
        value = value.setdefault(step, {}) if isinstance(value, dict) else value[step]
    return value


def matches(value: Any, pattern: str) -> Iterator[Where]:
    """The paths of `value` that fit "agents.*.skills.*.id"; the star stands for any key or list position."""
    steps = pattern.split(".")
    found: list[tuple[Where, Any]] = [((), value)]
    for step in steps:
        found = [((*where, name), inner[name]) for where, inner in found for name in _names(inner, step)]
    return iter([where for where, _ in found])


def _names(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if step == "*" else [step] if step in value else []
    if isinstance(value, list) and step == "*":
        return list(range(len(value)))
    return []


def at(value: Any, where: Where) -> Any:
    """The value at a path. Raises KeyError, IndexError or TypeError where the path does not lead."""
    for step in where:
        value = value[step]
    return value
