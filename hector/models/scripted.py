"""A model that follows written rules: for tests, for checking agent configurations in CI, and for the demo.

No language model is involved and no network. Rules come from the YAML file (`provider: scripted`) and are tried in
order; the first whose conditions all hold answers. Equal conversations give equal replies, except for errors with
`times`, which are counted over the life of the process, as for a provider that recovers.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from hector.config.llm_scripted import ScriptedLlm, ScriptError, ScriptRule
from hector.core.clock import Clock, SystemClock
from hector.core.content import Message, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import ModelRejected
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage
from hector.models.faults import Fault, to_error
from hector.models.history import result_text
from hector.net.retry import Failure, GiveUp, RetryPolicy

_WORD: Final = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")
ONE_TRY: Final = RetryPolicy(max_attempts=1)
_REFERENCE: Final = re.compile(r"\\(?:(\d)|g<(\w+)>)")


@dataclass(frozen=True, slots=True)
class Situation:
    """What rules may look at. `result` is the last message's tool result that is being answered, by tool name."""

    user: str
    system: str
    results: Mapping[str, str]
    turn: int
    calls: int


def situation(request: ModelRequest) -> Situation:
    """The conversation as the rules see it: last user text, fresh tool results, model calls since the user spoke."""
    messages = request.messages
    start = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    last = messages[-1] if messages else None
    return Situation(
        user=messages[start].text if messages else "",
        system=request.system,
        results=_results(last) if last else {},
        turn=sum(message.role == "assistant" for message in messages[start:]),
        calls=sum(len(message.tool_calls) for message in messages),
    )


def _results(message: Message) -> dict[str, str]:
    found = [part for part in message.parts if isinstance(part, ToolResult)]
    return {part.name: result_text(part) for part in found}


def match(rule: ScriptRule, now: Situation) -> Mapping[str, str] | None:
    """The groups that the rule's patterns captured, by number and name; None when a condition does not hold.

    Where several patterns capture the same number, tool results win over user text, and that over the system text.
    """
    if rule.turn is not None and rule.turn != now.turn:
        return None
    if rule.tool_result is not None and rule.tool_result not in now.results:
        return None
    result = now.results.get(rule.tool_result) if rule.tool_result is not None else "\n".join(now.results.values())
    groups: dict[str, str] = {}
    for pattern, text in ((rule.system, now.system), (rule.user, now.user), (rule.tool_result_matches, result or "")):
        if pattern is None:
            continue
        if (found := re.search(pattern, text)) is None:
            return None
        groups |= _groups(found)
    return groups


def _groups(found: "re.Match[str]") -> dict[str, str]:
    numbered = {str(at): found[at] or "" for at in range((found.re.groups or 0) + 1)}
    return numbered | {name: value or "" for name, value in found.groupdict().items()}


