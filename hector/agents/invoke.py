"""Tool calls of one model turn: side by side, each answered, none able to take the run down."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hector.core.content import Text, ToolCall, ToolResult
from hector.core.errors import ToolError
from hector.core.event import Artifact, Control, InputRequired
from hector.core.ports import Tool, ToolContext, ToolOutput
from hector.core.record import dataclass
from hector.observe.redact import redact

log = logging.getLogger("hector.agents")
LONGEST_ERROR: Final = 4000
"""Characters of an error that a model is told: foreign ones may quote everything they were given."""


@dataclass(frozen=True, slots=True)
class Answered:
    """All results of a turn, in the order of the calls, and what the tools asked for."""

    results: tuple[ToolResult, ...]
    artifacts: tuple[Artifact, ...]
    state: Mapping[str, object]
    control: Control | None


async def call_all(calls: Sequence[ToolCall], tools: Mapping[str, Tool], context: ToolContext) -> Answered:
    """Run independent calls at the same time. A question to the user gets its result later, from the user."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_call(call, tools, replace(context, call_id=call.id))) for call in calls]
    outputs = [task.result() for task in running]
    control = next((output.control for output in outputs if output.control), None)
    results = tuple(
        _result(call, output, control) for call, output in zip(calls, outputs, strict=True) if not _waits(call, control)
    )
    artifacts = tuple(artifact for output in outputs for artifact in output.artifacts)
    state = {key: value for output in outputs for key, value in output.state.items()}
    return Answered(results, artifacts, state, control)


def _waits(call: ToolCall, control: Control | None) -> bool:
    return isinstance(control, InputRequired) and control.call_id == call.id


def _result(call: ToolCall, output: ToolOutput, control: Control | None) -> ToolResult:
    if output.control is not None and output.control is not control:
        return _error(call, "this had no effect, because another call of the same turn came first; call it alone")
    return ToolResult(call.id, call.name, output.content or (Text("(no output)"),), output.is_error)


async def _call(call: ToolCall, tools: Mapping[str, Tool], context: ToolContext) -> ToolOutput:
    tool = tools.get(call.name)
    if tool is None:
        return _failed(f"there is no tool named {call.name!r}; there are: {', '.join(tools) or 'none'}")
    if call.raw is not None:
        return _failed(f"the arguments of {call.name} are not a JSON object: {call.raw[:200]}")
    try:
        return await tool.call(call.args, context)
    except ToolError as error:
        return _failed(str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | GeneratorExit) or _is_canceled(error):
            raise
        log.exception("tool failed", extra={"tool": call.name, "agent": context.agent})
        return _failed(redact(f"{call.name} failed: {type(error).__name__}: {error}"))


def _is_canceled(error: BaseException) -> bool:
    """Whether the run is being cancelled, rather than something that the tool waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _failed(text: str) -> ToolOutput:
    return ToolOutput((Text(text[:LONGEST_ERROR]),), is_error=True)


def _error(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call.id, call.name, (Text(text),), is_error=True)
