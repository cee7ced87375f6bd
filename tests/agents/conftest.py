"""An agent over a scripted model and real tools, run from any list of events."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import field
from typing import Any

import pytest

from hector.agents.context import RunContext
from hector.agents.history import ANSWERS, DECISIONS, in_turns
from hector.agents.llm import Agent
from hector.agents.prompt import Prompt
from hector.config.llm_scripted import ScriptRule
from hector.core.clock import FakeClock
from hector.core.content import user
from hector.core.event import ApprovalRequired, Event, Output
from hector.core.ids import new_id
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolContext, ToolPolicy
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.models.scripted import ScriptedModel
from hector.tools.function import function_tool
from hector.tools.generic import ask_user, reject_task, reply_directly


class Asked(ScriptedModel):
    """A scripted model that counts how often it is asked, and remembers with what."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        super().__init__([ScriptRule.model_validate(rule) for rule in rules])
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        return await super().complete(request)


@dataclass(slots=True)
class Bench:
    """One agent with tools that count their effects: `look` and `send` (`send` may need approval)."""

    model: Asked
    agent: Agent
    effects: Counter[str]
    effect_ids: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    outputs: list[Output] = field(default_factory=list)
    """Of the last run."""

    async def run(self, events: list[Event], *, until: Callable[[Event], bool] | None = None) -> list[Event]:
        """What a run adds to these events; `until` kills it right after that event was stored."""
        invocation = next(event.invocation_id for event in reversed(events) if event.author == "user")
        context = RunContext(Caller(), "s", "t", invocation, self.clock, in_turns(events, invocation), {}, stream=False)
        added: list[Event] = []
        self.outputs = outputs = []
        async with asyncio.timeout(60), aclosing(self.agent.run(context)) as running:
            async for output in running:
                outputs.append(output)
                if isinstance(output, Event):
                    added.append(output)
                    if until is not None and until(output):
                        break
        return added


def said(text: str, invocation: str | None = None, **metadata: Any) -> Event:
    """The user's message."""
    return Event(new_id(), invocation or new_id(), "user", 0.0, user(text), metadata=metadata or None)


def decided(pause: Event, **decisions: str) -> Event:
    """The event that brings decisions by call id: `call_1="approve"`."""
    assert isinstance(pause.control, ApprovalRequired)
    hashes = {call.call_id: call.args_hash for call in pause.control.calls}
    found = {name: {"decision": word, "args_hash": hashes[name], "by": "ana"} for name, word in decisions.items()}
    metadata: dict[str, Any] = {ANSWERS: pause.id, DECISIONS: found}
    return said("approve", **metadata)


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """`bench(rules, policies, output=...)`."""

    def make(
        rules: list[dict[str, Any]],
        policies: Mapping[str, ToolPolicy] | None = None,
        output: dict[str, Any] | None = None,
    ) -> Bench:
        effects: Counter[str] = Counter()
        effect_ids: list[str] = []

        async def look(at: str = "it") -> str:
            """Look."""
            effects["look"] += 1
            return f"saw {at}"

        async def send(context: ToolContext, to: str = "ana") -> str:
            """Send."""
            effects["send"] += 1
            effect_ids.append(context.effect_id)
            return f"sent to {to}"

        tools = {tool.__name__: function_tool(tool) for tool in (look, send, ask_user, reject_task, reply_directly)}
        retry = ToolPolicy(on_unknown="retry")
        chosen = dict.fromkeys(tools, retry) | {"send": ToolPolicy()} | dict(policies or {})
        model = Asked(rules)
        agent = Agent(
            "helper",
            lambda: model,
            Prompt(()),
            tools,
            OutputSchema(output) if output else None,
            policies=chosen,
        )
        return Bench(model, agent, effects, effect_ids)

    return make
