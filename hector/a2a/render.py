"""Tasks, messages and updates as A2A 1.0 JSON: camelCase, no nulls, no defaults that nobody asked for."""

from collections.abc import Mapping
from typing import Final

from hector.core.clock import iso
from hector.core.content import Data, JsonObject, Media, Message, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.event import Artifact, TextDelta
from hector.core.task import (
    AgentDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskPage,
    TaskState,
    ToolProgress,
)

STATES: Final[Mapping[TaskState, str]] = {state: f"TASK_STATE_{state.name}" for state in TaskState}
ANSWER: Final = "response"
"""Name of the artifact that a streamed answer grows into."""


def part(value: Part) -> JsonObject:
    """One part. What is not content for people carries its kind in its metadata."""
    match value:
        case Text(text, _, metadata, media_type, name):
            return described({"text": text}, metadata, media_type, name)
        case Media(media_type, data, url, name, metadata):
            content = {"url": url} if data is None else {"raw": data}
            return described(content, metadata, media_type, name)
        case Data(found, media_type, metadata):
            return described({"data": found}, metadata, media_type, None)
        case Thinking(text):
            return {"text": text, "metadata": {"kind": "thinking"}}
        case ToolCall():
            return {"data": tool_call(value), "metadata": {"kind": "toolCall"}}
        case ToolResult():
            return {"data": tool_result(value), "metadata": {"kind": "toolResult"}}


def described(content: JsonObject, metadata: JsonObject | None, media_type: str | None, name: str | None) -> JsonObject:
    """A part's content with what is known about it."""
    if metadata:
        content["metadata"] = metadata
    if media_type:
        content["mediaType"] = media_type
    if name:
        content["filename"] = name
    return content


def tool_call(call: ToolCall) -> JsonObject:
    """A call that begins. `arguments` are the model's own words, keys untouched."""
    return {"id": call.id, "name": call.name, "arguments": call.args if call.raw is None else call.raw}


def tool_result(result: ToolResult) -> JsonObject:
    """What a tool gave back."""
    content = [part(item) for item in result.content]
    return {"id": result.call_id, "name": result.name, "content": content, "isError": result.is_error}


def message(value: ClientMessage) -> JsonObject:
    """A message of either side."""
    role = "ROLE_USER" if value.message.role == "user" else "ROLE_AGENT"
    found: JsonObject = {"messageId": value.id, "role": role, "parts": [part(item) for item in value.message.parts]}
    if value.context_id:
        found["contextId"] = value.context_id
    if value.task_id:
        found["taskId"] = value.task_id
    if value.metadata:
        found["metadata"] = value.metadata
    if value.extensions:
        found["extensions"] = list(value.extensions)
    if value.reference_task_ids:
        found["referenceTaskIds"] = list(value.reference_task_ids)
    return found


def status(value: Status) -> JsonObject:
    """A state, its time, and what the agent says about it."""
    found: JsonObject = {"state": STATES[value.state], "timestamp": iso(value.at)}
    if value.message:
        found["message"] = message(value.message)
    return found


def artifact(value: Artifact) -> JsonObject:
    """A result."""
    found: JsonObject = {"artifactId": value.id, "parts": [part(item) for item in value.parts]}
    if value.name:
        found["name"] = value.name
    if value.description:
        found["description"] = value.description
    if value.metadata:
        found["metadata"] = value.metadata
    return found


def task(value: Task) -> JsonObject:
    """A snapshot; without `history` where it was not asked for, without `artifacts` where there are none."""
    found: JsonObject = {"id": value.id, "contextId": value.context_id, "status": status(value.status)}
    if value.artifacts:
        found["artifacts"] = [artifact(item) for item in value.artifacts]
    if value.history:
        found["history"] = [message(item) for item in value.history]
    if value.metadata:
        found["metadata"] = value.metadata
    return found


def answer(value: Task | ClientMessage) -> JsonObject:
    """What SendMessage gives, and the first event of a stream: exactly one of task and message."""
    return {"task": task(value)} if isinstance(value, Task) else {"message": message(value)}


def page(value: TaskPage, page_size: int, *, artifacts: bool) -> JsonObject:
    """What ListTasks gives. With `artifacts` the key is there even when a task has none."""
    tasks = [task(item) for item in value.tasks]
    if artifacts:
        tasks = [{"artifacts": [], **item} for item in tasks]
    return {"tasks": tasks, "nextPageToken": value.next_token, "pageSize": page_size, "totalSize": value.total}


def event(owner: Task, value: StatusUpdate | ArtifactUpdate | ToolProgress | AgentDelta) -> JsonObject:
    """The stream event of one update. Equal for every subscriber: nothing in it is made up on the way."""
    match value:
        case StatusUpdate(found):
            return status_update(owner, status(found))
        case ArtifactUpdate(found_artifact, append, last):
            return artifact_update(owner, artifact(found_artifact), append=append, last=last)
        case ToolProgress(call, result):
            return said(owner, *progress(call, result), whose(value))
        case AgentDelta():
            return said(owner, *agent_progress(value), whose(value))


def status_update(owner: Task, found: JsonObject) -> JsonObject:
    """A statusUpdate event."""
    return {"statusUpdate": {"taskId": owner.id, "contextId": owner.context_id, "status": found}}


def artifact_update(owner: Task, found: JsonObject, *, append: bool, last: bool) -> JsonObject:
    """An artifactUpdate event."""
    event: JsonObject = {"taskId": owner.id, "contextId": owner.context_id, "artifact": found}
    if append:
        event["append"] = True
    if last:
        event["lastChunk"] = True
    return {"artifactUpdate": event}


def text_chunk(owner: Task, artifact_id: str, text: str, *, append: bool) -> JsonObject:
    """A piece of the answer."""
    chunk = {"artifactId": artifact_id, "name": ANSWER, "parts": [{"text": text}]}
    return artifact_update(owner, chunk, append=append, last=False)


def thought(owner: Task, artifact_id: str, text: str) -> JsonObject:
    """A piece of the thinking behind an answer. All pieces carry one message id, the same for all subscribers."""
    return said(owner, f"{owner.id}-{artifact_id}-thinking", Thinking(text))


def said(owner: Task, message_id: str, found: Part, metadata: JsonObject | None = None) -> JsonObject:
    """Progress: the task keeps working and says something meanwhile."""
    words = ClientMessage(message_id, Message("assistant", (found,)), owner.context_id, owner.id, metadata)
    return status_update(owner, {"state": STATES[TaskState.WORKING], "message": message(words)})


def progress(call: ToolCall | None, result: ToolResult | None) -> tuple[str, Part]:
    """Message id and content of a tool's beginning or end."""
    if result is not None:
        return f"{result.call_id}-result", result
    if call is not None:
        return f"{call.id}-call", call
    raise ValueError("tool progress without a call and without a result")


def whose(value: ToolProgress | AgentDelta) -> JsonObject | None:
    """Which agent progress comes from, if that is not the task's own one."""
    return {"author": value.author, "branch": value.branch} if value.author else None


def agent_progress(value: AgentDelta) -> tuple[str, Part]:
    """What a called agent says meanwhile, as a part of its result that is still to come."""
    content = [
        {"text": delta.text} if isinstance(delta, TextDelta) else {"text": delta.text, "metadata": {"kind": "thinking"}}
        for delta in value.deltas
    ]
    shown = {"id": value.call_id, "name": value.author, "content": content, "status": "working"}
    return f"{value.call_id}-progress", Data(shown, metadata={"kind": "toolProgress"})
