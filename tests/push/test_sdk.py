"""The official clients ask to be told, in both versions and both bindings, and a real receiver is told."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from a2a.client import Client, ClientConfig, create_client
from a2a.types import a2a_pb2 as types
from a2a.utils.errors import InvalidParamsError, PushNotificationNotSupportedError, TaskNotFoundError

from hector.a2a.card import agent_card
from hector.config.root import HectorConfig
from tests.a2a.samples import strict
from tests.push.receiver import Receiver
from tests.web.live import Live, helper, live
from tests.web.test_sdk_03 import PYTHON

pytestmark = [pytest.mark.proves("a2a.push", "a2a.sdk"), pytest.mark.a2a("CORE-CAP-001")]

SETTINGS = {"legacy_card": True, "push_notifications": {"allow_private": True}}


@pytest.fixture
def server(folder: Path) -> Iterator[Live]:
    with live({**helper({"text": "Hello"}), "server": SETTINGS}, folder) as found:
        yield found


@pytest.fixture(params=[("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")], ids="-".join)
async def sdk(request: pytest.FixtureRequest, server: Live) -> AsyncIterator[Client]:
    """A client of each binding and version."""
    binding, version = request.param
    client = await create_client(
        card(server.url, binding, version), ClientConfig(streaming=False, supported_protocol_bindings=[binding])
    )
    yield client
    await client.close()


def card(url: str, binding: str, version: str) -> types.AgentCard:
    value = agent_card(HectorConfig.model_validate({"agents": {"helper": {}}}), "helper", url, legacy=False)
    interface = {"url": f"{url}/agents/helper", "protocolBinding": binding, "protocolVersion": version}
    found: types.AgentCard = strict({**value, "supportedInterfaces": [interface]}, "AgentCard")
    return found


@pytest.fixture
def version(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["sdk"][1])


async def send(client: Client, **configuration: Any) -> types.Task:
    value = {
        "message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
        "configuration": configuration,
    }
    (event,) = [event async for event in client.send_message(strict(value, "SendMessageRequest"))]
    return event.task


async def test_all_four_operations(sdk: Client) -> None:
    task = (await send(sdk)).id
    wanted = types.TaskPushNotificationConfig(
        task_id=task,
        id="c-1",
        url="https://hooks.example.com/x",
        token="t",
        authentication=types.AuthenticationInfo(scheme="Bearer", credentials="secret"),
    )
    assert await sdk.create_task_push_notification_config(wanted) == wanted
    place = types.GetTaskPushNotificationConfigRequest(task_id=task, id="c-1")
    assert await sdk.get_task_push_notification_config(place) == wanted
    listing = types.ListTaskPushNotificationConfigsRequest(task_id=task)
    assert list((await sdk.list_task_push_notification_configs(listing)).configs) == [wanted]
    for _ in range(2):
        gone = types.DeleteTaskPushNotificationConfigRequest(task_id=task, id="c-1")
        await sdk.delete_task_push_notification_config(gone)
    with pytest.raises(TaskNotFoundError):
        await sdk.get_task_push_notification_config(place)
    with pytest.raises(InvalidParamsError):
        await sdk.create_task_push_notification_config(
            types.TaskPushNotificationConfig(task_id=task, url="http://169.254.169.254/")
        )


@pytest.mark.proves("push.delivery")
async def test_a_receiver_named_with_the_message_is_told_to_the_end(
    sdk: Client, receiver: Receiver, version: str
) -> None:
    config = {
        "url": receiver.url,
        "token": "t-1",
        "authentication": {"scheme": "Bearer", "credentials": "secret"},
    }
    task = await send(sdk, taskPushNotificationConfig=config)
    got = receiver.ended()
    assert {one.headers["authorization"] for one in got} == {"Bearer secret"}
    assert {one.headers["x-a2a-notification-token"] for one in got} == {"t-1"}
    if version == "0.3":
        assert {one.body["id"] for one in got} == {task.id}
        assert got[-1].body["artifacts"][0]["parts"] == [{"kind": "text", "text": "Hello"}]
        return
    assert [one.state for one in got] == ["WORKING", "", "COMPLETED"]
    read = [strict(one.body, "StreamResponse") for one in got]
    assert {read[0].status_update.task_id, read[1].artifact_update.task_id, read[2].status_update.task_id} == {task.id}
    assert read[1].artifact_update.artifact.parts[0].text == "Hello"


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_switched_off(folder: Path, binding: str) -> None:
    with live({**helper({"text": "x"}), "server": {"push_notifications": {"enabled": False}}}, folder) as server:
        config = ClientConfig(streaming=False, supported_protocol_bindings=[binding])
        client = await create_client(card(server.url, binding, "1.0"), config)
        try:
            with pytest.raises(PushNotificationNotSupportedError):
                await client.create_task_push_notification_config(
                    types.TaskPushNotificationConfig(task_id="t", url="https://hooks.example.com")
                )
        finally:
            await client.close()


@pytest.mark.proves("a2a.v03", "push.delivery")
def test_the_client_of_0_3(server: Live, receiver: Receiver) -> None:
    if not PYTHON.exists():
        reason = f"{PYTHON.parent.parent.name} is missing: run `make setup`"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("client_03.py")), server.url, receiver.url],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {"task": seen["task"], "declared": True, "inline": "t-1", "id": seen["task"], "same": True}
    got = receiver.ended()
    assert [(one.body["kind"], one.body["id"]) for one in got] == [("task", seen["task"])] * len(got)
