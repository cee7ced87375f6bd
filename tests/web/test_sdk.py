"""The official client of today: both bindings of 1.0, and 0.3 through its compatibility layer."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from a2a.client import Client, ClientConfig, create_client
from a2a.types import a2a_pb2 as types
from a2a.utils.errors import (
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from hector.a2a.card import agent_card
from hector.config.root import HectorConfig
from tests.a2a.samples import strict
from tests.smoke.frontdoor import Server
from tests.web.live import Live, helper, live

pytestmark = pytest.mark.proves("a2a.sdk")


def card(url: str, binding: str, version: str) -> types.AgentCard:
    """The agent's own card, cut down to the one interface that a test is about."""
    config = HectorConfig.model_validate({"agents": {"conformance": {}}})
    value = agent_card(config, "conformance", url, legacy=False)
    address = f"{url}/agents/conformance"
    value["supportedInterfaces"] = [{"url": address, "protocolBinding": binding, "protocolVersion": version}]
    found: types.AgentCard = strict(value, "AgentCard")
    return found


@pytest.fixture(params=[("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")], ids="-".join)
async def sdk(request: pytest.FixtureRequest, conformance: Server) -> AsyncIterator[Client]:
    """A streaming client of each binding and version."""
    binding, version = request.param
    client = await create_client(
        card(conformance.url, binding, version), ClientConfig(streaming=True, supported_protocol_bindings=[binding])
    )
    yield client
    await client.close()


@pytest.fixture
def is_old(request: pytest.FixtureRequest) -> bool:
    return "0.3" in str(request.node.callspec.params["sdk"])


def request(prefix: str, **fields: Any) -> types.SendMessageRequest:
    configuration = fields.pop("configuration", {})
    value = {
        "message": {"messageId": f"tck-{prefix}-sdk", "role": "ROLE_USER", "parts": [{"text": "hi"}], **fields},
        "configuration": configuration,
    }
    found: types.SendMessageRequest = strict(value, "SendMessageRequest")
    return found


async def events(stream: AsyncIterator[types.StreamResponse]) -> list[tuple[str, Any]]:
    return [(name, getattr(event, name)) async for event in stream if (name := event.WhichOneof("payload"))]


@pytest.mark.a2a("CORE-STREAM-001", "CORE-STREAM-003")
async def test_streaming(sdk: Client) -> None:
    found = await events(sdk.send_message(request("stream-001")))
    kinds = [name for name, _ in found]
    assert (kinds[0], kinds[-1]) == ("task", "status_update")
    assert found[-1][1].status.state == types.TASK_STATE_COMPLETED
    text = "".join(part.text for name, event in found if name == "artifact_update" for part in event.artifact.parts)
    assert text == "Stream hello from TCK"


@pytest.mark.parametrize("prefix", ["artifact-text", "artifact-file", "artifact-file-url", "artifact-data"])
async def test_artifacts(sdk: Client, prefix: str) -> None:
    found = await events(sdk.send_message(request(prefix)))
    task = await sdk.get_task(types.GetTaskRequest(id=found[0][1].id))
    part = task.artifacts[0].parts[0]
    kind = {"artifact-text": "text", "artifact-file": "raw", "artifact-file-url": "url", "artifact-data": "data"}
    assert part.WhichOneof("content") == kind[prefix]
    if kind[prefix] in ("raw", "url"):
        assert (part.filename, part.media_type) == ("output.txt", "text/plain")


async def test_a_direct_message(sdk: Client) -> None:
    ((kind, message),) = await events(sdk.send_message(request("message-response")))
    assert (kind, message.parts[0].text) == ("message", "Direct message response")


async def test_a_conversation_over_several_requests(sdk: Client, is_old: bool) -> None:
    found = await events(sdk.send_message(request("input-required")))
    task_id = found[0][1].id
    assert found[-1][1].status.state == types.TASK_STATE_INPUT_REQUIRED
    follow = sdk.subscribe(types.SubscribeToTaskRequest(id=task_id))
    first = await anext(follow)
    assert first.WhichOneof("payload") == "task"
    await events(sdk.send_message(request("complete-task", taskId=task_id)))
    rest = await events(follow)
    assert rest[-1][1].status.state == types.TASK_STATE_COMPLETED
    task = await sdk.get_task(types.GetTaskRequest(id=task_id, history_length=1))
    assert len(task.history) == 1
    if not is_old:
        page = await sdk.list_tasks(types.ListTasksRequest(context_id=task.context_id))
        assert [entry.id for entry in page.tasks] == [task_id]


async def test_canceling(sdk: Client) -> None:
    found = await events(sdk.send_message(request("input-required")))
    canceled = await sdk.cancel_task(types.CancelTaskRequest(id=found[0][1].id))
    assert canceled.status.state == types.TASK_STATE_CANCELED
    with pytest.raises(TaskNotCancelableError):
        await sdk.cancel_task(types.CancelTaskRequest(id=found[0][1].id))


async def test_errors_arrive_as_what_they_are(sdk: Client) -> None:
    with pytest.raises(TaskNotFoundError):
        await sdk.get_task(types.GetTaskRequest(id="nobody"))
    with pytest.raises(TaskNotFoundError):
        await events(sdk.send_message(request("x", taskId="nobody")))
    with pytest.raises(TaskNotFoundError):
        await events(sdk.subscribe(types.SubscribeToTaskRequest(id="nobody")))
    with pytest.raises(InvalidParamsError):
        await sdk.get_task(types.GetTaskRequest(id="nobody", history_length=-1))
    done = await events(sdk.send_message(request("complete-task")))
    with pytest.raises(UnsupportedOperationError):
        await events(sdk.send_message(request("terminal", taskId=done[0][1].id)))


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_without_streaming(conformance: Server, binding: str) -> None:
    """Found by its address alone, as a user would do it."""
    config = ClientConfig(streaming=False, supported_protocol_bindings=[binding])
    client = await create_client(f"{conformance.url}/agents/conformance", config)
    try:
        ((kind, task),) = await events(client.send_message(request("complete-task")))
        assert (kind, task.status.state) == ("task", types.TASK_STATE_COMPLETED)
        quick = request("delayed-complete", configuration={"returnImmediately": True})
        ((_, task),) = await events(client.send_message(quick))
        assert task.status.state in (types.TASK_STATE_SUBMITTED, types.TASK_STATE_WORKING)
    finally:
        await client.close()


@pytest.fixture
def dual(folder: Path) -> Iterator[Live]:
    config = {**helper({"text": "Hello from an old friend"}), "server": {"legacy_card": True}}
    with live(config, folder) as server:
        yield server


@pytest.mark.proves("a2a.v03", "a2a.cards")
async def test_the_dual_card_is_found_by_the_client_of_today(dual: Live) -> None:
    client = await create_client(dual.url, ClientConfig(streaming=True))
    try:
        found = await events(client.send_message(request("x")))
        assert found[-1][1].status.state == types.TASK_STATE_COMPLETED
    finally:
        await client.close()
