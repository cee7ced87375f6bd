"""Killed at any step, agents that work together go on after the restart: what was finished is not done again."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.together.world import Script, World, first_call, world

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0


@dataclass
class Front:
    """One database, and the servers that come one after the other."""

    folder: Path
    world: World
    database: str
    config: Mapping[str, Any]
    process: asyncio.subprocess.Process | None = None
    url: str = ""

    async def start(self, kill_at: str = "") -> None:
        """Start a server and wait until it takes work."""
        (self.folder / "hector.json").write_text(json.dumps(self.config), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "WORLD": self.world.url, "KILL_AT": kill_at}
        arguments = ("serve", "--config", "hector.json", "--port", str(port), "--database", self.database)
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.together.program",
                *arguments,
                cwd=self.folder,
                env=environment | {"PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
            while True:
                assert self.process.returncode is None, (self.folder / "log").read_text(encoding="utf-8")
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.02)  # nothing announces that a port begins to listen

    async def kill(self) -> None:
        """As kill -9 does."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        """As an operator stops it: what it runs is handed over."""
        assert self.process is not None
        self.process.terminate()
        await self.died()

    async def died(self) -> None:
        """Wait until it has killed itself."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()

    async def send(self, *parts: Any, task: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A message that is answered at once with its task."""
        message: dict[str, Any] = {"messageId": os.urandom(8).hex(), "role": "ROLE_USER"}
        message["parts"] = [{"text": part} if isinstance(part, str) else {"data": part} for part in parts]
        if task is not None:
            message |= {"taskId": task["id"], "contextId": task["contextId"]}
        body = {"message": message, "configuration": {"returnImmediately": True}}
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            answer = await client.post(
                f"{self.url}/agents/chief/message:send", json=body, headers={"A2A-Version": "1.0"}
            )
        found: dict[str, Any] = answer.json()["task"]
        return found

    async def rest(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The task once it has ended or waits."""
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE) as client:
            while True:
                answer = await client.get(f"{self.url}/agents/chief/tasks/{task['id']}", headers={"A2A-Version": "1.0"})
                found: dict[str, Any] = answer.json()
                if found["status"]["state"].rpartition("_STATE_")[2] not in {"SUBMITTED", "WORKING"}:
                    return found
                await asyncio.sleep(0.02)  # the task may be in another process


def text_of(task: Mapping[str, Any]) -> str:
    return "".join(p.get("text", "") for a in task["artifacts"] for p in a["parts"] if a["name"] == "response")


