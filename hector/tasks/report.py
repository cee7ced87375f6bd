"""What whoever has triggered a run is told of it, and how its task is named."""

import hashlib
from typing import Any, Final

from hector.core.clock import iso
from hector.core.content import Data, JsonObject, Text
from hector.core.task import Task, TaskState


def task_id_of(*parts: str) -> str:
    """The id of the task of what these parts name: always the same one. A UUID of version 8."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-{digest[18:30]}"


_WORDS: Final = {TaskState.SUBMITTED: "accepted", TaskState.WORKING: "accepted"}


def report(task: Task, status: str = "") -> JsonObject:
    """What whoever has triggered a run is told of it."""
    state = task.status.state
    said = task.status.message
    text = "" if said is None else said.message.text
    found: JsonObject = {
        "task_id": task.id,
        "status": status or _WORDS.get(state, str(state)),
        "result": _result(task) if state.terminal or state.interrupted else None,
        "agent_name": task.agent,
    }
    if state is TaskState.INPUT_REQUIRED:
        found["result"] = found["result"] or text
    elif state.terminal and state is not TaskState.COMPLETED:
        found["error"] = text or str(state)
    return found


def ended(task: Task) -> JsonObject:
    """The same for a callback."""
    return {**report(task), "context_id": task.context_id, "timestamp": iso(task.status.at)}


def _result(task: Task) -> Any:
    """The answer: its text; JSON where that is all there is."""
    parts = (part for artifact in task.artifacts for part in artifact.parts)
    values = [part for part in parts if isinstance(part, Text | Data)]
    if len(values) == 1 and isinstance(values[0], Data):
        return values[0].value
    return "\n\n".join(part.text for part in values if isinstance(part, Text) and not part.name) or None
