"""Entries of the configuration: one tool or several, known at once or at run time only; and what tools report."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from hector.agents.context import RunContext
from hector.agents.llm import Agent
from hector.agents.prompt import Prompt
from hector.agents.sources import Source, Sources
from hector.apps.build import build
from hector.apps.toolkit import Around, Toolkit
from hector.config.root import HectorConfig
from hector.core.clock import FakeClock
from hector.core.content import user
from hector.core.errors import ConfigError, ModelUnavailable, ToolError
from hector.core.event import BranchPartial, Event, Output
from hector.core.ports import Offer, Tool, ToolContext, ToolPolicy
from hector.core.task import Caller
from hector.tools.catalog import Catalog
from hector.tools.function import function_tool
from tests.agents.conftest import Asked
from tests.agents.test_resume import notes


def toolkit(tools: dict[str, Any]) -> Toolkit:
    config = HectorConfig.model_validate({"tools": tools})
    return Toolkit(Around("default", config, Catalog()))


@pytest.mark.proves("tools.entries")
def test_an_entry_may_offer_several_tools_and_agents_may_name_one_of_them() -> None:
    rules = [{"tool": "apply_*", "action": "deny"}]
    kit = toolkit({"files": {"handler": "filetool", "approval_rules": rules, "max_output": 5}})
    assert list(kit.give(None, 0).tools) == ["text_editor", "apply_patch", "grep_search", "list_files"]
    one = kit.give(["grep_search", "current_time"], 0)
    assert list(one.tools) == ["grep_search", "current_time"]
    assert one.policies["grep_search"].rules[0].action == "deny"
    assert list(kit.give(["read_file", "todotool"], 0).tools) == ["read_file", "todo_write"], "named without an entry"
    assert list(kit.give([], 0, ("reply_directly",)).tools) == ["reply_directly"]


@pytest.mark.proves("tools.entries")
async def test_results_are_cut_to_what_the_agents_model_takes() -> None:
    def long() -> str:
        """Says much."""
        return "x" * 1000

    llms = {
        "default": {"provider": "scripted", "max_tool_output_length": 100},
        "roomy": {"provider": "scripted", "max_tool_output_length": 0},
    }
    agents: dict[str, Any] = {"short": {}, "whole": {"llm": "roomy"}}
    config = HectorConfig.model_validate({"llms": llms, "agents": agents, "tools": {"long": {"handler": "long"}}})
    app = build(config, Catalog((long,)))
    context = ToolContext("c", "a", "default", "u", "s", "t")
    said = {name: str(await app.agents[name].kit.tools["long"].call({}, context)) for name in agents}
    assert "more characters were left out]" in said["short"]
    assert "x" * 1000 in said["whole"]
    await app.aclose()


@pytest.mark.proves("tools.entries")
def test_views_need_no_approval_unless_the_file_says_so() -> None:
    for written, rules in (({}, 1), ({"require_approval": True}, 0)):
        given = toolkit({"edit": {"handler": "text_editor"} | written}).give(None, 0)
        assert given.policies["edit"].approval
        assert len(given.policies["edit"].rules) == rules


@pytest.mark.proves("tools.entries")
def test_what_is_switched_off_is_not_there_and_two_tools_of_one_name_are_a_mistake() -> None:
    off = toolkit({"text_editor": {"handler": "text_editor", "enabled": False}, "ask_user": {"enabled": False}})
    assert list(off.give(["text_editor", "ask_user", "read_file"], 0).tools) == ["read_file"]
    two = toolkit({"a": {"handler": "filetool"}, "b": {"handler": "filetool"}})
    assert list(two.give(["b", "grep_search"], 0).tools) == ["text_editor", "apply_patch", "grep_search", "list_files"]
    with pytest.raises(ConfigError, match=r"tools\.a and tools\.b both offer text_editor"):
        two.give(None, 0)


class Server:
    """Tools that change while the run goes on."""

    away = False

    def __init__(self, *offers: dict[str, Tool]) -> None:
        self._offers = [Offer(tools, {}) for tools in offers]
        self.offered: Offer | None = None
        self.loads = 0

    async def load(self) -> None:
        self.loads += 1
        if not self._offers:
            raise ModelUnavailable("the tool server is away")
        self.offered = self._offers.pop(0)

    async def aclose(self) -> None:
        self.offered = None


def named(name: str, server: Server | None = None) -> Tool:
    async def work(context: ToolContext) -> str:
        """Work."""
        context.progress("half ")
        context.progress("done")
        if server is not None:
            server.offered = None
        return f"{name} worked"

    return function_tool(work, name=name)


def fit(tool: Tool, own: ToolPolicy, timed: bool) -> tuple[Tool, ToolPolicy]:
    return tool, own


def agent(sources: Sources, rules: list[dict[str, Any]]) -> tuple[Agent, Asked]:
    model = Asked(rules)
    return Agent("helper", lambda: model, Prompt(()), sources=sources), model


async def run(one: Agent, *, stream: bool = False) -> list[Output]:
    asked = Event("e", "i", "user", 0.0, user("go"))
    context = RunContext(Caller(), "s", "t", "i", FakeClock(), [asked], {}, stream=stream)

    async def outputs() -> AsyncGenerator[Output]:
        async with aclosing(one.run(context)) as running:
            async for output in running:
                yield output

    async with asyncio.timeout(60):
        return [output async for output in outputs()]


CALL_TWICE: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "one"}]},
    {"turn": 1, "tool_calls": [{"name": "two"}]},
    {"text": "Done"},
]


@pytest.mark.proves("tools.entries")
async def test_tools_that_are_known_at_run_time_only_may_change_between_two_steps() -> None:
    server = Server()
    server._offers = [Offer({"one": named("one", server)}, {}), Offer({"two": named("two"), "own": named("x")}, {})]
    one, model = agent(Sources([Source("srv", server, fit)], ("own",)), CALL_TWICE)
    told = notes([item for item in await run(one) if isinstance(item, Event)])
    assert "one worked" in told
    assert "two worked" in told
    assert [[tool.name for tool in request.tools] for request in model.requests] == [["one"], ["two"], ["two"]]
    assert server.loads == 2, "loaded when needed, and not for every step"


@pytest.mark.proves("tools.entries")
async def test_an_agent_takes_single_tools_of_a_server_and_a_server_that_is_away_is_an_error() -> None:
    server = Server({"one": named("one"), "two": named("two")})
    sources = Sources([Source("srv", server, fit, {"two"})])
    assert list((await sources.offer()).tools) == ["two"]
    assert await sources.offer() is await sources.offer()
    with pytest.raises(ModelUnavailable, match="is away"):
        await run(agent(Sources([Source("srv", Server(), fit)]), CALL_TWICE)[0])


@pytest.mark.proves("tools.progress")
async def test_what_a_tool_says_meanwhile_is_shown_to_those_who_watch_and_not_stored() -> None:
    seen = threading.Event()

    def slow(context: ToolContext) -> str:
        """Work in a thread, until it was seen that it does."""
        context.progress("step 1\n")
        assert seen.wait(60)
        return "finished"

    model = Asked([{"turn": 0, "tool_calls": [{"name": "slow"}]}, {"text": "Done"}])
    one = Agent("helper", lambda: model, Prompt(()), {"slow": function_tool(slow)})
    asked = Event("e", "i", "user", 0.0, user("go"))
    context = RunContext(Caller(), "s", "t", "i", FakeClock(), [asked], {}, stream=True)
    found: list[Output] = []
    async with asyncio.timeout(60), aclosing(one.run(context)) as running:
        async for output in running:
            found.append(output)
            if isinstance(output, BranchPartial):
                seen.set()
    (partial,) = (item for item in found if isinstance(item, BranchPartial))
    events = [item for item in found if isinstance(item, Event)]
    assert (partial.author, partial.deltas[0].text, partial.branch) == ("slow", "step 1\n", "")
    assert partial.call == events[0].message.tool_calls[0].id
    assert "step 1" not in notes(events)


@pytest.mark.proves("tools.progress")
async def test_nobody_watches_and_too_much_is_said() -> None:
    async def loud(context: ToolContext) -> str:
        """Say much."""
        for _ in range(200):
            context.progress("x" * 1000)
        return "finished"

    for stream, most in ((False, 0), (True, 17_000)):
        model = Asked([{"turn": 0, "tool_calls": [{"name": "loud"}]}, {"text": "Done"}])
        one = Agent("helper", lambda: model, Prompt(()), {"loud": function_tool(loud)})  # noqa: B023 - used at once
        shown = [item for item in await run(one, stream=stream) if isinstance(item, BranchPartial)]
        text = "".join(delta.text for item in shown for delta in item.deltas)
        assert len(text) <= most
        assert ("more characters are not shown" in text) is stream


def test_a_progress_that_comes_too_late_does_no_harm() -> None:
    kept: list[ToolContext] = []

    async def keep(context: ToolContext) -> str:
        """Keep."""
        kept.append(context)
        raise ToolError("no")

    async def turn() -> None:
        model = Asked([{"turn": 0, "tool_calls": [{"name": "keep"}]}, {"text": "Done"}])
        await run(Agent("helper", lambda: model, Prompt(()), {"keep": function_tool(keep)}), stream=True)
        kept[0].progress("the call is over")

    asyncio.run(turn())
    kept[0].progress("the loop is closed")