def state_of(task: Mapping[str, Any]) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def wanted(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls that a task wants to have approved."""
    return [part["data"] for part in task["status"]["message"]["parts"] if "data" in part]


def decision(call: Mapping[str, Any], word: str) -> dict[str, Any]:
    return {"type": "tool_approval", "tool_call_id": call["tool_call_id"], "decision": word}


DEFAULT = {"model.after:3", "tool.result:3"}
EVERY_STEP = [
    pytest.param(point, marks=() if point in DEFAULT else pytest.mark.slow)
    for point in (*(f"model.after:{n}" for n in range(1, 8)), *(f"tool.result:{n}" for n in range(1, 6)))
]


@asynccontextmanager
async def front(
    folder: Path, database: str, models: Mapping[str, Script], agents: Mapping[str, Any], **tools: Any
) -> AsyncIterator[Front]:
    """A server over models that count."""
    async with world(models) as around:
        llm = {"provider": "openai", "api": "chat", "api_key": "k", "base_url": f"{around.url}/v1"}
        config = {
            "llms": {name: {**llm, "model": name} for name in models},
            "agents": {
                name: {"llm": name, "tools": [], "description": name, "streaming": False, **agents.get(name, {})}
                for name in models
            }
            | {name: agent for name, agent in agents.items() if name not in models},
            "tools": {name: {"handler": name, **tools.get(name, {})} for name in ("look", "pay")},
            "server": {"queue": {"stale_threshold": "2s"}},
        }
        found = Front(folder, around, database, config)
        try:
            yield found
        finally:
            around.let_go()
            if found.process is not None and found.process.returncode is None:
                await found.kill()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str:
    return "sqlite://hector.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_ready"))


def team() -> tuple[dict[str, Script], dict[str, Any]]:
    """`chief` calls `one` and `two` in one turn; `one` uses `look`, `two` uses `pay` and calls `low`, which looks."""
    models: dict[str, Script] = {
        "chief": first_call(("one", {"request": "first"}), ("two", {"request": "second"})),
        "one": first_call(("look", {"name": "apples"})),
        "two": first_call(("pay", {"name": "bill"}), ("low", {"request": "third"})),
        "low": first_call(("look", {"name": "pears"})),
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one", "two"]},
        "one": {"tools": ["look"]},
        "two": {"tools": ["pay"], "agent_tools": ["low"]},
        "low": {"tools": ["look"]},
    }
    return models, agents


ANSWER = "apples done\nbill done\npears done"
ONCE = {"chief": 2, "one": 2, "two": 2, "low": 2}


def turns(asked: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """How many different requests each model has had."""
    return dict(Counter(name for name, _ in asked))


@pytest.mark.proves("agents.together.kills")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("held", "again"),
    [
        (("one", "low"), {"one", "low"}),  # while called agents wait for their models
        (("apples",), {"apples"}),  # while the tool of a called agent runs that may be repeated
        pytest.param(("two",), {"two"}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
async def test_killed_while_called_agents_are_at_work(
    tmp_path: Path, database: str, held: tuple[str, ...], again: set[str]
) -> None:
    models, agents = team()
    async with front(tmp_path, database, models, agents) as it:
        it.world.hold(*held)
        await it.start()
        task = await it.send("go")
        await it.world.wait_for(*held)
        await quiet(it.world)
        await it.kill()
        it.world.let_go()
        await it.start()
        done = await it.rest(task)
        assert (state_of(done), text_of(done)) == ("COMPLETED", ANSWER)
        repeated = {name for (name, _), count in it.world.asked.items() if count > 1}
        repeated |= {name for name, count in it.world.effects.items() if count > 1}
        assert repeated == again
        assert turns(it.world.asked) == ONCE


async def quiet(found: World) -> None:
    """Wait until nothing has come for a while: what can be done beside what is held has been done."""
    seen = -1
    while seen != (now := found.asked.total() + found.effects.total()):
        seen = now
        await asyncio.sleep(0.4)


@pytest.mark.proves("agents.together.kills")
@pytest.mark.timeout(180)
async def test_killed_between_the_answer_of_a_called_agent_and_what_its_caller_makes_of_it(
    tmp_path: Path, database: str
) -> None:
    models, agents = team()
    async with front(tmp_path, database, models, agents) as it:
        await it.start("tool.result:6")  # look, pay, look, then the answers of low, one and two
        task = await it.send("go")
        await it.died()
        await it.start()
        done = await it.rest(task)
        assert (state_of(done), text_of(done)) == ("COMPLETED", ANSWER)
        assert set(it.world.asked.values()) == {1}
        assert set(it.world.effects.values()) == {1}
        assert turns(it.world.asked) == ONCE


@pytest.mark.proves("agents.together.kills")
@pytest.mark.timeout(280)
@pytest.mark.parametrize("point", EVERY_STEP)
async def test_killed_at_every_step(tmp_path: Path, point: str) -> None:
    models, agents = team()
    async with front(tmp_path, "sqlite://hector.db", models, agents) as it:
        await it.start(point)
        task = await it.send("go")
        await it.died()
        await it.start()
        done = await it.rest(task)
        if state_of(done) == "INPUT_REQUIRED":  # `pay` was running
            (call,) = wanted(done)
            assert (call["agent"], call["tool_name"], call["interrupted"]) == ("two", "pay", True)
            done = await it.rest(await it.send(decision(call, "approve"), task=done))
        assert (state_of(done), text_of(done)) == ("COMPLETED", ANSWER)
        assert turns(it.world.asked) == ONCE
        assert sum(count - 1 for count in it.world.asked.values()) <= 3  # those under way in the moment of the kill


@pytest.mark.proves("agents.together.kills", "approval.agents")
@pytest.mark.timeout(180)
async def test_killed_while_a_tool_runs_that_must_not_be_repeated(tmp_path: Path, database: str) -> None:
    models, agents = team()
    async with front(tmp_path, database, models, agents) as it:
        it.world.hold("bill")
        await it.start()
        task = await it.send("go")
        await it.world.wait_for("bill")
        await quiet(it.world)
        await it.kill()
        it.world.let_go()
        await it.start()
        found = await it.rest(task)
        (call,) = wanted(found)
        assert (call["agent"], call["tool_name"], call["interrupted"]) == ("two", "pay", True)
        assert call["tool_call_id"].startswith("two@")
        done = await it.rest(await it.send(decision(call, "deny"), task=found))
        assert state_of(done) == "COMPLETED"
        assert "it is not known whether it took effect" in text_of(done)
        assert it.world.effects == {"apples": 1, "bill": 1, "pears": 1}
        assert set(it.world.asked.values()) == {1}


@pytest.mark.proves("agents.together.kills", "approval.agents")
@pytest.mark.timeout(180)
async def test_killed_while_two_called_agents_wait_for_approval(tmp_path: Path, database: str) -> None:
    models, agents = team()
    models["one"] = first_call(("pay", {"name": "apples"}))
    agents["one"] = {"tools": ["pay"]}
    async with front(tmp_path, database, models, agents, pay={"require_approval": True}) as it:
        await it.start()
        task = await it.rest(await it.send("go"))
        first, second = wanted(task)
        assert [first["agent"], second["agent"]] == ["one", "two"]
        await it.kill()
        await it.start()
        it.world.hold("apples")
        await it.send(decision(first, "approve"), task=task)
        await it.world.wait_for("apples")
        await it.kill()
        it.world.let_go()
        await it.start()
        task = await it.rest(task)
        assert {(call["agent"], call.get("interrupted", False)) for call in wanted(task)} == {
            ("one", True),
            ("two", False),
        }
        done = await it.rest(await it.send("approve", task=task))
        assert (state_of(done), text_of(done)) == ("COMPLETED", ANSWER)
        assert it.world.effects == {"apples": 2, "bill": 1, "pears": 1}
        assert set(it.world.asked.values()) == {1}
        assert turns(it.world.asked) == ONCE


def handing(target: str) -> Callable[[list[Mapping[str, Any]]], Any]:
    """A model that hands over at once."""
    return lambda messages: [(f"transfer_to_{target}", {"request": "please do it"})]


@pytest.mark.proves("agents.together.kills")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("held", ["billing", "bill"])
async def test_killed_after_a_change_of_hands(tmp_path: Path, database: str, held: str) -> None:
    models: dict[str, Script] = {"chief": handing("billing"), "billing": first_call(("look", {"name": "bill"}))}
    agents = {"chief": {"sub_agents": ["billing"]}, "billing": {"tools": ["look"]}}
    async with front(tmp_path, database, models, agents) as it:
        it.world.hold(held)
        await it.start()
        task = await it.send("go")
        await it.world.wait_for(held)
        await it.kill()
        it.world.let_go()
        await it.start()
        done = await it.rest(task)
        assert (state_of(done), text_of(done)) == ("COMPLETED", "bill done")
        assert sum(count for (name, _), count in it.world.asked.items() if name == "chief") == 1
        assert any("please do it" in text for (name, text) in it.world.asked if name == "billing")


@pytest.mark.proves("agents.together.kills", "agents.together.questions")
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_killed_while_two_called_agents_have_asked_the_user(tmp_path: Path, database: str) -> None:
    models: dict[str, Script] = {
        "chief": first_call(("one", {"request": "first"}), ("two", {"request": "second"})),
        "one": first_call(("ask_user", {"question": "Which colour?"})),
        "two": first_call(("ask_user", {"question": "What size?"})),
    }
    asking: dict[str, Any] = {"tools": ["ask_user"]}
    agents = {"chief": {"agent_tools": ["one", "two"]}, "one": asking, "two": asking}
    async with front(tmp_path, database, models, agents) as it:
        await it.start()
        task = await it.rest(await it.send("go"))
        assert question_of(task) == "Which colour?"
        await it.kill()
        await it.start()
        it.world.hold("one")
        await it.send("blue", task=task)
        await it.world.wait_for("one")
        await it.kill()
        it.world.let_go()
        await it.start()
        task = await it.rest(task)
        assert question_of(task) == "What size?"
        await it.kill()
        await it.start()
        done = await it.rest(await it.send("large", task=task))
        assert (state_of(done), text_of(done)) == ("COMPLETED", "blue\nlarge")
        assert {name for (name, _), count in it.world.asked.items() if count > 1} == {"one"}
        assert turns(it.world.asked) == {"chief": 2, "one": 2, "two": 2}


def question_of(task: Mapping[str, Any]) -> str:
    assert state_of(task) == "INPUT_REQUIRED"
    return str(task["status"]["message"]["parts"][0]["text"])
