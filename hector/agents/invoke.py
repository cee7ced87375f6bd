"""Tool calls of one model turn: side by side, each answered, none able to take the run down."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hector.core import points
from hector.core.content import Text, ToolCall, ToolResult
from hector.core.errors import ToolError
from hector.core.event import Artifact, BranchPartial, Control, InputRequired
from hector.core.ports import Tool, ToolContext, ToolOutput
from hector.core.record import dataclass
from hector.observe import metrics
from hector.observe.discreet import artifact, contents, control, state
from hector.observe.redact import redact

if TYPE_CHECKING:
    from hector.agents.progress import Progress

log = logging.getLogger("hector.agents")
_UNKNOWN: Final = "(unknown)"
"""Counts calls of tools that do not exist: a name that a model has invented is no label."""
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
    calls: Sequence[tuple[ToolCall, ToolContext]],
    tools: Mapping[str, Tool],
    others: Iterable[str] = (),
    told: "Progress | None" = None,
    away: Sequence[str] = (),
) -> AsyncGenerator[Answered | BranchPartial]:
    """Run independent calls at the same time; yield whenever some have ended, so that their results can be kept.

    What ends or pauses the run is held back until all calls have ended: of several the first in order counts. A
    question to the user gets its result later, from the user. `others` is what may be called besides; what comes in by
    `told` is passed on; `away` are the entries whose tools are missing for now.
    """
    running = {asyncio.create_task(_call(call, tools, context, others, away)): call for call, context in calls}
    order = {call.id: at for at, (call, _) in enumerate(calls)}
    held: _Outputs = {}
    pending = set(running)
    try:
        while pending:
            awaited: Iterable[asyncio.Future[Any]] = pending if told is None else (*pending, told.bell)
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            for said in told.take() if told is not None else ():
                yield said
            done = {task for task in pending if task.done()}
            pending -= done
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


def _unknown(name: str, known: Sequence[str], away: Sequence[str]) -> ToolOutput:
    text = f"there is no tool named {name!r}; there are: {', '.join(known) or 'none'}"
    if away:
        missing = ", ".join(map(repr, away))
        text = f"the tools of {missing} cannot be reached now; they may come back, so try again later. Now {text}"
    return _failed(text)


async def _call(
    call: ToolCall, tools: Mapping[str, Tool], context: ToolContext, others: Iterable[str], away: Sequence[str]
) -> ToolOutput:
    tool = tools.get(call.name)
    if tool is None:
        _count(context.app, _UNKNOWN, "unknown")
        return _unknown(call.name, (*tools, *others), away)
    if call.raw is not None:
        _count(context.app, call.name, "arguments")
        return _failed(f"the arguments of {call.name} are not a JSON object: {call.raw[:200]}")
    began = time.perf_counter() if metrics.current is not None else 0.0
    output, trouble = await _carried_out(call, tool, context)
    if metrics.current is not None:
        _count(context.app, call.name, trouble, time.perf_counter() - began)
    return output


def _count(app: str, tool: str, trouble: str, seconds: float | None = None) -> None:
    """Count a call, where anything is counted, with what kind of trouble it met, if any."""
    if (counts := metrics.current) is None:
        return
    counts.tool_calls.add(app, tool)
    if trouble:
        counts.tool_errors.add(app, tool, trouble)
    if seconds is not None:
        counts.tool_seconds.observe(seconds, app, tool)


async def _carried_out(call: ToolCall, tool: Tool, context: ToolContext) -> tuple[ToolOutput, str]:
    """What the tool gave, and the kind of trouble that it met: "reported", "tool", "defect", or none."""
    points.reach("tool.intent")
    try:
        output = await tool.call(call.args, context)
        points.reach("tool.effect")
        output = discreet(output)
        if output.artifacts and context.artifacts is not None:
            await context.artifacts.admit(output.artifacts)
        return output, "reported" if output.is_error else ""
    except ToolError as error:
        return _failed(redact(str(error))), "tool"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | GeneratorExit) or _is_canceled(error):
            raise
        log.exception("tool failed", extra={"tool": call.name, "agent": context.agent})
        return _failed(redact(f"{call.name} failed: {type(error).__name__}: {error}")), "defect"


def discreet(output: ToolOutput) -> ToolOutput:
    """The output without the secrets of the configuration, which no tool is to hand to a model."""
    if not (output.artifacts or output.state or output.control):
        content = contents(output.content)
        return output if content is output.content else replace(output, content=content)
    return replace(
        output,
        content=contents(output.content),
        artifacts=tuple(map(artifact, output.artifacts)),
        state=state(output.state),
        control=None if output.control is None else control(output.control),
    )


def _is_canceled(error: BaseException) -> bool:
    """Whether the run is being cancelled, rather than something that the tool waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _failed(text: str) -> ToolOutput:
    return ToolOutput((Text(text[:LONGEST_ERROR]),), is_error=True)


def _error(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call.id, call.name, (Text(text),), is_error=True)
