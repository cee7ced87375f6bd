"""Instruction templates: `{name}` is replaced from state, anything else in braces is left as it is.

    {name} {app:name} {user:name} {temp:name}     a value of that scope
    {artifact.file.md}                            the newest version of the session's artifact of that name
    {artifact.user:file.md}                       the same of an artifact that belongs to the user
    {name?} {artifact.file.md?}                   the same, empty where there is none

Lookup only: no attributes, no calls. A template is parsed once and rendered for each run.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from hector.core.content import Content, Data, Media, Text
from hector.core.errors import AgentError
from hector.core.event import Artifact
from hector.core.pattern import pattern
from hector.core.record import dataclass

ARTIFACT: Final = "artifact."
_PLACEHOLDER: Final = pattern(
    r"\{((?:app:|user:|temp:)?[A-Za-z_][A-Za-z0-9_]*|artifact\.(?:user:)?[A-Za-z0-9_][A-Za-z0-9_.-]*)(\?)?\}"
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A key of the state, and whether it may be missing."""

    key: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and placeholders in order."""

    segments: tuple[str | Placeholder, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in every state."""
        return all(isinstance(part, str) for part in self.segments)

    @property
    def wants_artifacts(self) -> bool:
        """Whether it names any artifact, so that those have to be loaded."""
        return any(isinstance(part, Placeholder) and part.key.startswith(ARTIFACT) for part in self.segments)

    @property
    def artifacts(self) -> frozenset[str]:
        """The names of the artifacts that it names."""
        keys = (part.key for part in self.segments if isinstance(part, Placeholder))
        return frozenset(key.removeprefix(ARTIFACT) for key in keys if key.startswith(ARTIFACT))

    def render(self, state: Mapping[str, Any]) -> str:
        """Raises AgentError naming the first required key that the state lacks, or whose value is no text."""
        return "".join(part if isinstance(part, str) else _value(part, state) for part in self.segments)


def parse(text: str) -> Template:
    """Split a text at its placeholders. Never fails: what is no placeholder is text."""
    segments: list[str | Placeholder] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > position:
            segments.append(text[position : match.start()])
        segments.append(Placeholder(match[1], match[2] is not None))
        position = match.end()
    segments.append(text[position:])
    return Template(tuple(segments))


def _value(placeholder: Placeholder, state: Mapping[str, Any]) -> str:
    value = state.get(placeholder.key)
    if value is None:
        if placeholder.optional:
            return ""
        raise AgentError(
            f"the instruction needs {{{placeholder.key}}}, which has no value in this session; "
            f"set it, or write {{{placeholder.key}?}} where it may be missing"
        )
    if isinstance(value, Unreadable):
        raise AgentError(
            f"the instruction needs {{{placeholder.key}}}, which is {value.media_type} and cannot stand in a text; "
            "name an artifact of text, or have a tool read this one (load_artifact)"
        )
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for an artifact that is no text."""

    media_type: str


def text_of(artifact: Artifact) -> str | Unreadable:
    """An artifact as an instruction can hold it: its text, its data as JSON."""
    for part in artifact.parts:
        if isinstance(part, Media):
            return Unreadable(part.media_type)
    return "\n".join(_words(part) for part in artifact.parts)


def _words(part: Content) -> str:
    match part:
        case Text(text):
            return text
        case Data(value):
            return json.dumps(value, ensure_ascii=False)
        case _:
            return ""
