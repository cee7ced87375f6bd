"""What happens to the calls of a model turn: which run, which wait for a person, which are answered without either.

Pure: it looks at where the calls stand and at the tools' policies, and says what to do.
"""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from hector.agents.standing import CallStanding, Phase, Turn
from hector.core.content import Text, ToolCall, ToolResult
from hector.core.digest import args_hash
from hector.core.event import InputRequired, PendingCall
from hector.core.ports import Action, ToolPolicy
from hector.core.record import dataclass

SHOWN: Final = 500
"""Characters of the arguments that a prompt shows; the request itself carries all of them."""
NONE_DENIED: Final[Mapping[str, int]] = MappingProxyType({})
Complaint: TypeAlias = Callable[[ToolCall], str | None]
"""What is wrong with the arguments of a call; None: nothing."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do next with a turn's calls, in the order of the fields.

    `settled` needs no execution; the execution of `intend` has to be announced before `run` begins; `ask` is for
    people.
    """

    settled: tuple[ToolResult, ...]
    intend: tuple[str, ...]
    run: tuple[CallStanding, ...]
    ask: tuple[PendingCall, ...]
    denied: Mapping[str, int] = NONE_DENIED
    """Which rule forbade which of the settled calls, by their ids; rules are counted from 1."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Which agent asks people, and in which branch; both empty for the task's own agent."""

    agent: str = ""
    branch: str = ""


