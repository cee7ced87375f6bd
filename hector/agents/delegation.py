"""An agent as the tool of another one: it works in a branch of its own, and goes on from what stands there."""

import logging
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final
from zlib import crc32

from hector.agents.approval import Waiting
from hector.agents.context import Others, RunContext
from hector.agents.history import ANSWERS
from hector.agents.invoke import LONGEST_ERROR, Answered
from hector.agents.kit import Delegate, request_of
from hector.agents.marks import PLANNED, mark_of
from hector.agents.standing import CallStanding
from hector.agents.together import Step
from hector.core.content import Content, Data, Media, Text, ToolCall, ToolResult, user
from hector.core.errors import HectorError, ModelUnavailable, ToolError
from hector.core.event import ApprovalRequired, Control, DirectReply, Event, InputRequired, Rejected
from hector.observe.redact import redact

log = logging.getLogger("hector.agents")
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")


def branch_of(parent: str, agent: str, call_id: str) -> str:
    """Where a called agent works. Dots and @ set the steps apart, whatever signs a model puts into its ids.

    An id that loses signs gets a mark instead, so that no two calls of one turn share a branch.
    """
    fit = _UNFIT.sub("_", call_id)
    mark = "" if fit == call_id else f"-{crc32(call_id.encode('utf-8', 'surrogatepass')):08x}"
    step = f"{agent}@{fit}{mark}"
    return f"{parent}.{step}" if parent else step


def depth_of(branch: str) -> int:
    """How many calls lead to a branch. Those of plans are no calls: plans nest no deeper than they are written."""
    return sum(not step.partition("@")[2].startswith(PLANNED) for step in branch.split(".")) if branch else 0


def seen_from(branch: str, events: Sequence[Event], turn: Event, request: str) -> list[Event]:
    """What concerns an agent that was called in `turn`: the request, what it has done, and what people said to that.

    `events` are those of its caller. The request counts as the word of a user: it is all that there was before.
    """
    asked = Event(f"{turn.id}.request", turn.invocation_id, "user", turn.at, user(request))
    start = next((at for at in range(len(events), 0, -1) if events[at - 1].id == turn.id), len(events))
    return [asked, *concerning(branch, events[start:])]


def concerning(branch: str, events: Sequence[Event]) -> Iterator[Event]:
    """What was done in a branch, and what people were asked for it and said."""
    pauses: set[str] = set()
    for event in events:
        if event.author == "user":
            if (event.metadata or {}).get(ANSWERS) in pauses:
                yield event
        elif event.branch:
            if _within(event.branch, branch):
                yield event
        elif _asks_for(event.control, branch):
            pauses.add(event.id)
            yield event


def _asks_for(control: Control | None, branch: str) -> bool:
    match control:
        case InputRequired(branch=asker):
            return _within(asker, branch)
        case ApprovalRequired(calls):
            return any(_within(call.branch, branch) for call in calls)
        case _:
            return False


def _within(inner: str, branch: str) -> bool:
    return inner == branch or inner.startswith(f"{branch}.")


async def consult(
    others: Others, context: RunContext, turn: Event, call: CallStanding, to: Delegate
) -> AsyncGenerator[Step]:
    """Let the agent of a call work on its request: what happens, and then its result or what it waits for.

    `context` is the caller's. Errors become the result, so that the caller's model can go on, unless the same may go
    well if it is tried again later: those are raised. A model that is away in the last attempt counts as an error.
    """
    try:
        async with aclosing(_consult(others, context, turn, call, to)) as steps:
            async for step in steps:
                yield step
        return
    except HectorError as error:
        if error.retryable and not (context.last and isinstance(error, ModelUnavailable)):
            raise
        text = str(error)
    except Exception as error:
        log.exception("called agent failed", extra={"agent": to.agent})
        text = f"{type(error).__name__}: {error}"
    said = redact(f"{to.agent} failed: {text}")[:LONGEST_ERROR]
    yield _answered(ToolResult(call.call.id, call.call.name, (Text(said),), is_error=True))


async def _consult(
    others: Others, context: RunContext, turn: Event, call: CallStanding, to: Delegate
) -> AsyncGenerator[Step]:
    branch = branch_of(context.branch, to.agent, call.call.id)
    events = seen_from(branch, context.events, turn, _request(call.call, branch, context))
    last = next((event for event in reversed(events) if event.branch == branch and _counts(event)), None)
    waiting = False
    inner = replace(context, events=events, branch=branch, call=call.name)
    async with aclosing(others.run(to.agent, inner)) as outputs:
        async for output in outputs:
            if isinstance(output, Waiting):
                waiting = True
            elif isinstance(output, Event) and output.branch == branch and _counts(output):
                last = output
            yield output
    if not waiting:
        yield _answered(_result(call.call, to, last))


def _counts(event: Event) -> bool:
    """Whether an event may be the answer: the marks of a plan without words are not."""
    return bool(event.message.parts) or mark_of(event) is None


def _request(call: ToolCall, branch: str, context: RunContext) -> str:
    if call.raw is not None:
        raise ToolError(f"the arguments of {call.name} are not a JSON object: {call.raw[:200]}")
    if depth_of(branch) > context.limits.depth:
        raise ToolError(
            f"agents call each other {depth_of(context.branch)} deep already, and no deeper than "
            f"{context.limits.depth} (delegation.max_depth); do without it"
        )
    return request_of(call.name, call.args)


def too_many(call: ToolCall, limit: int) -> Answered:
    """What the model is told of calls beyond the number that one turn may make."""
    text = f"one turn calls at most {limit} agents (delegation.max_calls); call it again in the next one if you need it"
    return _answered(ToolResult(call.id, call.name, (Text(text),), is_error=True))


def _answered(result: ToolResult) -> Answered:
    return Answered((result,), (), {}, None)


def _result(call: ToolCall, to: Delegate, last: Event | None) -> ToolResult:
    """The answer of an agent that has come to its end, as its caller sees it."""
    match last.control if last else None:
        case Rejected(reason):
            return ToolResult(call.id, call.name, (Text(f"{to.agent} declined: {reason}"),), is_error=True)
        case DirectReply(text):
            content: tuple[Content, ...] = (Text(text),)
        case _:
            parts = last.message.parts if last else ()
            content = tuple(_plain(part, to.cut) for part in parts if isinstance(part, Text | Media | Data))
    return ToolResult(call.id, call.name, content or (Text("(no output)"),))


def _plain(part: Content, cut: int) -> Content:
    if not isinstance(part, Text):
        return part
    left_out = len(part.text) - cut
    text = f"{part.text[:cut]}\n[{left_out} more characters were left out]" if cut and left_out > 0 else part.text
    return Text(text, media_type=part.media_type)
