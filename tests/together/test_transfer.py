"""A conversation that is handed over: the other agent answers, and keeps it until it hands it on."""

from typing import Any

import pytest

from hector.agents.llm import Agent
from hector.agents.team import Team
from hector.apps.build import build
from hector.config.root import HectorConfig
from hector.core.content import JsonObject
from hector.core.task import TaskState
from hector.tools.catalog import Catalog
from tests.tasks.test_service import answer_of
from tests.together.conftest import Open, ask, calls, configuration, function, hand, results

DESK = {
    "chief": [
        calls(hand("billing", "sort out invoice 7"), user="invoice", turn=0, text="One moment."),
        calls(hand("repairs", "fix the lamp"), user="lamp", turn=0),
        {"text": "chief here"},
    ],
    "billing": [
        calls(hand("repairs", "the lamp, please"), user="lamp$", turn=0),
        calls(hand("chief", "I am done"), user="back", turn=0),
        {"user": r"(?s)handed the conversation to billing\]\n(.*)", "text": r"billing does: \1"},
        {"text": "billing still"},
    ],
    "repairs": [{"user": r"(?s)to repairs\]\n(.*)", "text": r"repairs does: \1"}, {"text": "repairs still"}],
}
AGENTS: dict[str, Any] = {"chief": {"sub_agents": ["billing", "repairs"]}}


@pytest.mark.proves("agents.sub-agents")
async def test_the_other_agent_answers_and_keeps_the_conversation(company: Open) -> None:
    async with company(DESK, AGENTS) as it:
        task = await it.say("my invoice is wrong")
        assert (task.agent, task.status.state) == ("chief", TaskState.COMPLETED)
        assert answer_of(task) == "One moment.\n\nbilling does: sort out invoice 7"
        context: dict[str, Any] = {"context_id": task.context_id}
        assert answer_of(await it.say("and?", **context)) == "billing still"
    async with company(DESK, AGENTS) as it:
        assert answer_of(await it.say("still there?", **context)) == "billing still"
        assert answer_of(await it.say("my lamp", **context)) == "repairs does: the lamp, please"
        assert answer_of(await it.say("thanks", **context)) == "repairs still"
        assert answer_of(await it.say("other conversation")) == "chief here"
        assert answer_of(await it.say("directly", to="billing", **context)) == "billing still"


@pytest.mark.proves("agents.sub-agents")
async def test_it_goes_back_to_the_parent(company: Open) -> None:
    async with company(DESK, AGENTS) as it:
        task = await it.say("my invoice is wrong")
        context: dict[str, Any] = {"context_id": task.context_id}
        assert answer_of(await it.say("go back", **context)) == "chief here"
        assert answer_of(await it.say("who?", **context)) == "chief here"


@pytest.mark.proves("agents.sub-agents")
async def test_an_agent_that_has_left_the_configuration_gives_the_conversation_back(company: Open) -> None:
    async with company(DESK, AGENTS) as it:
        context: dict[str, Any] = {"context_id": (await it.say("my invoice is wrong")).context_id}
    async with company(DESK, {"chief": {"sub_agents": ["repairs"]}}) as it:
        assert answer_of(await it.say("and?", **context)) == "chief here"


@pytest.mark.proves("agents.sub-agents")
async def test_the_other_agent_sees_the_conversation_with_every_voice_marked(company: Open) -> None:
    whole = [{"system": "(?s)^(.*)$", "user": "(?s)^(.*)$", "text": r"<\1>"}]
    models = {"chief": [{"user": "^hello", "text": "Hello yourself."}, *DESK["chief"]], "billing": whole}
    async with company(models, {"chief": {"sub_agents": ["billing"], "global_instruction": "Be kind."}}) as it:
        first = await it.say("hello")
        task = await it.say("my invoice", context_id=first.context_id)
    shown = answer_of(task)
    order = [
        "hello",
        "[chief said]\nHello yourself.",
        "my invoice",
        "[chief said]\nOne moment.",
        "[chief handed the conversation to billing]\nsort out invoice 7",
    ]
    places = [shown.index(text) for text in order if text in shown]
    assert places == sorted(places)
    assert shown.endswith("sort out invoice 7>")


@pytest.mark.proves("agents.together.limits")
async def test_a_conversation_that_is_only_handed_around_fails_and_says_so(company: Open) -> None:
    models = {
        "chief": [calls(hand("other", "you do it"))],
        "other": [calls(hand("chief", "no, you"))],
    }
    agents: dict[str, Any] = {"chief": {"sub_agents": ["other"], "delegation": {"max_transfers": 4}}}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.FAILED
        assert task.status.message is not None
        said = task.status.message.message.text
        assert "more than 4 times without an answer (delegation.max_transfers)" in said
        assert "chief -> other, other -> chief" in said


