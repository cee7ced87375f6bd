"""An agent behind the official SDK's server: both versions, both bindings, streaming and not."""

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from hector.core.content import Media, Message, Text
from hector.core.event import TextDelta
from hector.core.ids import new_id
from hector.core.task import AnswerDelta, ClientMessage, Task, TaskState
from hector.tasks.service import SendOptions
from hector.tasks.stopping import Stopping
from tests.flows.conftest import answer, plan
from tests.remote.elsewhere import elsewhere, silent
from tests.together.conftest import ANA, Company, Open, ask, calls, question, results

WAYS = [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")]


def far(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "remote", "url": url, **more}


@pytest.mark.proves("agents.remote")
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("binding", "version"), WAYS)
async def test_it_answers_asks_fails_and_declines(company: Open, binding: str, version: str, streaming: bool) -> None:
    async with elsewhere(binding, version) as there:
        chief = far(there.url, streaming=streaming, output_key="said", headers={"X-Team": "red"})
        chief["credentials"] = {"type": "bearer", "token": "secret-1"}
        async with company({}, {"chief": chief}) as it:
            task = await it.say("hello")
            assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "hello there")
            assert (await it.state(task))["said"] == "hello there"
            saved = next(one for one in task.artifacts if one.name == "x.bin")
            assert saved.parts == (Media("application/x", data="YWJj", name="x.bin"),)
            assert (there.heads["x-team"], there.heads["authorization"]) == ("red", "Bearer secret-1")
            assert there.heads["a2a-version"] == version
            task = await it.say("ask me")
            assert question(task) == "Which colour?"
            task = await it.say("blue", task=task)
            assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "so it is blue")
            task = await it.say("fail")
            assert task.status.state is TaskState.FAILED
            assert "no luck" in str(task.status.message)
            assert (await it.say("reject")).status.state is TaskState.REJECTED


@pytest.mark.proves("agents.remote")
async def test_it_is_found_by_its_card_at_an_address_or_in_a_file(company: Open, tmp_path: Path) -> None:
    async with elsewhere() as there:
        card = {"supportedInterfaces": [{"url": f"{there.url}/rpc", "protocolBinding": "JSONRPC"}]}
        kept, astray = tmp_path / "card.json", tmp_path / "astray.json"
        kept.write_text(json.dumps(card), encoding="utf-8")
        astray.write_text(json.dumps(card).replace("127.0.0.1", "192.0.2.1"), encoding="utf-8")
        agents = {
            "chief": {"type": "remote", "agent_card_url": f"{there.url}/.well-known/agent-card.json"},
            "kept": {
                "type": "remote",
                "agent_card_file": str(kept),
                "credentials": {"type": "api_key", "api_key": "k-1", "api_key_header": "X-Own"},
            },
            "both": {"type": "remote", "agent_card_file": str(kept), "url": there.url},
            "astray": {"type": "remote", "agent_card_file": str(astray), "url": there.url},
        }
        async with company({}, agents) as it:
            for name in ("chief", "kept", "both"):
                assert answer(await it.say("hello", to=name)) == "hello there", name
                assert there.heads.get("x-own") == ("k-1" if name == "kept" else None)
            refused = await it.say("hello", to="astray")
            assert refused.status.state is TaskState.FAILED
            assert "another host" in str(refused.status.message)


@pytest.mark.proves("agents.remote", "agents.streaming")
async def test_its_words_stream_and_files_go_both_ways(company: Open) -> None:
    async with elsewhere() as there, company({}, {"chief": far(there.url)}) as it:
        updates = await it.watch("hello")
        pieces = [one for one in updates if isinstance(one, AnswerDelta)]
        texts = [delta.text for one in pieces for delta in one.deltas if isinstance(delta, TextDelta)]
        assert texts == ["hello ", "there"]
        message = Message("user", (Text("see"), Media("text/csv", data="YWJj", name="a.csv")))
        await it.service.send(ANA, "chief", ClientMessage(new_id(), message), SendOptions())
        assert there.files == ["a.csv"]


@pytest.mark.proves("agents.remote", "agents.cancel")
async def test_a_cancel_reaches_the_other_server(company: Open) -> None:
    async with elsewhere() as there, company({}, {"chief": far(there.url)}) as it:
        task = await begun(it, "wait")
        async with asyncio.timeout(60):
            await there.waiting.wait()
            done = await it.service.cancel(ANA, "chief", task.id)
            assert done.status.state is TaskState.CANCELED
            await there.canceled.wait()
            there.canceled.clear()
            asking = await it.say("ask me")
            await it.service.cancel(ANA, "chief", asking.id)
            await there.canceled.wait()


