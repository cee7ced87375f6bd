"""What people decide about calls that wait for approval: read from their messages, made into the next part of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hector.agents.history import ANSWERS, DECISIONS
from hector.core.clock import iso
from hector.core.content import Data, JsonObject, Message, Text
from hector.core.errors import InvalidRequest, Violation
from hector.core.event import Event
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.core.task import ClientMessage, Task
from hector.store import Accept
from hector.store.approvals import Approval, ApprovalState, Decision

WORDS: Final[Mapping[str, ApprovalState]] = dict.fromkeys(
    ("approve", "approved", "yes"), ApprovalState.APPROVED
) | dict.fromkeys(("deny", "denied", "reject", "rejected", "no"), ApprovalState.DENIED)
"""What a decision may be called."""
_IN_EVENTS: Final = {
    ApprovalState.APPROVED: "approve",
    ApprovalState.DENIED: "deny",
    ApprovalState.EXPIRED: "expire",
}
REQUEST: Final = "tool_approval_request"
ANSWER: Final = "tool_approval"
"""The `type` of the data parts that ask for and bring a decision."""
HOW: Final = (
    "answer with one data part for each call, "
    '{"type": "tool_approval", "tool_call_id": ..., "decision": "approve" or "deny"}, '
    "or with the word approve or deny alone, for all of them"
)


@dataclass(frozen=True, slots=True)
class Requested:
    """A call that a waiting task asks about."""

    call_id: str
    tool: str
    args_hash: str


def requests_of(task: Task) -> tuple[Requested, ...]:
    """What a task waits for the approval of; empty for a task that waits for something else, or for nothing."""
    said = task.status.message
    if said is None or not task.status.state.interrupted:
        return ()
    values = [part.value for part in said.message.parts if isinstance(part, Data)]
    return tuple(
        Requested(value["tool_call_id"], value["tool_name"], value["arguments_hash"])
        for value in values
        if isinstance(value, dict) and value.get("type") == REQUEST
    )


def decided_calls(message: ClientMessage) -> tuple[str, ...]:
    """The ids of the calls that a message's data parts are about, whichever task they belong to."""
    values = (part.value for part in message.message.parts if isinstance(part, Data))
    return tuple(str(value.get("tool_call_id")) for value in values if _is_answer(value))


def named_task(message: ClientMessage) -> str | None:
    """The task that a message's decisions name themselves, as some clients put it there and nowhere else."""
    values = (part.value for part in message.message.parts if isinstance(part, Data))
    named = (value.get("task_id") for value in values if _is_answer(value))
    return next((name for name in named if isinstance(name, str) and name), None)


def waiting_for(calls: Sequence[str], tasks: Iterable[Task]) -> str:
    """The one of a conversation's tasks that waits for these calls. Raises InvalidRequest when there is none."""
    for task in tasks:
        if any(request.call_id in calls for request in requests_of(task)):
            return task.id
    raise InvalidRequest(
        f"no task of this conversation waits for the approval of {', '.join(calls)}",
        [Violation("message.taskId", "must name the task that asks")],
    )


def continued(event: Event, task: Task, message: ClientMessage, by: str) -> tuple[Event, tuple[Decision, ...]]:
    """The user's event of a message to a task that waits, tied to the pause that it ends, and what it decides.

    Raises InvalidRequest when the task waits for approval and the message brings none.
    """
    links: JsonObject = {ANSWERS: task.status.message.id} if task.status.message else {}
    requested = requests_of(task)
    if requested:
        _check_task(task, message)
    decisions = read_decisions(message, requested, by) if requested else ()
    if decisions:
        links[DECISIONS] = _recorded(decisions)
    return _with(event, links), decisions


def _check_task(task: Task, message: ClientMessage) -> None:
    """Calls of different tasks may have the same id. Raises InvalidRequest for decisions about another one's."""
    for at, part in enumerate(message.message.parts):
        if isinstance(part, Data) and _is_answer(part.value) and part.value.get("task_id") not in (None, "", task.id):
            raise _wrong(f"message.parts[{at}].data.task_id", "is another task than the one that the message goes to")


def _with(event: Event, links: JsonObject) -> Event:
    return Event(
        event.id,
        event.invocation_id,
        event.author,
        event.at,
        event.message,
        metadata={**(event.metadata or {}), **links},
    )


