"""Core values to stored JSON and back. Unknown fields are ignored on reading, so that older code reads newer rows."""

import json
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii
from typing import Any, Final, TypeAlias, TypeVar, assert_never

from hector.core.content import (
    JsonObject,
    Part,
    Text,
    content_from_json,
    message_from_json,
    message_to_json,
    part_to_json,
)
from hector.core.errors import StoreError
from hector.core.event import (
    ApprovalRequired,
    Artifact,
    Control,
    DirectReply,
    Event,
    ExitLoop,
    InputRequired,
    PendingCall,
    Rejected,
    Transfer,
)
from hector.core.jsontext import encoder
from hector.core.task import ClientMessage
from hector.core.usage import Usage
from hector.observe.redact import holds_secret

T = TypeVar("T")
EventRow: TypeAlias = tuple[int, str, str, str, str, float, str]
"""shown, id, invocation, author, branch, at, body."""

# Non-ASCII stays escaped: a model may produce half a surrogate pair, which no UTF-8 column takes.
dumps: Final = encoder()
loads: Final = json.JSONDecoder().decode
_DAMAGE: Final = (ValueError, KeyError, TypeError, AttributeError)


def event_row(event: Event) -> EventRow:
    """The columns of an event that do not depend on where it is appended."""
    said = event.metadata is not None and "a2a" in event.metadata
    asked = (
        event.control is not None and not event.branch and isinstance(event.control, InputRequired | ApprovalRequired)
    )
    shown = int(said or asked)
    body = _event_text(event)
    if holds_secret(body):
        from hector.observe.discreet import event as hidden  # noqa: PLC0415 - hardly ever

        body = _event_text(hidden(event))
    return shown, event.id, event.invocation_id, event.author, event.branch, event.at, body


def _event_text(event: Event) -> str:
    """What `event_from_row` reads, put together as text: half the time of making it an object first."""
    message = event.message
    text = f'{{"message":{{"role":"{message.role}","parts":{_parts_text(message.parts)}}}'
    more: JsonObject = {}
    if event.usage is not None:
        more["usage"] = _usage_to_json(event.usage)
    if event.state:
        more["state"] = {key: value for key, value in event.state.items() if not key.startswith("temp:")}
    if event.artifacts:
        # The parts stand once, in the artifacts table: they may be megabytes, and a session is loaded on every turn.
        more["artifacts"] = [_artifact_head(artifact) for artifact in event.artifacts]
    if event.control is not None:
        more["control"] = control_to_json(event.control)
    if event.metadata is not None:
        more["metadata"] = event.metadata
    if event.started:
        more["started"] = event.started
    return f"{text},{dumps(more)[1:]}" if more else f"{text}}}"


def _parts_text(parts: Iterable[Part]) -> str:
    return f"[{','.join([_part_text(part) for part in parts])}]"


def _part_text(part: Part) -> str:
    match part:
        case Text(text, None, None, None, None):  # nearly all of them
            return f'{{"type":"text","text":{encode_basestring_ascii(text)}}}'
        case _:
            return dumps(part_to_json(part))


def event_from_row(row: tuple[Any, ...]) -> Event:
    """The reverse: from key, id, invocation, author, branch, at, body. Artifacts come back without their parts."""
    key, event_id, invocation, author, branch, at, body = row
    try:
        value = loads(body)
        get = value.get
        usage, artifacts, control = get("usage"), get("artifacts"), get("control")
        return Event(
            event_id,
            invocation,
            author,
            at,
            message_from_json(value["message"]),
            branch,
            None if usage is None else _usage_from_json(usage),
            get("state") or {},
            () if artifacts is None else tuple(_artifact(item) for item in artifacts),
            None if control is None else control_from_json(control),
            get("metadata"),
            tuple(get("started", ())),
        )
    except _DAMAGE as error:
        raise _damaged("events", key, error) from error


def _usage_to_json(usage: Usage) -> JsonObject:
    value: JsonObject = {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
    }
    if usage.model:
        value["model"] = usage.model
    return value


def _usage_from_json(value: JsonObject) -> Usage:
    get = value.get
    counts = (get("input", 0), get("output", 0), get("cache_read", 0), get("cache_write", 0), get("reasoning", 0))
    return Usage(*counts, get("model", ""))