async def test_other_calls_of_the_turn_are_carried_out_first(company: Open) -> None:
    async def note() -> str:
        """Note."""
        return "noted"

    models = {
        "chief": [calls(hand("billing", "go on"), ("note", {}), hand("repairs", "never"), turn=0)],
        "billing": [{"text": "billing here"}],
        "repairs": [{"text": "repairs here"}],
    }
    agents = {"chief": {"sub_agents": ["billing", "repairs"], "tools": ["note"]}}
    async with company(models, agents, function("note"), functions=(note,)) as it:
        task = await it.say("go")
        assert answer_of(task) == "billing here"
        found = {r.call_id: (r.is_error, r.content) for e in await it.events(task) for r in e.tool_results}
        assert "noted" in str(found["call_2"])
        assert found["call_3"][0]


@pytest.mark.proves("agents.sub-agents", "agents.agent-tools")
async def test_a_called_agent_hands_over_within_its_own_branch(company: Open) -> None:
    models = {
        "chief": [calls(ask("desk", "repair it"), turn=0), results(r"chief: \g<all>")],
        "desk": [calls(hand("repairs", "the lamp"), turn=0)],
        "repairs": [{"user": "lamp", "text": "fixed"}],
    }
    async with company(models, {"chief": {"agent_tools": ["desk"]}, "desk": {"sub_agents": ["repairs"]}}) as it:
        task = await it.say("go")
        assert answer_of(task) == "chief: fixed"
        assert answer_of(await it.say("and?", context_id=task.context_id)) == "chief: fixed"


async def test_a_structured_answer_of_the_one_does_not_swallow_the_words_of_the_other(company: Open) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    models = {"chief": [calls(hand("other", "go"), turn=0, text="hm")], "other": [{"text": "plain words"}]}
    agents = {"chief": {"sub_agents": ["other"], "structured_output": {"schema": schema}}}
    async with company(models, agents) as it:
        assert answer_of(await it.say("go")) == "plain words"


def team(**agents: JsonObject) -> Team:
    config = HectorConfig.model_validate(configuration({name: [{"text": "x"}] for name in agents}, agents))
    agent = build(config, Catalog()).agents["a"]
    assert isinstance(agent, Agent)
    found = agent.team
    assert isinstance(found, Team)
    return found


@pytest.mark.proves("agents.sub-agents")
@pytest.mark.parametrize(
    ("root", "agent", "b", "expected"),
    [
        ("a", "a", {}, ["b", "c"]),
        ("a", "b", {}, ["a", "c"]),
        ("a", "b", {"disallow_transfer_to_parent": True}, ["c"]),
        ("a", "b", {"disallow_transfer_to_peers": True}, ["a"]),
        ("a", "b", {"disallow_transfer_to_parent": True, "disallow_transfer_to_peers": True}, []),
        ("a", "b", {"sub_agents": ["d"]}, ["d", "a", "c"]),
        ("a", "d", {"sub_agents": ["d"]}, ["b"]),
        ("b", "b", {"sub_agents": ["d"]}, ["d"]),
        ("b", "b", {"sub_agents": ["a"]}, ["a", "c"]),
    ],
)
def test_who_may_hand_over_to_whom(root: str, agent: str, b: JsonObject, expected: list[str]) -> None:
    assert team(a={"sub_agents": ["b", "c"]}, b=b, c={}, d={}).targets(root, agent) == expected


@pytest.mark.proves("agents.together.limits")
async def test_a_circle_through_both_ways_ends_at_the_depth_that_is_allowed(company: Open) -> None:
    models = {
        "chief": [calls(ask("other", "go"), turn=0), results(r"(\g<all>)")],
        "other": [calls(hand("chief", "go"), turn=0)],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["other"], "delegation": {"max_depth": 3}},
        "other": {"sub_agents": ["chief"]},
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.COMPLETED
        assert "agents call each other 3 deep already, and no deeper than 3" in answer_of(task)
        depths = {event.branch.count("@") for event in await it.events(task)}
        assert depths == {0, 1, 2, 3}


async def test_an_agent_that_calls_and_is_handed_the_conversation_of_its_caller(company: Open) -> None:
    models = {
        "chief": [calls(hand("billing", "see to it"), turn=0)],
        "billing": [calls(ask("clerk", "count"), turn=0), results(r"billing: \g<all>")],
        "clerk": [calls(("ask_user", {"question": "All of them?"}), turn=0), results(r"clerk: \g<all>")],
    }
    agents: dict[str, Any] = {
        "chief": {"sub_agents": ["billing"]},
        "billing": {"agent_tools": ["clerk"]},
        "clerk": {"tools": ["ask_user"]},
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.message is not None
        assert task.status.message.message.text == "All of them?"
    async with company(models, agents) as it:
        task = await it.say("yes", task=task)
        assert answer_of(task) == "billing: clerk: yes"
        assert answer_of(await it.say("again", context_id=task.context_id)) == ""
