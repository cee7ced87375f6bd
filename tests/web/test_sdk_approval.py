"""The official client approves and denies calls: both bindings of 1.0, and 0.3 through its compatibility layer."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from a2a.client import Client, ClientConfig, create_client
from a2a.types import a2a_pb2 as types
from a2a.utils.errors import InvalidParamsError

from hector.a2a.card import agent_card
from hector.config.root import HectorConfig
from hector.core.ids import new_id
from tests.a2a.samples import json_format, strict
from tests.web.live import Live, live
from tests.web.test_sdk import events

pytestmark = pytest.mark.proves("a2a.approval")
CONFIG = {
    "llms": {
        "default": {
            "provider": "scripted",
            "rules": [
                {
                    "turn": 0,
                    "tool_calls": [
                        {"name": "save_artifact", "args": {"name": f"{name}.txt", "text": name}}
                        for name in ("one", "two")
                    ],
                },
                {"tool_result": "save_artifact", "tool_result_matches": "(?s)(.*)", "text": "\\1"},
            ],
        }
    },
    "agents": {"helper": {"instruction": "Help.", "tools": ["save_artifact"]}},
    "tools": {"save_artifact": {"handler": "save_artifact", "require_approval": True, "approval_expires": "1h"}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(CONFIG, tmp_path_factory.mktemp("approval")) as found:
        yield found


@pytest.fixture(params=[("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")], ids="-".join)
async def sdk(request: pytest.FixtureRequest, server: Live) -> AsyncIterator[Client]:
    """A streaming client of each binding and version."""
    binding, version = request.param
    value = agent_card(HectorConfig.model_validate(CONFIG), "helper", server.url, legacy=False)
    address = f"{server.url}/agents/helper"
    value["supportedInterfaces"] = [{"url": address, "protocolBinding": binding, "protocolVersion": version}]
    config = ClientConfig(streaming=True, supported_protocol_bindings=[binding])
    client = await create_client(strict(value, "AgentCard"), config)
    yield client
    await client.close()


def message(*parts: dict[str, Any], task: str = "") -> types.SendMessageRequest:
    fields = {"taskId": task} if task else {}
    value = {"message": {"messageId": new_id(), "role": "ROLE_USER", "parts": list(parts), **fields}}
    found: types.SendMessageRequest = strict(value, "SendMessageRequest")
    return found


def asked(status: types.TaskStatus) -> list[dict[str, Any]]:
    """The calls that a status asks about."""
    assert status.state == types.TASK_STATE_INPUT_REQUIRED
    return [
        dict(json_format.MessageToDict(part.data))
        for part in status.message.parts
        if part.WhichOneof("content") == "data"
    ]


async def begin(sdk: Client) -> tuple[str, list[dict[str, Any]], types.TaskStatus]:
    found = await events(sdk.send_message(message({"text": "go"})))
    return found[0][1].id, asked(found[-1][1].status), found[-1][1].status


async def test_a_decision_for_each_call(sdk: Client) -> None:
    task, calls, status = await begin(sdk)
    assert [call["type"] for call in calls] == ["tool_approval_request"] * 2
    assert [call["arguments"]["name"] for call in calls] == ["one.txt", "two.txt"]
    assert all(call["expires_at"].endswith("Z") for call in calls)
    facts = json_format.MessageToDict(status.message.metadata)
    assert facts["input_required"] is True
    assert facts["long_running_tool_ids"] == [call["tool_call_id"] for call in calls]
    parts = [
        {"data": {"type": "tool_approval", "decision": word, "tool_call_id": call["tool_call_id"]}}
        for call, word in zip(calls, ("approve", "deny"), strict=True)
    ]
    found = await events(sdk.send_message(message(*parts, task=task)))
    assert found[-1][1].status.state == types.TASK_STATE_COMPLETED
    done = await sdk.get_task(types.GetTaskRequest(id=task))
    assert "one.txt" in [artifact.name for artifact in done.artifacts]
    assert "two.txt" not in [artifact.name for artifact in done.artifacts]


@pytest.mark.parametrize("word", ["approve", "deny"])
async def test_one_word_for_all(sdk: Client, word: str) -> None:
    task, _, _ = await begin(sdk)
    found = await events(sdk.send_message(message({"text": word}, task=task)))
    assert found[-1][1].status.state == types.TASK_STATE_COMPLETED
    done = await sdk.get_task(types.GetTaskRequest(id=task))
    saved = {artifact.name for artifact in done.artifacts} & {"one.txt", "two.txt"}
    assert saved == ({"one.txt", "two.txt"} if word == "approve" else set())


async def test_what_is_no_decision_is_refused(sdk: Client) -> None:
    task, calls, _ = await begin(sdk)
    with pytest.raises(InvalidParamsError):
        await events(sdk.send_message(message({"text": "do as you like"}, task=task)))
    assert asked((await sdk.get_task(types.GetTaskRequest(id=task))).status) == calls
