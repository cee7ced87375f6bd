"""What runs and people's decisions leave in the log, in the transaction of what they tell of."""

from pathlib import Path

import pytest

from hector.core.clock import SystemClock
from hector.core.digest import args_hash
from hector.store import open_store
from hector.store.audit import Chained, Filter
from hector.store.audit_chain import Chain
from hector.store.codec import loads
from tests.tasks.conftest import Start
from tests.tasks.conftest import start as start
from tests.tasks.test_approvals import RULES, asked, decision, say, setting


async def entries(folder: Path) -> list[Chained]:
    store = await open_store(f"sqlite://{folder / 'hector.db'}", visitor=True)
    await Chain(store.database, SystemClock()).settle()
    found = await store.audit.page(Filter())
    await store.aclose()
    return list(reversed(found))


@pytest.mark.proves("audit.plain")
async def test_a_turn_without_tools_leaves_nothing(start: Start, tmp_path: Path) -> None:
    async with start(RULES, **setting()) as service:
        await say(service, "hello")
    assert await entries(tmp_path) == []


@pytest.mark.proves("audit.tools")
async def test_calls_and_decisions_are_noted(start: Start, tmp_path: Path) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        await say(service, decision(call, "approve", comment="go ahead"), task=task)
    found = await entries(tmp_path)
    hashed = args_hash({"to": "bob"})
    assert [(one.action, one.outcome, loads(one.detail).get("tool")) for one in found] == [
        ("tool.call", "ok", "send"),
        ("tool.call", "ok", "look"),
        ("tool.result", "ok", "look"),
        ("approval.decide", "ok", None),
        ("tool.result", "ok", "send"),
    ]
    assert {one.object for one in found} == {f"task:{task.id}"}
    assert {one.app for one in found} == {"default"}
    sent, decided = loads(found[0].detail), loads(found[3].detail)
    assert (found[0].actor, found[0].via, sent["args_hash"]) == ("agent helper", "run", hashed)
    assert (decided["call"], decided["decision"], decided["args_hash"]) == (sent["call"], "approved", hashed)
    assert decided["comment"] == "go ahead"
    assert "ana" in found[3].actor


@pytest.mark.proves("audit.tools")
async def test_a_call_that_fails_is_told_from_one_that_works(start: Start, tmp_path: Path) -> None:
    async def send(to: str) -> str:
        """Send."""
        raise RuntimeError(to)

    rules = [{"turn": 0, "tool_calls": [{"name": "send", "args": {"to": "x"}}]}, {"turn": 1, "text": "so be it"}]
    declared = {"send": {"type": "function", "handler": "send"}}
    async with start(rules, functions=(send,), declared=declared) as service:
        await say(service, "go")
    assert [(one.action, one.outcome) for one in await entries(tmp_path)] == [
        ("tool.call", "ok"),
        ("tool.result", "failed"),
    ]
