"""Killed at any moment, a run follows the task there that it knows; nothing is sent twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import plan
from tests.remote.elsewhere import elsewhere, silent
from tests.together.test_kills import front, state_of, text_of
from tests.together.world import Script, last

DEFAULT = {"remote.taken:1"}
POINTS = [
    pytest.param(at, marks=() if at in DEFAULT else pytest.mark.slow)
    for at in ("remote.taken:1", "remote.heard:1", "step.ended:1", "run.written:1")
]


@pytest.mark.proves("agents.remote", "agents.plans.kills")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", POINTS)
async def test_killed_while_an_agent_elsewhere_works(tmp_path: Path, point: str) -> None:
    models: dict[str, Script] = {"closer": lambda messages: "end: " + last(messages).rpartition("\n")[2]}
    async with elsewhere() as there:
        agents: dict[str, Any] = {
            "chief": plan("sequential", "far", "closer"),
            "far": {"type": "remote", "url": there.url},
        }
        async with front(tmp_path, "sqlite://hector.db", models, agents) as it:
            await it.start(point)
            task = await it.send("hello")
            await it.died()
            await it.start()
            done = await it.rest(task)
            assert (state_of(done), text_of(done)) == ("COMPLETED", "end: hello there")
            assert there.runs == {"hello": 1}


@pytest.mark.proves("agents.remote")
@pytest.mark.timeout(120)
async def test_killed_in_the_middle_of_its_work_against_a_second_hector(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    models: dict[str, Script] = {"chief": lambda _: "from afar"}
    async with front(tmp_path / "far", "sqlite://hector.db", models, {}) as far:
        await far.start()
        far.world.hold("chief")
        agents: dict[str, Any] = {"chief": {"type": "remote", "url": f"{far.url}/agents/chief"}}
        async with front(tmp_path / "near", "sqlite://hector.db", {}, agents) as near:
            await near.start()
            task = await near.send("go")
            await far.world.wait_for("chief")
            await near.kill()
            await near.start()
            far.world.let_go()
            done = await near.rest(task)
            assert (state_of(done), text_of(done)) == ("COMPLETED", "from afar")
            assert sum(far.world.asked.values()) == 1


@pytest.mark.proves("agents.remote")
async def test_a_card_from_a_file_and_one_that_leads_elsewhere(tmp_path: Path) -> None:
    from hector.a2a.client import Client, Place
    from hector.a2a.heard import Changed, Grown
    from hector.a2a.offered import Offered, offered
    from hector.core.content import Text
    from hector.core.errors import AgentError
    from hector.net.call import CallerOptions

    async with elsewhere() as there:
        card = {"supportedInterfaces": [{"url": f"{there.url}/rpc", "protocolBinding": "JSONRPC"}]}
        client = Client(Place(card=card), CallerOptions(""))
        heard = [one async for one in client.stream([Text("hello")], "m1", "c1", "")]
        assert any(isinstance(one, Grown) for one in heard)
        assert isinstance(heard[-1], Changed)
        await client.aclose()
        stranger = Client(Place(card=card, hosts=frozenset(("agents.example.org",))), CallerOptions(""))
        with pytest.raises(AgentError, match="another host"):
            await stranger.offered()
    old = {"url": "http://x/a/", "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC"}
    assert offered(old) == Offered("http://x/a", old=True)
    grpc = {"supportedInterfaces": [{"url": "x:1", "protocolBinding": "GRPC", "protocolVersion": "1.0"}]}
    with pytest.raises(AgentError, match="no interface"):
        offered(json.loads(json.dumps(grpc)))


@pytest.mark.slow
@pytest.mark.proves("agents.remote")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("on_unknown", "state", "runs"), [("fail", "FAILED", 0), ("retry", "COMPLETED", 1)])
async def test_what_cannot_be_known_is_said_or_sent_again(
    tmp_path: Path, on_unknown: str, state: str, runs: int
) -> None:
    async with elsewhere(version="0.3") as there:
        agents = {"chief": {"type": "remote", "url": there.url, "on_unknown": on_unknown}}
        async with front(tmp_path, "sqlite://hector.db", {}, agents) as it:
            await it.start("remote.sending:1")
            task = await it.send("hello")
            await it.died()
            await it.start()
            done = await it.rest(task)
            assert state_of(done) == state
            assert there.runs["hello"] == runs
            if state == "FAILED":
                assert "cut off while it was being sent" in str(done["status"]["message"])


@pytest.mark.proves("agents.remote")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(("on_unknown", "state", "sent"), [("fail", "FAILED", 1), ("retry", "COMPLETED", 2)])
async def test_that_no_task_is_there_does_not_prove_that_nothing_arrived(
    tmp_path: Path, on_unknown: str, state: str, sent: int
) -> None:
    async with silent(replies=True) as there:
        agents = {"chief": {"type": "remote", "url": there.url, "streaming": False, "on_unknown": on_unknown}}
        async with front(tmp_path, "sqlite://hector.db", {}, agents) as it:
            await it.start()
            task = await it.send("hello")
            await there.taken.wait()
            await it.kill()
            await it.start()
            done = await it.rest(task)
            assert state_of(done) == state
            assert there.sent == sent
            assert len(set(there.ids)) == 1
