"""Messages and events without the secrets of the configuration: what a tool or a model repeats is not passed on.

Texts and values are changed, and nothing that others go by: ids, names, roles. A provider's own item that holds a
secret is let go, and the message is sent back from its parts.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hector.core.content import Content, Data, Media, Message, Part, Replay, Text, Thinking, ToolCall, ToolResult
from hector.core.event import (
    ApprovalRequired,
    Artifact,
    Control,
    DirectReply,
    Event,
    InputRequired,
    Transfer,
)
from hector.observe.redact import holds_secret, redact, redact_values


def part(found: Part) -> Part:
    """One part of a message."""
    match found:
        case Text(text, replay, metadata):
            return replace(found, text=redact(text), replay=_replay(replay), metadata=redact_values(metadata))
        case Thinking(text, replay):
            return replace(found, text=redact(text), replay=_replay(replay))
        case Data() | Media():
            return _content(found)
        case ToolCall(args=args, raw=raw, replay=replay):
            return replace(found, args=redact_values(args), raw=raw and redact(raw), replay=_replay(replay))
        case ToolResult(content=inner):
            return replace(found, content=contents(inner))


def _replay(found: Replay | None) -> Replay | None:
    if found is None or not holds_secret(json.dumps(found.item, default=str)):
        return found
    return None


def contents(found: tuple[Content, ...]) -> tuple[Content, ...]:
    """What a tool answers with; the same objects where there is nothing to hide."""
    if not any(map(_has, found)):
        return found
    return tuple(_content(one) for one in found)


def _content(found: Content) -> Content:
    match found:
        case Text(text):
            return replace(found, text=redact(text), metadata=redact_values(found.metadata))
        case Data(value):
            return replace(found, value=redact_values(value), metadata=redact_values(found.metadata))
        case Media(data=data, url=url):
            return replace(found, data=data and redact(data), url=url and redact(url))


def _has(found: Content) -> bool:
    match found:
        case Text(text):
            return holds_secret(text)
        case Data(value):
            return holds_secret(value if isinstance(value, str) else json.dumps(value, default=str))
        case Media(data=data, url=url):
            return holds_secret(data or "") or holds_secret(url or "")


def message(found: Message) -> Message:
    """All parts of a message."""
    return replace(found, parts=tuple(map(part, found.parts)))


def artifact(found: Artifact) -> Artifact:
    """A result that clients keep."""
    return replace(found, parts=contents(found.parts), metadata=redact_values(found.metadata))


def state(found: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a session's state."""
    return {key: redact_values(value) for key, value in found.items()}


def control(found: Control) -> Control:
    """What a run is asked to do next."""
    match found:
        case InputRequired(prompt=prompt):
            return replace(found, prompt=redact(prompt))
        case ApprovalRequired(calls):
            hidden = (replace(one, args=redact_values(one.args), prompt=redact(one.prompt)) for one in calls)
            return ApprovalRequired(tuple(hidden))
        case DirectReply(text):
            return DirectReply(redact(text))
        case Transfer(agent, request):
            return Transfer(agent, redact(request))
        case _:
            return replace(found, reason=redact(found.reason))


def event(found: Event) -> Event:
    """Everything that an event says."""
    return replace(
        found,
        message=message(found.message),
        state=state(found.state),
        artifacts=tuple(map(artifact, found.artifacts)),
        control=None if found.control is None else control(found.control),
        metadata=redact_values(found.metadata),
    )
