"""Tool calls of one model turn: side by side, each answered, none able to take the run down."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Final

from hector.core import points
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
    """The results of calls that ended together, in the order of the calls, and what the tools asked for."""

    results: tuple[ToolResult, ...]
    artifacts: tuple[Artifact, ...]
    state: Mapping[str, object]
    control: Control | None


_Outputs = dict[str, tuple[ToolCall, ToolOutput]]


async def call_all(
    calls: Sequence[tuple[ToolCall, ToolContext]], tools: Mapping[str, Tool], others: Iterable[str] = ()
) -> AsyncGenerator[Answered]:
    """Run independent calls at the same time; yield whenever some have ended, so that their results can be kept.

    What ends or pauses the run is held back until all calls have ended: of several the first in order counts. A
    question to the user gets its result later, from the user. `others` is what may be called besides.
    """
    running = {asyncio.create_task(_call(call, tools, context, others)): call for call, context in calls}
    order = {call.id: at for at, (call, _) in enumerate(calls)}
    held: _Outputs = {}
    pending = set(running)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            ended = {running[task].id: (running[task], task.result()) for task in done}
            held |= {name: found for name, found in ended.items() if found[1].control is not None}
            ready = ended if not pending else {name: found for name, found in ended.items() if name not in held}
            if not pending:
                ready |= held
            if ready:
                yield _answered(ready[name] for name in sorted(ready, key=order.__getitem__))
    finally:
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)


def _answered(ended: Iterable[tuple[ToolCall, ToolOutput]]) -> Answered:
    found = list(ended)
    control = next((output.control for _, output in found if output.control), None)
    results = tuple(_result(call, output, control) for call, output in found if not _waits(call, control))
    artifacts = tuple(artifact for _, output in found for artifact in output.artifacts)
    state = {key: value for _, output in found for key, value in output.state.items()}
    return Answered(results, artifacts, state, control)


def _waits(call: ToolCall, control: Control | None) -> bool:
    return isinstance(control, InputRequired) and control.call_id == call.id


def _result(call: ToolCall, output: ToolOutput, control: Control | None) -> ToolResult:
    if output.control is not None and output.control is not control:
        return _error(call, "this had no effect, because another call of the same turn came first; call it alone")
    return ToolResult(call.id, call.name, output.content or (Text("(no output)"),), output.is_error)


def complaint(call: ToolCall, tools: Mapping[str, Tool]) -> str | None:
    """What the model is told of arguments that the tool would refuse; None: it would not."""
    tool = tools.get(call.name)
    if tool is None:
        return None
    try:
        tool.check(call.args)
    except ToolError as error:
        return str(error)[:LONGEST_ERROR]
    except Exception as error:
        log.exception("tool cannot check its arguments", extra={"tool": call.name})
        return redact(f"{call.name} failed: {type(error).__name__}: {error}")[:LONGEST_ERROR]
    return None


async def _call(call: ToolCall, tools: Mapping[str, Tool], context: ToolContext, others: Iterable[str]) -> ToolOutput:
    tool = tools.get(call.name)
    if tool is None:
        return _failed(f"there is no tool named {call.name!r}; there are: {', '.join((*tools, *others)) or 'none'}")
    if call.raw is not None:
        return _failed(f"the arguments of {call.name} are not a JSON object: {call.raw[:200]}")
    points.reach("tool.intent")
    try:
        output = await tool.call(call.args, context)
        points.reach("tool.effect")
        return output
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
