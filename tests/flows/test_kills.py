"""Killed at any step, a plan goes on at that step: what had ended is not done again."""

from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import plan
from tests.together.test_kills import decision, front, state_of, text_of, turns, wanted
from tests.together.world import Script, first_call, last


def everything() -> tuple[dict[str, Script], dict[str, Any]]:
    """A plan of all kinds: judge and pay, look and think side by side, two rounds of a loop, a last word."""
    models: dict[str, Script] = {
        "judge": lambda _: '{"category": "payer"}',
        "payer": first_call(("pay", {"name": "bill"})),
        "seer": first_call(("look", {"name": "apples"})),
        "thinker": lambda messages: f"thought of {len(messages)}",
        "writer": lambda messages: f"round {1 + sum(one['role'] == 'assistant' for one in messages)}",
        "closer": lambda messages: "end: " + last(messages).rpartition("\n")[2],
    }
    agents: dict[str, Any] = {
        "chief": plan("sequential", "route", "fan", "again", "closer"),
        "route": {
            "type": "conditional", "condition_agent": "judge", "condition_field": "category",
            "on_true_agent": "payer", "on_false_response": "no",
        },
        "fan": plan("parallel", "seer", "thinker"),
        "again": plan("loop", "writer", max_iterations=2),
        "payer": {"tools": ["pay"]},
        "seer": {"tools": ["look"]},
    }  # fmt: skip
    return models, agents


ONCE = {"judge": 1, "payer": 2, "seer": 2, "thinker": 1, "writer": 2, "closer": 1}
DEFAULT = {"step.ended:2", "branches.ended:1"}
ENDED = ["branches.ended:1", *(f"step.ended:{n}" for n in range(1, 6))]
WITHIN = [*(f"model.after:{n}" for n in range(1, 10)), "tool.result:1", "tool.result:2", "tool.effect:1"]
POINTS = [pytest.param(at, marks=() if at in DEFAULT else pytest.mark.slow) for at in (*ENDED, *WITHIN)]


@pytest.mark.proves("agents.sequential", "agents.parallel", "agents.loop", "agents.conditional", "agents.plans.kills")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_every_step(tmp_path: Path, point: str) -> None:
    models, agents = everything()
    async with front(tmp_path, "sqlite://hector.db", models, agents) as it:
        await it.start(point)
        task = await it.send("go")
        await it.died()
        await it.start()
        done = await it.rest(task)
        if state_of(done) == "INPUT_REQUIRED":  # it is not known whether `pay` had an effect
            (call,) = wanted(done)
            assert (call["agent"], call["tool_name"], call["interrupted"]) == ("payer", "pay", True)
            done = await it.rest(await it.send(decision(call, "deny"), task=done))
        assert (state_of(done), text_of(done)) == ("COMPLETED", "end: round 2")
        assert turns(it.world.asked) == ONCE
        assert it.world.effects["bill"] == 1
        if point in ENDED:
            assert set(it.world.asked.values()) == {1}
            assert it.world.effects == {"bill": 1, "apples": 1}
        else:
            assert sum(count - 1 for count in it.world.asked.values()) <= 2


@pytest.mark.slow
@pytest.mark.proves("agents.plans.kills", "approval.agents")
@pytest.mark.timeout(120)
async def test_killed_while_two_branches_wait_for_approval(tmp_path: Path, postgres_ready: str) -> None:
    models: dict[str, Script] = {name: first_call(("pay", {"name": name})) for name in ("one", "two")}
    models["three"] = lambda messages: "end: " + last(messages)
    agents: dict[str, Any] = {
        "chief": plan("sequential", "fan", "three"),
        "fan": plan("parallel", "one", "two"),
        **{name: {"tools": ["pay"]} for name in ("one", "two")},
    }
    async with front(tmp_path, postgres_ready, models, agents, pay={"require_approval": True}) as it:
        await it.start()
        task = await it.rest(await it.send("go"))
        assert [call["agent"] for call in wanted(task)] == ["one", "two"]
        await it.kill()
        await it.start()
        done = await it.rest(await it.send("approve", task=task))
        assert (state_of(done), text_of(done)) == (
            "COMPLETED",
            "end: go\n\n[fan said]\n### one\n\none done\n\n### two\n\ntwo done",
        )
        assert it.world.effects == {"one": 1, "two": 1}
        assert set(it.world.asked.values()) == {1}


CHAIN = [pytest.param(at, marks=() if at == "tool.result:1" else pytest.mark.slow) for at in (
    "tool.result:1", "model.after:1", "model.after:2", "model.after:3", "tool.result:2", "run.written:1",
)]  # fmt: skip


@pytest.mark.proves("agents.runner", "agents.plans.kills")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", CHAIN)
async def test_a_chain_of_tools_goes_on_behind_the_last_result(tmp_path: Path, point: str) -> None:
    agents: dict[str, Any] = {"chief": {"type": "runner", "tools": ["look", "pay"]}}
    async with front(tmp_path, "sqlite://hector.db", {}, agents) as it:
        await it.start(point)
        task = await it.send("apples")
        await it.died()
        await it.start()
        done = await it.rest(task)
        assert (state_of(done), text_of(done)) == ("COMPLETED", "apples done done")
        assert it.world.effects == {"apples": 1, "apples done": 1}