def continuation(approvals: Sequence[Approval], decisions: tuple[Decision, ...], at: float) -> Accept:
    """What lets the task of these approvals go on after decisions that no message of a client brought."""
    first = approvals[0]
    links: JsonObject = {ANSWERS: first.event_id, DECISIONS: _recorded(decisions)}
    event = Event(new_id(), new_id(), "user", at, Message("user", ()), metadata=links)
    return Accept(
        first.caller,
        first.agent,
        first.task_id,
        first.context_id,
        event,
        at,
        resume=True,
        decisions=decisions,
    )


def decide(approvals: Iterable[Approval], state: ApprovalState, by: str, comment: str = "") -> tuple[Decision, ...]:
    """The same decision about each of them."""
    return tuple(Decision(found.call_id, found.args_hash, state, by, comment) for found in approvals)


def shown(approval: Approval) -> JsonObject:
    """An approval for people who administer."""
    decided = (
        {}
        if approval.decided is None
        else {
            "decided": iso(approval.decided),
            "decided_by": approval.decided_by,
            **({"comment": approval.comment} if approval.comment else {}),
        }
    )
    return {
        "key": approval.key,
        "state": approval.state.value,
        "task": approval.task_id,
        "context": approval.context_id,
        "agent": approval.agent,
        "asked_by": approval.asker,
        "app": approval.caller.app,
        "user": approval.caller.user,
        "call": approval.call_id,
        "tool": approval.tool,
        "arguments": approval.args,
        "arguments_hash": approval.args_hash,
        "prompt": approval.prompt,
        "asked": iso(approval.created),
        "expires": None if approval.expires is None else iso(approval.expires),
        **decided,
    }


def _recorded(decisions: Iterable[Decision]) -> JsonObject:
    found: JsonObject = {}
    for one in decisions:
        found[one.call_id] = {"decision": _IN_EVENTS[one.state], "args_hash": one.args_hash, "by": one.by}
        if one.comment:
            found[one.call_id]["comment"] = one.comment
    return found


def read_decisions(message: ClientMessage, requested: Sequence[Requested], by: str) -> tuple[Decision, ...]:
    """The decisions that a message brings about the requested calls. Raises InvalidRequest for anything else."""
    parts = message.message.parts
    answers = [(at, part.value) for at, part in enumerate(parts) if isinstance(part, Data) and _is_answer(part.value)]
    text = "\n".join(part.text for part in parts if isinstance(part, Text)).strip()
    if not answers:
        alone = all(isinstance(part, Text) for part in parts)
        return _by_word(text if alone else "", requested, by)
    known = {call.call_id: call for call in requested}
    found: dict[str, Decision] = {}
    for at, value in answers:
        decision = _read(f"message.parts[{at}].data", value, known, text, by)
        if decision.call_id in found:
            raise _wrong(f"message.parts[{at}].data.tool_call_id", f"{decision.call_id!r} is decided twice")
        found[decision.call_id] = decision
    return tuple(found.values())


def _is_answer(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == ANSWER


def _word(text: str) -> str:
    return text.rstrip(".! ").lower()


def _by_word(text: str, requested: Sequence[Requested], by: str) -> tuple[Decision, ...]:
    state = WORDS.get(_word(text))
    if state is None:
        waiting = ", ".join(f"{call.tool} ({call.call_id})" for call in requested)
        raise InvalidRequest(
            f"this task waits for the approval of {waiting}: {HOW}",
            [Violation("message.parts", "must bring a decision")],
        )
    return tuple(Decision(call.call_id, call.args_hash, state, by) for call in requested)


def _read(where: str, value: JsonObject, known: Mapping[str, Requested], text: str, by: str) -> Decision:
    """One data part. A single call needs no id; a hash, where one is given, must be that of what was shown."""
    call_id = value.get("tool_call_id")
    if call_id is None and len(known) == 1:
        call_id = next(iter(known))
    call = known.get(call_id) if isinstance(call_id, str) else None
    if call is None:
        raise _wrong(f"{where}.tool_call_id", f"must be a call that waits: {', '.join(known)}")
    word = value.get("decision")
    state = WORDS.get(word.strip().lower()) if isinstance(word, str) else None
    if state is None:
        raise _wrong(f"{where}.decision", 'must be "approve" or "deny"')
    if WORDS.get(_word(text), state) is not state:
        raise _wrong(f"{where}.decision", "is not what the text of the message says")
    if value.get("arguments_hash", call.args_hash) != call.args_hash:
        raise _wrong(f"{where}.arguments_hash", "is not that of the arguments which the call has")
    comment = value.get("comment", text)
    if not isinstance(comment, str):
        raise _wrong(f"{where}.comment", "must be a text")
    return Decision(call.call_id, call.args_hash, state, by, comment)


def _wrong(field: str, description: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {description}", [Violation(field, description)])
