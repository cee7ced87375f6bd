"""The four operations over HTTP, in both bindings and both versions, down to the bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.a2a.samples import strict
from tests.push.receiver import Receiver
from tests.web.bindings import Binding, JsonRpc, Refused, Rest
from tests.web.live import Live, helper, live, user

pytestmark = pytest.mark.proves("a2a.push")

URL = "https://hooks.example.com/a"
HELLO = helper({"text": "Hello"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    opened = {"push_notifications": {"allow": "127.0.0.1"}}
    with live({**HELLO, "server": opened}, tmp_path_factory.mktemp("push")) as found:
        yield found


@pytest.fixture(params=[JsonRpc, Rest], ids=["jsonrpc", "http_json"])
def a2a(request: pytest.FixtureRequest, server: Live) -> Iterator[Binding]:
    with httpx.Client(timeout=30) as client:
        yield request.param(client, f"{server.url}/agents/helper")


def refused(a2a: Binding, operation: str, reason: str, **params: Any) -> str:
    """The operation is refused for this reason; the text."""
    with pytest.raises(Refused) as caught:
        a2a.call(operation, **params)
    assert caught.value.reason == reason
    return caught.value.message


def test_a_config_comes_and_goes(a2a: Binding, server: Live) -> None:
    task = server.send()["id"]
    wanted = {"url": URL, "token": "t", "authentication": {"scheme": "Bearer", "credentials": "c"}}
    made = a2a.call("CreateTaskPushNotificationConfig", taskId=task, **wanted)
    strict(made, "TaskPushNotificationConfig")
    assert made == {"taskId": task, "id": made["id"], **wanted}
    assert a2a.call("GetTaskPushNotificationConfig", taskId=task, id=made["id"]) == made
    assert a2a.call("ListTaskPushNotificationConfigs", taskId=task) == {"configs": [made], "nextPageToken": ""}
    other = a2a.call("CreateTaskPushNotificationConfig", taskId=task, url=f"{URL}/2", id=made["id"])
    assert other == {"taskId": task, "id": made["id"], "url": f"{URL}/2"}
    assert a2a.call("ListTaskPushNotificationConfigs", taskId=task)["configs"] == [other]
    for _ in range(2):
        assert a2a.call("DeleteTaskPushNotificationConfig", taskId=task, id=made["id"]) in ({}, None)
    assert a2a.call("ListTaskPushNotificationConfigs", taskId=task) == {"configs": [], "nextPageToken": ""}
    refused(a2a, "GetTaskPushNotificationConfig", "TASK_NOT_FOUND", taskId=task, id=made["id"])


def test_pages(a2a: Binding, server: Live) -> None:
    task = server.send()["id"]
    for number in range(3):
        a2a.call("CreateTaskPushNotificationConfig", taskId=task, url=URL, id=f"c-{number}")
    first = a2a.call("ListTaskPushNotificationConfigs", taskId=task, pageSize=2)
    second = a2a.call("ListTaskPushNotificationConfigs", taskId=task, pageSize=2, pageToken=first["nextPageToken"])
    assert [one["id"] for page in (first, second) for one in page["configs"]] == ["c-0", "c-1", "c-2"]
    assert second["nextPageToken"] == ""
    refused(a2a, "ListTaskPushNotificationConfigs", "INVALID_PARAMS", taskId=task, pageToken="!")
    refused(a2a, "ListTaskPushNotificationConfigs", "INVALID_PARAMS", taskId=task, pageSize=101)


def test_tasks_that_are_not_there(a2a: Binding) -> None:
    refused(a2a, "CreateTaskPushNotificationConfig", "TASK_NOT_FOUND", taskId="nobody", url=URL)
    refused(a2a, "GetTaskPushNotificationConfig", "TASK_NOT_FOUND", taskId="nobody", id="c")
    refused(a2a, "ListTaskPushNotificationConfigs", "TASK_NOT_FOUND", taskId="nobody")
    refused(a2a, "DeleteTaskPushNotificationConfig", "TASK_NOT_FOUND", taskId="nobody", id="c")
    message = user(taskId="nobody")
    refused(a2a, "SendMessage", "TASK_NOT_FOUND", message=message, configuration=inline(URL))


def inline(url: str, **more: Any) -> dict[str, Any]:
    return {"taskPushNotificationConfig": {"url": url, **more}}


def test_another_tenant_sees_nothing(a2a: Binding, server: Live) -> None:
    task = server.send()["id"]
    if isinstance(a2a, Rest):
        a2a.url += "/somebody"
        refused(a2a, "ListTaskPushNotificationConfigs", "TASK_NOT_FOUND", taskId=task)
    else:
        refused(a2a, "ListTaskPushNotificationConfigs", "TASK_NOT_FOUND", taskId=task, tenant="somebody")


@pytest.mark.proves("push.ssrf")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.2/x", "it is this machine"),
        ("http://localhost:1/x", "is this machine"),
        ("http://169.254.169.254/x", "are never sent"),
        ("http://[::ffff:10.0.0.1]/x", "are never sent"),
        ("ftp://hooks.example.com/x", "must begin with https:// or http://"),
        ("https://u:p@hooks.example.com/x", "user name"),
        ("nonsense", "must begin with"),
    ],
)
def test_forbidden_addresses_are_refused_when_they_are_named(a2a: Binding, server: Live, url: str, said: str) -> None:
    task = server.send()["id"]
    assert said in refused(a2a, "CreateTaskPushNotificationConfig", "INVALID_PARAMS", taskId=task, url=url)
    text = refused(a2a, "SendMessage", "INVALID_PARAMS", message=user(), configuration=inline(url))
    assert text.startswith("configuration.taskPushNotificationConfig.url: ")
    assert said in text
    assert a2a.call("ListTaskPushNotificationConfigs", taskId=task)["configs"] == []


def test_a_name_that_nobody_can_resolve_is_taken(a2a: Binding, server: Live) -> None:
    task = server.send()["id"]
    url = "https://nobody.invalid/x"
    assert a2a.call("CreateTaskPushNotificationConfig", taskId=task, url=url)["url"] == url


def test_a_config_with_the_message(a2a: Binding, receiver: Receiver) -> None:
    sent = a2a.call("SendMessage", message=user(), configuration=inline(receiver.url, id="mine", token="t"))
    task = sent["task"]["id"]
    assert a2a.call("GetTaskPushNotificationConfig", taskId=task, id="mine")["token"] == "t"
    with a2a.stream("SendStreamingMessage", message=user(), configuration=inline(receiver.url)) as stream:
        task = next(iter(stream))["task"]["id"]
    (config,) = a2a.call("ListTaskPushNotificationConfigs", taskId=task)["configs"]
    assert config["url"] == receiver.url


def old_rpc(server: Live, method: str, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": f"tasks/pushNotificationConfig/{method}", "params": params}
    answer = server.client.post("/agents/helper", json=body).json()
    return answer["error"] if "error" in answer else answer["result"]


@pytest.mark.proves("a2a.v03")
def test_in_the_words_of_0_3(server: Live) -> None:
    task = server.send()["id"]
    inner: dict[str, Any] = {"url": URL, "token": "t", "authentication": {"schemes": ["Bearer"], "credentials": "c"}}
    made = old_rpc(server, "set", taskId=task, pushNotificationConfig=inner)
    assert made == {"taskId": task, "pushNotificationConfig": {**inner, "id": task}}
    again = old_rpc(server, "set", taskId=task, pushNotificationConfig={"url": f"{URL}/2"})
    second = old_rpc(server, "set", taskId=task, pushNotificationConfig={"url": URL, "id": "z"})
    assert old_rpc(server, "get", id=task) == again
    assert old_rpc(server, "get", id=task, pushNotificationConfigId="z") == second
    assert old_rpc(server, "list", id=task) == [again, second]
    assert [old_rpc(server, "delete", id=task, pushNotificationConfigId="z") for _ in range(2)] == [None, None]
    assert old_rpc(server, "get", id=task, pushNotificationConfigId="z")["code"] == -32001
    assert old_rpc(server, "set", taskId=task, pushNotificationConfig={"url": "http://10.0.0.1"})["code"] == -32602
    message = {"kind": "message", "role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}
    params = {"message": message, "configuration": {"pushNotificationConfig": {"url": URL}}}
    sent = server.rpc("message/send", params, **{"A2A-Version": "0.3"}).json()["result"]
    assert old_rpc(server, "get", id=sent["id"])["pushNotificationConfig"] == {"id": sent["id"], "url": URL}


@pytest.mark.a2a("CORE-CAP-001")
@pytest.mark.parametrize("kind", [JsonRpc, Rest])
def test_switched_off_everything_is_refused_and_the_card_says_so(folder: Path, kind: type[Any]) -> None:
    with live({**HELLO, "server": {"push_notifications": {"enabled": False}}}, folder) as server:
        card = server.client.get("/.well-known/agent-card.json").json()
        assert card["capabilities"]["pushNotifications"] is False
        a2a = kind(server.client, f"{server.url}/agents/helper")
        task = server.send()["id"]
        off = "PUSH_NOTIFICATION_NOT_SUPPORTED"
        refused(a2a, "CreateTaskPushNotificationConfig", off, taskId=task, url=URL)
        refused(a2a, "GetTaskPushNotificationConfig", off, taskId=task, id="c")
        refused(a2a, "ListTaskPushNotificationConfigs", off, taskId=task)
        refused(a2a, "DeleteTaskPushNotificationConfig", off, taskId=task, id="c")
        refused(a2a, "SendMessage", off, message=user(), configuration=inline(URL))
        assert old_rpc(server, "list", id=task)["code"] == -32003