@pytest.mark.proves("agents.remote", "agents.cancel")
async def test_a_cancel_reaches_what_a_message_becomes_a_little_later(company: Open) -> None:
    async with elsewhere("HTTP+JSON") as there, company({}, {"chief": far(there.url)}) as it, asyncio.timeout(60):
        task = await begun(it, "late")
        await there.waiting.wait()
        cancelling = asyncio.create_task(it.service.cancel(ANA, "chief", task.id))
        await there.asked.wait()
        there.shown.set()  # the first look has seen nothing
        assert (await cancelling).status.state is TaskState.CANCELED
        await there.canceled.wait()


@pytest.mark.proves("agents.remote", "agents.cancel")
async def test_a_cancel_that_a_run_learns_from_its_next_write_reaches_the_other_server(
    company: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stopping, "heard", lambda *_: None)  # word of it gets lost
    async with elsewhere() as there, company({}, {"chief": far(there.url)}) as it, asyncio.timeout(60):
        task = await begun(it, "late")
        await there.waiting.wait()
        assert await it.store.tasks.cancel(ANA, task.id, time.time())
        there.shown.set()
        await there.canceled.wait()


async def begun(it: Company, text: str) -> Task:
    """The task of a message that is not waited for."""
    message = ClientMessage(new_id(), Message("user", (Text(text),)))
    task = await it.service.send(ANA, "chief", message, SendOptions(return_immediately=True))
    assert isinstance(task, Task)
    return task


@pytest.mark.proves("agents.remote", "agents.sequential", "agents.agent-tools")
async def test_it_takes_part_in_plans_and_is_called_like_a_tool(company: Open) -> None:
    async with elsewhere() as there:
        agents = {
            "chief": {"agent_tools": ["far"]},
            "far": far(there.url, description="elsewhere"),
            "line": plan("sequential", "one", "far"),
            "fan": plan("parallel", "one", "far"),
        }
        models = {
            "chief": [calls(ask("far", "ask me"), turn=0), results()],
            "one": [{"text": "the notes"}],
        }
        async with company(models, agents) as it:
            task = await it.say("go")
            assert question(task) == "Which colour?"
            assert answer(await it.say("red", task=task)) == "so it is red"
            assert answer(await it.say("write", to="line")) == "hello there"
            assert there.texts[-1] == "write\n[one said]\nthe notes"
            task = await it.say("ask both", to="fan")
            assert question(task) == "Which colour?"
            assert answer(await it.say("red", to="fan", task=task)) == "### one\n\nthe notes\n\n### far\n\nso it is red"


@pytest.mark.proves("agents.remote")
async def test_the_conversation_there_goes_on(company: Open) -> None:
    async with elsewhere() as there, company({}, {"chief": far(there.url)}) as it:
        first = await it.say("hello")
        await it.say("more", context_id=first.context_id)
        assert there.texts == ["hello", "more"]
        marks = [(one.metadata or {}).get("flow", {}).get("context") for one in await it.events(first)]
        assert len({mark for mark in marks if mark}) == 1


@pytest.mark.proves("agents.remote")
async def test_a_server_that_is_away_is_said_so(company: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with company({}, {"chief": far(f"http://127.0.0.1:{port}")}) as it:
        task = await it.ended(await it.say("hello"))
        assert task.status.state is TaskState.FAILED
        said = str(task.status.message)
        assert ("the remote agent 'chief': cannot connect to 127.0.0.1" in said, "refused" in said) == (True, True)


@pytest.mark.proves("agents.remote")
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_server_that_says_nothing_is_given_up(company: Open, streaming: bool) -> None:
    async with silent() as there, company({}, {"chief": far(there.url, streaming=streaming)}) as it:
        task = await it.ended(await it.say("hello"))
        assert task.status.state is TaskState.FAILED
        assert "does not show whether it arrived" in str(task.status.message)
        assert there.sent == 1


@pytest.mark.proves("agents.remote")
async def test_a_server_that_says_nothing_may_be_asked_again(company: Open) -> None:
    async with silent() as there, company({}, {"chief": far(there.url, on_unknown="retry")}) as it:
        task = await it.ended(await it.say("hello"))
        assert task.status.state is TaskState.FAILED
        assert "said nothing of what becomes of it" in str(task.status.message)
        assert 2 <= there.sent <= 10
