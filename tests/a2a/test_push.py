"""Push notification configs in both versions, held against the official models."""

from typing import Any

import pytest
from a2a.compat.v0_3 import types

from hector.a2a import push, v03
from hector.a2a.parse import parse_send
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest
from hector.core.event import Artifact
from hector.core.push import PushConfig, PushPage
from hector.core.task import ArtifactUpdate, Status, StatusUpdate, TaskState
from tests.a2a.samples import NOON, send, strict, task

pytestmark = pytest.mark.proves("a2a.push")

URL = "https://hooks.example.com/a?b=c"
FULL = PushConfig("c-1", URL, "t-1", "Bearer", "secret")
NEW: JsonObject = {
    "taskId": "task-1",
    "id": "c-1",
    "url": URL,
    "token": "t-1",
    "authentication": {"scheme": "Bearer", "credentials": "secret"},
}
OLD: JsonObject = {
    "taskId": "task-1",
    "pushNotificationConfig": {
        "id": "c-1",
        "url": URL,
        "token": "t-1",
        "authentication": {"schemes": ["Bearer", "Basic"], "credentials": "secret"},
    },
}


def old_config() -> PushConfig:
    return PushConfig("c-1", URL, "t-1", "Bearer", "secret", "0.3")


def test_a_config_to_create() -> None:
    strict(NEW, "TaskPushNotificationConfig")
    types.TaskPushNotificationConfig.model_validate(OLD)
    assert push.parse_create(NEW, old=False) == push.PushCreate("task-1", FULL)
    assert push.parse_create(OLD, old=True) == push.PushCreate("task-1", old_config())
    snake = {"task_id": "t", "url": URL, "authentication": {"scheme": "Basic"}}
    found = push.parse_create(snake, old=False)
    assert (found.task_id, found.config.scheme, found.config.credentials) == ("t", "Basic", None)


def test_an_id_that_is_left_out_is_made_up_and_in_0_3_is_the_tasks() -> None:
    bare = {"taskId": "t", "url": URL}
    first, second = (push.parse_create(bare, old=False).config.id for _ in range(2))
    assert len({first, second, ""}) == 3
    assert push.parse_create({"taskId": "t", "pushNotificationConfig": {"url": URL}}, old=True).config.id == ""


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"taskId": None}, "taskId is required"),
        ({"url": None}, "url is required"),
        ({"url": ["x"]}, "url must be a string, not a list"),
        ({"url": "https://e.org/" + "x" * 2048}, "url is longer than 2048 characters"),
        ({"id": "x" * 257}, "id is longer than 256 characters"),
        ({"token": "a\r\nHost: x"}, "token holds characters that no HTTP header can carry, or spaces at an end"),
        ({"token": " t"}, "token holds characters that no HTTP header can carry, or spaces at an end"),
        (
            {"authentication": {"scheme": "Bearer", "credentials": "c "}},
            "authentication.credentials holds characters that no HTTP header can carry, or spaces at an end",
        ),
        ({"id": "\0"}, "id must not hold control characters"),
        ({"token": "\u0142"}, "token holds characters that no HTTP header can carry, or spaces at an end"),
        ({"authentication": "Bearer x"}, "authentication must be an object, not a string"),
        ({"authentication": {}}, "authentication.scheme is required"),
        ({"authentication": {"scheme": "Bearer x"}}, "authentication.scheme must be one word, such as Bearer"),
        (
            {"authentication": {"scheme": "Bearer", "credentials": "a\nb"}},
            "authentication.credentials holds characters that no HTTP header can carry, or spaces at an end",
        ),
    ],
)
def test_mistakes_are_named(change: JsonObject, wrong: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        push.parse_create({**NEW, **change}, old=False)
    (found,) = caught.value.violations
    assert f"{found.field} {found.description}" == wrong
    with pytest.raises(InvalidRequest) as caught:
        parse_send({**send(), "configuration": {"taskPushNotificationConfig": {"url": ""}}})
    assert caught.value.violations[0].field == "configuration.taskPushNotificationConfig.url"


def test_references_and_pages() -> None:
    assert push.parse_ref({"taskId": "t", "id": "c"}, old=False) == push.PushRef("t", "c")
    assert push.parse_ref({"id": "t", "pushNotificationConfigId": "c"}, old=True) == push.PushRef("t", "c")
    assert push.parse_ref({"id": "t"}, old=True) == push.PushRef("t", None)
    with pytest.raises(InvalidRequest, match="id is required"):
        push.parse_ref({"taskId": "t"}, old=False)
    asked = {"taskId": "t", "pageSize": "2", "pageToken": "x"}
    assert push.parse_listing(asked, old=False) == push.PushListing("t", 2, "x")
    assert push.parse_listing({"taskId": "t"}, old=False) == push.PushListing("t", 50)
    assert push.parse_listing({"id": "t"}, old=True) == push.PushListing("t")
    with pytest.raises(InvalidRequest, match="pageSize must be from 0 to 100"):
        push.parse_listing({"taskId": "t", "pageSize": 101}, old=False)


def test_a_config_that_comes_with_a_message() -> None:
    inner = {key: value for key, value in NEW.items() if key != "taskId"}
    assert parse_send({**send(), "configuration": {"taskPushNotificationConfig": inner}}).push == FULL
    old = {"message": {"role": "user", "parts": [{"kind": "text", "text": "x"}]}}
    inner = OLD["pushNotificationConfig"]
    assert v03.parse_send({**old, "configuration": {"pushNotificationConfig": inner}}).push == old_config()
    assert parse_send(send()).push is None
    with pytest.raises(InvalidRequest, match="taskPushNotificationConfig must be an object"):
        v03.parse_send({**old, "configuration": {"pushNotificationConfig": "https://e.org"}})


def test_answers() -> None:
    assert push.config("task-1", FULL, old=False) == NEW
    strict(push.config("task-1", FULL, old=False), "TaskPushNotificationConfig")
    found = push.config("task-1", FULL, old=True)
    assert types.TaskPushNotificationConfig.model_validate(found).push_notification_config.authentication is not None
    assert push.config("t", PushConfig("c", URL), old=False) == {"taskId": "t", "id": "c", "url": URL}
    page = PushPage((FULL,), "next")
    assert push.listing("task-1", page, old=False) == {"configs": [NEW], "nextPageToken": "next"}
    strict(push.listing("task-1", page, old=False), "ListTaskPushNotificationConfigsResponse")
    assert push.listing("task-1", page, old=True) == [found]


@pytest.mark.parametrize("state", list(TaskState))
def test_what_a_receiver_is_sent(state: TaskState) -> None:
    whole = task(state)
    updates: tuple[Any, ...] = (StatusUpdate(Status(state, NOON)), ArtifactUpdate(Artifact("a", ())))
    for update, kind in zip(updates, ("status_update", "artifact_update"), strict=True):
        read = strict(push.notification(whole, update, "1.0"), "StreamResponse")
        assert read.WhichOneof("payload") == kind
        old = types.Task.model_validate(push.notification(whole, update, "0.3"))
        assert (old.id, old.status.state.value) == ("task-1", state.value)


def test_secrets_do_not_show() -> None:
    assert repr(FULL) == "PushConfig('c-1')"
