"""What another agent answers, read from either dialect into values. Lenient: what is not understood is left out."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from hector.core.content import Content, Data, JsonObject, Media, Text
from hector.core.event import Artifact
from hector.core.record import dataclass
from hector.core.task import TaskState

_STATES: Final[Mapping[str, TaskState]] = {
    **{state.value: state for state in TaskState},
    **{f"TASK_STATE_{state.name}": state for state in TaskState},
}
_UNTYPED: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task as it is. `said` is what goes with its state; `messages` are the ids of those that it was sent."""

    task: str
    context: str
    state: TaskState
    said: tuple[Content, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A task has come to a state, or says something within one."""

    task: str
    state: TaskState
    said: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Grown:
    """A piece of a result; without `append` it is the beginning."""

    artifact: Artifact
    append: bool = False


@dataclass(frozen=True, slots=True)
class Replied:
    """An answer without a task."""

    parts: tuple[Content, ...]
    context: str = ""


Heard: TypeAlias = Snapshot | Changed | Grown | Replied


def heard(value: JsonObject) -> Heard | None:
    """A result or a stream event of either version; None for what is none of these."""
    kind, body = _kind(value)
    match kind:
        case "task":
            return snapshot(body)
        case "message":
            return Replied(parts_of(body), str(body.get("contextId") or ""))
        case "statusUpdate" | "status-update":
            status = _object(body.get("status"))
            return Changed(str(body.get("taskId") or ""), _state(status), parts_of(_object(status.get("message"))))
        case "artifactUpdate" | "artifact-update":
            return Grown(artifact_of(_object(body.get("artifact"))), body.get("append") is True)
        case _:
            return None


def _kind(value: JsonObject) -> tuple[str, JsonObject]:
    for key in ("task", "message", "statusUpdate", "artifactUpdate"):
        if isinstance(value.get(key), dict) and "kind" not in value:
            return key, value[key]
    return str(value.get("kind") or ("task" if "status" in value and "id" in value else "")), value


def snapshot(value: JsonObject) -> Snapshot:
    """A task."""
    status = _object(value.get("status"))
    artifacts = tuple(artifact_of(one) for one in _objects(value.get("artifacts")))
    sent = (one for one in _objects(value.get("history")) if str(one.get("role", "")).lower().endswith("user"))
    return Snapshot(
        str(value.get("id") or ""),
        str(value.get("contextId") or ""),
        _state(status),
        parts_of(_object(status.get("message"))),
        artifacts,
        tuple(str(one.get("messageId") or "") for one in sent),
    )


def artifact_of(value: JsonObject) -> Artifact:
    """A result."""
    name, description = value.get("name"), value.get("description")
    metadata = value.get("metadata")
    return Artifact(
        str(value.get("artifactId") or ""),
        parts_of(value),
        name if isinstance(name, str) else None,
        description if isinstance(description, str) else None,
        metadata if isinstance(metadata, dict) else None,
    )


def parts_of(value: JsonObject) -> tuple[Content, ...]:
    """The content of a message or of a result."""
    return tuple(one for part in _objects(value.get("parts")) if (one := _part(part)) is not None)


def _part(part: JsonObject) -> Content | None:
    metadata = part.get("metadata") if isinstance(part.get("metadata"), dict) else None
    file = _object(part.get("file"))
    media = part.get("mediaType") or file.get("mimeType")
    name = part.get("filename") or file.get("name")
    media, name = media if isinstance(media, str) else None, name if isinstance(name, str) else None
    if isinstance(part.get("text"), str):
        return Text(part["text"], None, metadata, media, name)
    if "data" in part:
        return Data(part["data"], media, metadata)
    raw, url = part.get("raw") or file.get("bytes"), part.get("url") or file.get("uri")
    if isinstance(raw, str):
        return Media(media or _UNTYPED, data=raw, name=name, metadata=metadata)
    return Media(media or _UNTYPED, url=url, name=name, metadata=metadata) if isinstance(url, str) else None


def _state(status: JsonObject) -> TaskState:
    """A state that is not known counts as work."""
    return _STATES.get(str(status.get("state")), TaskState.WORKING)


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> Iterator[JsonObject]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())