def fill(value: Any, groups: Mapping[str, str]) -> Any:
    r"""`value` with `\1` and `\g<name>` replaced in every string in it; references to nothing stay as written."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: groups.get(found[1] or found[2], found[0]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, groups) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, groups) for item in value]
    return value


class ScriptedModel:
    """ChatModel over rules. `who` names it in error texts; `clock` is what `delay` and `pace` wait on."""

    def __init__(
        self,
        rules: Sequence[ScriptRule],
        *,
        name: str = "scripted",
        model: str = "scripted",
        retry: RetryPolicy = ONE_TRY,
        clock: Clock | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._failed = [0] * len(self._rules)
        self._who = f"llm {name!r} (scripted)"
        self._model = model
        self._retry = retry
        self._clock = clock or SystemClock()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """One tuple per word, then the reply. Scripted failures are retried as those of a real provider are."""
        rule, groups = await self._settle(situation(request))
        reply = self._reply(rule, groups, request)
        for delta in _deltas(reply.message):
            yield (delta,)
            await self._clock.sleep(rule.pace)
        yield reply

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The same reply after the same time, in one piece."""
        async with aclosing(self.stream(request)) as items:
            async for item in items:
                if isinstance(item, ModelReply):
                    return item
        raise AssertionError("a stream ends with a reply or raises")

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _settle(self, now: Situation) -> tuple[ScriptRule, Mapping[str, str]]:
        """The rule that gets to answer, after its delay and after the failures that come first."""
        failures = 0
        while True:
            rule, groups, error = self._choose(now)
            await self._clock.sleep(rule.delay)
            if error is None:
                return rule, groups
            failures += 1
            failed = to_error(self._who, Fault(error.message, status=error.status, retry_after=error.retry_after))
            failure = Failure(status=failed.status, asked=failed.retry_after, retryable=failed.retryable)
            decision = self._retry.decide(failure, failures)
            if isinstance(decision, GiveUp):
                raise failed
            await self._clock.sleep(decision.delay)

    def _choose(self, now: Situation) -> tuple[ScriptRule, Mapping[str, str], ScriptError | None]:
        for at, rule in enumerate(self._rules):
            if (groups := match(rule, now)) is None:
                continue
            if (error := self._due(at, rule)) or rule.error is None or _answers(rule):
                return rule, groups, error
        raise ModelRejected(self._no_rule(now))

    def _due(self, at: int, rule: ScriptRule) -> ScriptError | None:
        """The rule's error, unless it has come as often as it should; counts this time."""
        if rule.error is None or self._failed[at] == rule.error.times:
            return None
        self._failed[at] += 1
        return rule.error

    def _no_rule(self, now: Situation) -> str:
        lines = [f"{self._who}: no rule matches the user text {now.user!r} (model call {now.turn} of this turn)."]
        if now.results:
            lines.append(f"Tool results at hand: {', '.join(now.results)}.")
        lines.append("Rules, in order: " + ("; ".join(map(describe, self._rules)) or "none") + ".")
        lines.append("Add one that matches, or a last one without conditions, which always does.")
        return " ".join(lines)

    def _reply(self, rule: ScriptRule, groups: Mapping[str, str], request: ModelRequest) -> ModelReply:
        calls = sum(len(message.tool_calls) for message in request.messages)
        parts: list[Part] = []
        if rule.thinking:
            parts.append(Thinking(fill(rule.thinking, groups)))
        if rule.text:
            parts.append(Text(fill(rule.text, groups)))
        parts += [
            ToolCall(f"call_{calls + at}", call.name, fill(call.args, groups))
            for at, call in enumerate(rule.tool_calls, start=1)
        ]
        finish = rule.finish or (FinishReason.TOOL_CALLS if rule.tool_calls else FinishReason.STOP)
        message = Message("assistant", tuple(parts))
        return ModelReply(message, FinishReason(finish), _usage(request, message), self._model, str(finish))


def _answers(rule: ScriptRule) -> bool:
    return bool(rule.text or rule.thinking or rule.tool_calls)


def describe(rule: ScriptRule) -> str:
    """A rule's conditions in one line: `user ~ 'hello', turn = 0`."""
    conditions = [
        f"user ~ {rule.user!r}" if rule.user is not None else "",
        f"system ~ {rule.system!r}" if rule.system is not None else "",
        f"tool_result = {rule.tool_result}" if rule.tool_result is not None else "",
        f"tool_result ~ {rule.tool_result_matches!r}" if rule.tool_result_matches is not None else "",
        f"turn = {rule.turn}" if rule.turn is not None else "",
    ]
    return ", ".join(filter(None, conditions)) or "always"


def _deltas(message: Message) -> Iterator[Delta]:
    for part in message.parts:
        if isinstance(part, Thinking):
            yield from (ThinkingDelta(word) for word in words(part.text))
        elif isinstance(part, Text):
            yield from (TextDelta(word) for word in words(part.text))


def words(text: str) -> list[str]:
    """The text cut before each word; joined again, it is the same text."""
    return _WORD.findall(text)


def _usage(request: ModelRequest, reply: Message) -> Usage:
    """Words counted as tokens: no model's truth, but it grows with the conversation as a model's count does."""
    asked = len(request.system.split()) + sum(map(_size, request.messages))
    reasoning = sum(len(part.text.split()) for part in reply.parts if isinstance(part, Thinking))
    return Usage(input=asked, output=_size(reply), reasoning=reasoning)


def _size(message: Message) -> int:
    total = 0
    for part in message.parts:
        match part:
            case Text(text) | Thinking(text):
                total += len(text.split())
            case ToolCall(_, _, args):
                total += 1 + len(str(args).split())
            case ToolResult(_, _, content):
                total += _size(Message("tool", content))
            case _:
                total += 1
    return total


def create(llm: ScriptedLlm, name: str) -> ScriptedModel:
    """The model that `llms.<name>` describes."""
    wait = llm.retry
    retry = RetryPolicy(wait.max_attempts, wait.initial_delay, wait.max_delay, patience=wait.max_delay)
    return ScriptedModel(llm.rules, name=name, model=llm.model, retry=retry)
