"""Calls that a rule forbids: never begun, whatever was decided or begun before, and said so."""

from collections.abc import Callable
from typing import Any

import pytest

from hector.core.event import DENIED, ApprovalRequired, ToolStarted
from hector.core.ports import ApprovalRule, ToolPolicy
from tests.agents.conftest import Bench, decided, said
from tests.agents.test_resume import notes

Make = Callable[..., Bench]
RULES = (
    ApprovalRule("deny", args=(("to", "eve*"),)),
    ApprovalRule("allow", args=(("to", "ana*"),)),
    ApprovalRule("ask", args=(("to", "*"),)),
)
THREE: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "send", "args": {"to": to}} for to in ("ana", "eve", "bob")]},
    {"tool_result": "send", "text": "Done"},
]


@pytest.mark.proves("approval.rules")
async def test_each_call_of_a_turn_has_its_own_fate(bench: Make) -> None:
    one = bench(THREE, {"send": ToolPolicy(rules=RULES)})
    log = [said("go")]
    log += await one.run(log)
    ana, eve, bob = (call.id for call in log[1].message.tool_calls)
    assert log[1].started == (ana,), "only what may run is announced"
    denied = next(event for event in log if (event.metadata or {}).get(DENIED))
    assert denied.metadata == {DENIED: {eve: 1}}
    assert "NOT ALLOWED: the configuration forbids send" in notes([denied])
    pause = log[-1].control
    assert isinstance(pause, ApprovalRequired)
    assert [call.args for call in pause.calls] == [{"to": "bob"}]
    log.append(decided(log[-1], **{bob: "approve"}))
    assert (await one.run(log))[-1].message.text == "Done"
    assert one.effects == {"send": 2}


@pytest.mark.proves("approval.rules")
async def test_what_was_approved_or_begun_before_a_rule_forbade_it_does_not_run(bench: Make) -> None:
    only_bob = [{"turn": 0, "tool_calls": [{"name": "send", "args": {"to": "bob"}}]}, THREE[1]]
    before = bench(only_bob, {"send": ToolPolicy(rules=RULES)})
    log = [said("go")]
    log += await before.run(log)
    log.append(decided(log[-1], **{log[1].message.tool_calls[0].id: "approve"}))
    forbids = ToolPolicy(on_unknown="retry", rules=(ApprovalRule("deny"),))
    after = bench(only_bob, {"send": forbids})
    assert "NOT ALLOWED" in notes(await after.run(log))
    assert after.effects == {}
    free = bench(only_bob)
    cut = [said("go")]
    cut += await free.run(cut, until=lambda event: bool(event.started))
    again = bench(only_bob, {"send": forbids})
    told = notes(await again.run(cut))
    assert "NOT ALLOWED" in told
    assert "cut off" in told
    assert again.effects == {}


@pytest.mark.proves("approval.rules")
async def test_whoever_watches_sees_what_was_refused(bench: Make) -> None:
    eve = [{"turn": 0, "tool_calls": [{"name": "send", "args": {"to": "eve"}}]}, THREE[1]]
    one = bench(eve, {"send": ToolPolicy(rules=RULES)})
    await one.run([said("go")])
    assert [shown.call.args for shown in one.outputs if isinstance(shown, ToolStarted)] == [{"to": "eve"}]
    assert one.effects == {}