ITSELF: Final = Asker()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an agent that works for another one waits for: nothing more can be done in its branch before that."""

    questions: tuple[InputRequired, ...]
    calls: tuple[PendingCall, ...]


def next_steps(
    turn: Turn,
    policies: Mapping[str, ToolPolicy],
    begun: Set[str],
    complaint: Complaint,
    asker: Asker = ITSELF,
    last: Set[str] = frozenset(),
) -> Steps:
    """Sort the calls that have no result. `begun` are those whose execution this very process has announced.

    A call that was announced by somebody else was cut off. A name without a policy is no tool. `complaint` is heard
    before people are asked: a call that cannot be carried out goes back to the model instead. Calls of the tools in
    `last` come when nothing else is open.
    """
    settled: list[ToolResult] = []
    intend: list[str] = []
    run: list[CallStanding] = []
    ask: list[PendingCall] = []
    denied: dict[str, int] = {}
    for call in _first(turn.open, last) if last else turn.open:
        policy = policies.get(call.call.name)
        if policy is not None and policy.rules and (rule := _forbidden(call, policy, begun)):
            denied[call.call.id] = rule
            settled.append(_denied(call))
            continue
        match _step(call, policy, begun, complaint, asker):
            case ToolResult() as result:
                settled.append(result)
            case PendingCall() as pending:
                ask.append(pending)
            case None if call.phase is not Phase.QUESTION:
                run.append(call)
                if call.phase is not Phase.STARTED and not (policy and policy.reentrant):
                    intend.append(call.call.id)
            case _:
                pass
    return Steps(tuple(settled), tuple(intend), tuple(run), tuple(ask), denied or NONE_DENIED)


def _first(calls: list[CallStanding], last: Set[str]) -> list[CallStanding]:
    """Those that are not to come last, if there are any."""
    return [call for call in calls if call.call.name not in last] or calls


def _step(
    call: CallStanding, policy: ToolPolicy | None, begun: Set[str], complaint: Complaint, asker: Asker
) -> ToolResult | PendingCall | None:
    """A result without execution, a request to people, or None: run it."""
    match call.phase:
        case Phase.NEW:
            return _gate(call, policy, complaint, asker)
        case Phase.STARTED:
            return None if call.call.id in begun else _cut_off(call, policy, asker)
        case Phase.ASKED:
            return call.pending
        case Phase.APPROVED if call.pending is not None and args_hash(call.call.args) == call.pending.args_hash:
            return None
        case Phase.APPROVED | Phase.DENIED | Phase.EXPIRED:
            return _refused(call)
        case _:
            return None


def verdict(call: ToolCall, policy: ToolPolicy | None) -> Action:
    """What becomes of a call. What cannot be run at all (no such tool, no arguments) troubles nobody."""
    if policy is None or call.raw is not None:
        return "allow"
    if policy.rules:
        return _ruled(call, policy)[0]
    return "ask" if policy.approval else "allow"


def _ruled(call: ToolCall, policy: ToolPolicy) -> tuple[Action, int]:
    from hector.tools.policy import decide  # noqa: PLC0415 - loaded for the first tool with rules

    return decide(policy, call.name, call.args)


def _forbidden(call: CallStanding, policy: ToolPolicy, begun: Set[str]) -> int:
    """The number of the rule that forbids a call which would run now, or be asked about; 0: none does."""
    decided = (Phase.DENIED, Phase.EXPIRED, Phase.QUESTION)
    if call.call.raw is not None or call.phase in decided or call.call.id in begun:
        return 0
    action, rule = _ruled(call.call, policy)
    return rule if action == "deny" else 0


def _denied(call: CallStanding) -> ToolResult:
    """What the model is told of a call that a rule forbids."""
    name = call.call.name
    fate = (
        "It had begun before and was cut off: it is not known whether it took effect."
        if call.phase is Phase.STARTED
        else "It was not carried out."
    )
    return _error(
        call,
        f"NOT ALLOWED: the configuration forbids {name} with these arguments (approval_rules). {fate} "
        "Do not try it in another way; say what you need it for if there is no other.",
    )


def _gate(
    call: CallStanding, policy: ToolPolicy | None, complaint: Complaint, asker: Asker
) -> ToolResult | PendingCall | None:
    if policy is None or verdict(call.call, policy) != "ask":
        return None
    if (wrong := complaint(call.call)) is not None:
        return _error(call, wrong)
    return _pending(call, policy, _prompt(call, policy, asker), asker, interrupted=False)


def _cut_off(call: CallStanding, policy: ToolPolicy | None, asker: Asker) -> ToolResult | PendingCall | None:
    if call.call.raw is not None or (policy is not None and policy.on_unknown == "retry"):
        return None
    name = call.call.name
    if policy is not None and policy.on_unknown == "ask":
        prompt = (
            f"The call of {name} was cut off after it had begun: it is not known whether it took effect. "
            f"Approve to run it again with {_shown(call)}, or deny to go on without it."
        )
        return _pending(call, policy, prompt, asker, interrupted=True)
    return _error(
        call,
        f"{name} was cut off after it had begun: it is not known whether it took effect, and it was not run again. "
        "Find out before you rely on either.",
    )


def _pending(call: CallStanding, policy: ToolPolicy, prompt: str, asker: Asker, *, interrupted: bool) -> PendingCall:
    args = call.call.args
    facts = (None, interrupted, asker.agent, asker.branch, policy.expires or 0.0)
    return PendingCall(call.name, call.call.name, args, args_hash(args), prompt, *facts)


def asked_at(call: PendingCall, now: float) -> PendingCall:
    """The call as people are asked about it: their time begins when they are asked the first time."""
    return replace(call, expires_at=now + call.term, term=0.0) if call.term else call


def _prompt(call: CallStanding, policy: ToolPolicy, asker: Asker) -> str:
    """Whoever asks for another agent says its name, whatever the prompt is."""
    agent = f"The agent {asker.agent}" if asker.agent else "The agent"
    said = policy.prompt or f"{agent} wants to call {call.call.name} and needs your approval."
    by = f" (agent {asker.agent})" if asker.agent and policy.prompt else ""
    return f"{said}\n{call.call.name}{by}: {_shown(call)}"


def legible(args: Any) -> str:
    """Arguments as JSON for people. What cannot be seen is escaped: it can turn, hide or imitate what can."""
    text = json.dumps(args, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _shown(call: CallStanding) -> str:
    text = legible(call.call.args)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _refused(call: CallStanding) -> ToolResult:
    """What the model reads in place of a result."""
    name = call.call.name
    again = call.pending is not None and call.pending.interrupted
    fate = (
        "It had begun once and was cut off: it is not known whether it took effect then."
        if again
        else "It was not carried out."
    )
    match call.phase:
        case Phase.EXPIRED:
            reason = f"NOT APPROVED: nobody approved the call of {name} in time."
        case Phase.DENIED:
            reason = f"NOT APPROVED: the user denied the call of {name}."
        case _:
            reason = f"NOT APPROVED: the approval of {name} was given for other arguments."
    comment = f" The user says: {call.comment}" if call.comment else ""
    return _error(call, f"{reason} {fate}{comment}")


def _error(call: CallStanding, text: str) -> ToolResult:
    return ToolResult(call.call.id, call.call.name, (Text(text),), is_error=True)
