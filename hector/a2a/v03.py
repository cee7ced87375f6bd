"""The dialect of A2A 0.3: the same requests and answers in the words of older clients.

Requests are reworded into 1.0 and then read by the same parser, so that both versions are held to the same rules.
"""

from collections.abc import Mapping
from typing import Any, Final

from hector.a2a import parse, render
from hector.a2a.parse import Send, TaskRef
from hector.a2a.reader import Reader
from hector.a2a.version import OLD
from hector.core.clock import iso
from hector.core.content import JsonObject, Message, Part, Thinking
from hector.core.event import Artifact
from hector.core.ids import new_id
from hector.core.task import (
    AgentDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskState,
    ToolProgress,
)

_ROLES: Final[Mapping[object, str]] = {"user": "ROLE_USER", "agent": "ROLE_AGENT"}
_FIRST_NEW_CODE: Final = -32008
"""This code and -32009 came with 1.0; older clients know them only as internal errors."""


def parse_send(params: JsonObject) -> Send:
    """message/send and message/stream. A message without an id is given one: several old clients send none."""
    reader = Reader(params)
    found: JsonObject = {"metadata": params.get("metadata")}
    message, setting = reader.take("message"), reader.take("configuration")
    found["message"] = _message(message) if isinstance(message, dict) else message
    found["configuration"] = _configuration(setting) if isinstance(setting, dict) else setting
    return parse.parse_send(found, OLD)


def parse_task(params: JsonObject) -> TaskRef:
    """tasks/get, tasks/cancel, tasks/resubscribe."""
    return parse.parse_task(params)


def _configuration(value: JsonObject) -> JsonObject:
    found: JsonObject = {key: value[key] for key in ("historyLength",) if key in value}
    found["returnImmediately"] = value.get("blocking") is False
    push = Reader(value).take("pushNotificationConfig")
    if push is not None:
        found["taskPushNotificationConfig"] = push_config(push) if isinstance(push, dict) else push
    return found


def push_config(value: JsonObject) -> JsonObject:
    """A push notification config in the words of 1.0. Of several authentication schemes the first one is used."""
    reader = Reader(value)
    found: JsonObject = {name: reader.take(name) for name in ("id", "url", "token")}
    authentication = reader.take("authentication")
    if isinstance(authentication, dict) and isinstance(schemes := authentication.get("schemes"), list):
        authentication = {"scheme": schemes[0], "credentials": authentication.get("credentials")} if schemes else None
    return {**found, "authentication": authentication}


def _message(value: JsonObject) -> JsonObject:
    role, parts = value.get("role"), value.get("parts")
    found = {**value, "role": _ROLES.get(role, role) if isinstance(role, str) else role}
    if isinstance(parts, list):
        found["parts"] = [_part_in(item) if isinstance(item, dict) else item for item in parts]
    if not (value.get("messageId") or value.get("message_id")):
        found["messageId"] = new_id()
    return found


def _part_in(value: JsonObject) -> JsonObject:
    file = value.get("file")
    if not isinstance(file, dict):
        return value
    found: JsonObject = {"metadata": value.get("metadata")}
    for old, new in (("bytes", "raw"), ("uri", "url"), ("mimeType", "mediaType"), ("name", "filename")):
        if file.get(old) is not None:
            found[new] = file[old]
    return found


def answer(value: Task | ClientMessage) -> JsonObject:
    """What message/send gives, and the first event of a stream: the thing itself, told apart by `kind`."""
    return task(value) if isinstance(value, Task) else message(value)


def task(value: Task) -> JsonObject:
    """A snapshot."""
    found: JsonObject = {
        "kind": "task",
        "id": value.id,
        "contextId": value.context_id,
        "status": status(value.status),
    }
    if value.artifacts:
        found["artifacts"] = [artifact(item) for item in value.artifacts]
    if value.history:
        found["history"] = [message(item) for item in value.history]
    if value.metadata:
        found["metadata"] = value.metadata
    return found


def message(value: ClientMessage) -> JsonObject:
    """A message of either side."""
    role = "user" if value.message.role == "user" else "agent"
    parts = [part(item) for item in value.message.parts]
    return {**render.message(value), "kind": "message", "role": role, "parts": parts}


def status(value: Status) -> JsonObject:
    """A state, its time, and what the agent says about it."""
    found: JsonObject = {"state": value.state.value, "timestamp": iso(value.at)}
    if value.message:
        found["message"] = message(value.message)
    return found


def artifact(value: Artifact) -> JsonObject:
    """A result."""
    return {**render.artifact(value), "parts": [part(item) for item in value.parts]}


def part(value: Part) -> JsonObject:
    """One part. Data is always an object in this version: other values are put into one."""
    new = render.part(value)
    found: JsonObject
    if "text" in new:
        found = {"kind": "text", "text": new["text"]}
    elif "data" in new:
        data = new["data"]
        found = {"kind": "data", "data": data if isinstance(data, dict) else {"value": data}}
    else:
        found = {"kind": "file", "file": _file(new)}
    if "metadata" in new:
        found["metadata"] = new["metadata"]
    return found


def _file(new: Mapping[str, Any]) -> JsonObject:
    names = (("raw", "bytes"), ("url", "uri"), ("mediaType", "mimeType"), ("filename", "name"))
    return {old: new[key] for key, old in names if key in new}


def event(owner: Task, value: StatusUpdate | ArtifactUpdate | ToolProgress | AgentDelta) -> JsonObject:
    """The stream event of one update."""
    match value:
        case StatusUpdate(found):
            final = found.state.terminal or found.state.interrupted
            return _status_update(owner, status(found), final=final)
        case ArtifactUpdate(found_artifact, append, last):
            return _artifact_update(owner, artifact(found_artifact), append=append, last=last)
        case ToolProgress(call, result):
            return _said(owner, *render.progress(call, result), render.whose(value))
        case AgentDelta():
            return _said(owner, *render.agent_progress(value), render.whose(value))


def text_chunk(owner: Task, artifact_id: str, text: str, *, append: bool) -> JsonObject:
    """A piece of the answer."""
    chunk = {"artifactId": artifact_id, "name": render.ANSWER, "parts": [{"kind": "text", "text": text}]}
    return _artifact_update(owner, chunk, append=append, last=False)


def thought(owner: Task, artifact_id: str, text: str) -> JsonObject:
    """A piece of the thinking."""
    return _said(owner, f"{owner.id}-{artifact_id}-thinking", Thinking(text))


def _said(owner: Task, message_id: str, found: Part, metadata: JsonObject | None = None) -> JsonObject:
    words = ClientMessage(message_id, Message("assistant", (found,)), owner.context_id, owner.id, metadata)
    return _status_update(owner, {"state": TaskState.WORKING.value, "message": message(words)}, final=False)


def _status_update(owner: Task, found: JsonObject, *, final: bool) -> JsonObject:
    return {
        "kind": "status-update",
        "taskId": owner.id,
        "contextId": owner.context_id,
        "status": found,
        "final": final,
    }


def _artifact_update(owner: Task, found: JsonObject, *, append: bool, last: bool) -> JsonObject:
    return {
        "kind": "artifact-update",
        "taskId": owner.id,
        "contextId": owner.context_id,
        "artifact": found,
        "append": append,
        "lastChunk": last,
    }


def error(found: JsonObject) -> JsonObject:
    """A 1.0 JSON-RPC error for an older client."""
    return {**found, "code": -32603} if found["code"] in (_FIRST_NEW_CODE, _FIRST_NEW_CODE - 1) else found
