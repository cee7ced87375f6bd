"""The agent of type `runner`: tools one after the other, without a model.

It is an agent like any other, but for the model: what comes next is read from what has been answered. So approvals,
limits, calls that were cut off and streams are those of all agents.
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from hector.core.content import Data, JsonObject, Message, Text, ToolCall, ToolResult
from hector.core.errors import AgentError
from hector.core.event import Delta
from hector.core.ids import new_id
from hector.core.ports import ModelReply, ModelRequest, ToolSpec
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage

INPUT: Final = "input"
"""The argument for what is no JSON object."""
_REPORT: Final = re.compile(r"^\[[^\]\n]+ said\]\n")


@dataclass(frozen=True, slots=True)
class Chain:
    """A model that calls its tools in their order, each with what the one before returned."""

    agent: str
    tools: tuple[str, ...]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """The same in one piece."""
        yield await self.complete(request)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next call, or the result of the last one. Raises AgentError where a call has failed."""
        results = _results(request.messages)
        if results and results[-1].is_error:
            raise AgentError(f"the tools of {self.agent!r} stopped at {results[-1].name}: {_text(results[-1])}")
        if len(results) == len(self.tools):
            return _reply(Message("assistant", _answer(results[-1])))
        name = self.tools[len(results)]
        given = _value(results[-1]) if results else _input(request.messages)
        spec = next((one for one in request.tools if one.name == name), None)
        call = ToolCall(f"{len(results)}-{new_id()}", name, fitted(given, spec))
        return _reply(Message("assistant", (call,)), FinishReason.TOOL_CALLS)

    async def aclose(self) -> None:
        """Nothing is held."""


def _reply(message: Message, finish: FinishReason = FinishReason.STOP) -> ModelReply:
    return ModelReply(message, finish, Usage())


def _results(messages: Sequence[Message]) -> list[ToolResult]:
    """What was returned since somebody else spoke last."""
    start = max((at for at, one in enumerate(messages) if one.role == "user"), default=0)
    return [part for one in messages[start:] for part in one.parts if isinstance(part, ToolResult)]


def _input(messages: Sequence[Message]) -> Any:
    """What was said last: to the agent itself, or by the one before it."""
    said = next((one.text for one in reversed(messages) if one.role == "user"), "")
    return _parsed(_REPORT.sub("", said))


def _text(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, Text))


def _value(result: ToolResult) -> Any:
    """A structured result as it is; a text as the JSON object that it holds, or as it is."""
    found = next((part.value for part in result.content if isinstance(part, Data)), None)
    return _parsed(_text(result)) if found is None else found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _answer(result: ToolResult) -> tuple[Text | Data, ...]:
    return tuple(part for part in result.content if isinstance(part, Text | Data)) or (Text(""),)


def fitted(value: Any, spec: ToolSpec | None) -> JsonObject:
    """Arguments from a value: a JSON object as it is, anything else as `input`.

    A tool that knows none of these, and needs exactly one argument, is given the value as that. What a tool does not
    know is left out where it takes nothing else.
    """
    args: JsonObject = dict(value) if isinstance(value, dict) else {INPUT: value}
    schema: Mapping[str, Any] = spec.parameters if spec is not None else {}
    known = schema.get("properties") or {}
    needed = schema.get("required") or []
    if known and known.keys().isdisjoint(args) and len(needed) == 1:
        return {needed[0]: value if isinstance(value, str) or not _takes_text(known, needed[0]) else json.dumps(value)}
    if schema.get("additionalProperties") is False:
        return {key: inner for key, inner in args.items() if key in known}
    return args


def _takes_text(known: Mapping[str, Any], name: str) -> bool:
    about = known.get(name)
    return isinstance(about, dict) and about.get("type") == "string"