def control_to_json(control: Control) -> JsonObject:
    """`{"type": "input_required" | "approval_required" | "rejected" | "direct_reply" | "transfer", ...}`."""
    match control:
        case InputRequired(call_id, prompt):
            choices = {"choices": list(control.choices)} if control.choices else {}
            return {"type": "input_required", "call_id": call_id, "prompt": prompt} | _asker(control) | choices
        case ApprovalRequired(calls):
            return {"type": "approval_required", "calls": [_pending_to_json(call) for call in calls]}
        case Rejected(reason):
            return {"type": "rejected", "reason": reason}
        case DirectReply(text):
            return {"type": "direct_reply", "text": text}
        case Transfer(agent, request):
            return {"type": "transfer", "agent": agent, "request": request}
        case ExitLoop(reason, escalated):
            return {"type": "exit_loop", "reason": reason, "escalated": escalated}
        case _:
            assert_never(control)


def control_from_json(value: JsonObject) -> Control:
    """The reverse. Raises KeyError or ValueError on a foreign shape."""
    match value["type"]:
        case "input_required":
            asker = (value.get("agent", ""), value.get("branch", ""))
            return InputRequired(value["call_id"], value["prompt"], *asker, tuple(value.get("choices", ())))
        case "approval_required":
            return ApprovalRequired(tuple(_pending_from_json(call) for call in value["calls"]))
        case "rejected":
            return Rejected(value["reason"])
        case "direct_reply":
            return DirectReply(value["text"])
        case "transfer":
            return Transfer(value["agent"], value["request"])
        case "exit_loop":
            return ExitLoop(value["reason"], value["escalated"])
        case other:
            raise ValueError(f"{other!r} is not the type of a control")


def _pending_to_json(call: PendingCall) -> JsonObject:
    value: JsonObject = {
        "call_id": call.call_id,
        "name": call.name,
        "args": call.args,
        "args_hash": call.args_hash,
        "prompt": call.prompt,
    }
    if call.expires_at is not None:
        value["expires_at"] = call.expires_at
    if call.interrupted:
        value["interrupted"] = True
    return value | _asker(call)


def _asker(asked: InputRequired | PendingCall) -> JsonObject:
    return {"agent": asked.agent, "branch": asked.branch} if asked.agent else {}


def _pending_from_json(value: JsonObject) -> PendingCall:
    return PendingCall(
        value["call_id"],
        value["name"],
        value["args"],
        value["args_hash"],
        value["prompt"],
        value.get("expires_at"),
        value.get("interrupted", False),
        value.get("agent", ""),
        value.get("branch", ""),
    )


def _artifact_head(artifact: Artifact) -> JsonObject:
    optional = {"name": artifact.name, "description": artifact.description, "metadata": artifact.metadata}
    return {"id": artifact.id} | {key: value for key, value in optional.items() if value is not None}


def artifact_to_text(artifact: Artifact) -> str:
    """The whole artifact as JSON text."""
    return f'{dumps(_artifact_head(artifact))[:-1]},"parts":{_parts_text(artifact.parts)}}}'


def _artifact(value: JsonObject) -> Artifact:
    parts = tuple(content_from_json(part) for part in value.get("parts", ()))
    return Artifact(value["id"], parts, value.get("name"), value.get("description"), value.get("metadata"))


def artifact_from_text(body: str) -> Artifact:
    """The reverse of `artifact_to_text`."""
    return _artifact(loads(body))


def client_message_to_text(message: ClientMessage) -> str:
    """A client's view of a message as JSON text."""
    value: JsonObject = {"id": message.id, **message_to_json(message.message)}
    optional = {"context_id": message.context_id, "task_id": message.task_id, "metadata": message.metadata}
    value.update({key: found for key, found in optional.items() if found is not None})
    if message.extensions:
        value["extensions"] = message.extensions
    if message.reference_task_ids:
        value["reference_task_ids"] = message.reference_task_ids
    return dumps(value)


def client_message_from_text(body: str) -> ClientMessage:
    """The reverse of `client_message_to_text`."""
    value = loads(body)
    return ClientMessage(
        value["id"],
        message_from_json(value),
        value.get("context_id"),
        value.get("task_id"),
        value.get("metadata"),
        tuple(value.get("extensions", ())),
        tuple(value.get("reference_task_ids", ())),
    )


def decoded(table: str, row: object, decode: Callable[[str], T], text: str) -> T:
    """Decode a stored value; a damaged one raises a StoreError that names the table and the row."""
    try:
        return decode(text)
    except _DAMAGE as error:
        raise _damaged(table, row, error) from error


def _damaged(table: str, row: object, error: Exception) -> StoreError:
    return StoreError(
        f"row {row} of table {table} is damaged ({type(error).__name__}: {error}). "
        "Restore the database from a backup, or delete the session that it belongs to."
    )
