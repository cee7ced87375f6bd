"""Our agents as an MCP server: the protocol's messages, as pure functions. Needs nothing of the official package.

A client is kept nothing for between its requests, so that any process may answer any of them; revisions 2024-11-05 to
2025-11-25.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from hector.core.content import Content, Data, JsonObject, Media, Part, Text
from hector.core.event import ANSWER
from hector.core.ids import wrong_with
from hector.core.record import dataclass
from hector.core.task import AgentDelta, AnswerDelta, ClientMessage, Task, TaskState, ToolProgress, Update
from hector.mcp.offering import fit

VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, DEFECT = -32700, -32600, -32601, -32602, -32603
_SHAPE: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "what the agent is told, or the answer to its question"},
        "conversation": {"type": "string", "description": "id of an earlier conversation with it, to go on with"},
        "task": {
            "type": "string",
            "description": "id of a task that waits: for the answer in message or, without one, to hear how it is",
        },
    },
    "additionalProperties": False,
}


class BadCall(Exception):  # noqa: N818 - what it is, not what went wrong
    """Arguments that do not fit; the text is for the caller's model."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool call asks of an agent."""

    message: str
    conversation: str | None
    task: str | None


def is_id(value: Any) -> bool:
    """Whether a request may be called so. A boolean is no number here."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def result(request_id: Any, value: JsonObject) -> JsonObject:
    """A response."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def fault(request_id: Any, code: int, message: str) -> JsonObject:
    """An error response."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def welcome(params: JsonObject, name: str, version: str, instructions: str) -> JsonObject:
    """The answer to `initialize`: the client's version where it is known here, else the newest."""
    asked = params.get("protocolVersion")
    found: JsonObject = {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": name, "version": version},
    }
    return {**found, "instructions": instructions} if instructions else found


def tool_name(agent: str) -> str:
    """What the tool of an agent is called."""
    return fit(agent)


def described(agent: str, description: str) -> JsonObject:
    """The tool of an agent."""
    return {"name": tool_name(agent), "description": description, "inputSchema": _SHAPE}


def call_of(arguments: Any) -> Call:
    """What is asked for. Raises BadCall."""
    given = {} if arguments is None else arguments
    if not isinstance(given, dict) or not given.keys() <= _SHAPE["properties"].keys():
        raise BadCall("the arguments must be an object with message, and maybe conversation or task")
    if not all(isinstance(value, str) for value in given.values()):
        raise BadCall("message, conversation and task must be texts")
    for name in ("conversation", "task"):
        if said := wrong_with(given.get(name, "")):
            raise BadCall(f"{name} {said}")
    found = Call(given.get("message", ""), given.get("conversation") or None, given.get("task") or None)
    if not found.message.strip() and found.task is None:
        raise BadCall("message must say something")
    return found


def progress(token: Any, number: int, text: str) -> JsonObject:
    """A notification about a call that runs."""
    params = {"progressToken": token, "progress": number, "message": text}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def news(update: Update) -> str:
    """What an update tells those who wait, in a few words; empty for nothing."""
    match update:
        case ToolProgress(call, None) if call is not None:
            return f"calls {call.name}"
        case ToolProgress(None, done) if done is not None:
            return f"{done.name} has {'failed' if done.is_error else 'ended'}"
        case AnswerDelta(first=True):
            return "answers"
        case AgentDelta(author=author):
            return f"{author} works on it"
        case _:
            return ""


def outcome(answer: Task | ClientMessage) -> JsonObject:
    """What became of a call, as the result of a tool."""
    if isinstance(answer, ClientMessage):
        return {"content": _blocks(answer.message.parts), "isError": False}
    state = answer.status.state
    facts = {"state": state.value, "conversation": answer.context_id, "task": answer.id}
    content = [block for one in answer.artifacts for block in _blocks(one.parts, one.id)]
    said = answer.status.message
    if state is not TaskState.COMPLETED:
        content += _blocks(part for part in (said.message.parts if said else ()) if isinstance(part, Text))
        content.append(_text(_advice(answer)))
    failed = state in (TaskState.FAILED, TaskState.REJECTED, TaskState.CANCELED)
    return {"content": content or [_text("(no output)")], "structuredContent": facts, "isError": failed}


def refused(text: str) -> JsonObject:
    """A result that says why there is none."""
    return {"content": [_text(text)], "isError": True}


def _advice(task: Task) -> str:
    said = task.status.message
    match task.status.state:
        case TaskState.INPUT_REQUIRED if said and any(isinstance(part, Data) for part in said.message.parts):
            return (
                "This waits for a person's approval, which this tool cannot give: somebody has to decide with "
                f"`hector approve {task.id}`, or over the admin API. Then call the tool again with task {task.id} and "
                "without message."
            )
        case TaskState.INPUT_REQUIRED | TaskState.AUTH_REQUIRED:
            return f"The agent waits for an answer: call the tool again with task {task.id} and the answer as message."
        case TaskState.SUBMITTED | TaskState.WORKING:
            return f"The task goes on: call the tool again with task {task.id} and without message to hear the end."
        case state:
            return f"The task has ended: {state.value}."


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _blocks(parts: Iterable[Part], name: str = "") -> list[JsonObject]:
    return [_block(part, name) for part in parts if isinstance(part, Text | Media | Data)]


def _block(part: Content, name: str) -> JsonObject:
    match part:
        case Text(text):
            return _text(text)
        case Data(value):
            return _text(json.dumps(value, ensure_ascii=False))
        case Media(kind, data, None) if data is not None and kind.startswith(("image/", "audio/")):
            return {"type": kind.partition("/")[0], "data": data, "mimeType": kind}
        case Media(kind, data, None):
            uri = f"artifact:{(name or part.name or 'file').removeprefix(ANSWER)}"
            return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "blob": data or ""}}
        case Media(kind, _, url):
            return {"type": "resource_link", "uri": url, "name": part.name or url, "mimeType": kind}
