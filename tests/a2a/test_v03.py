"""The 0.3 dialect, held against the models of the official compatibility layer."""

from typing import Any

import pytest
from a2a.compat.v0_3 import types

from hector.a2a import v03
from hector.core.content import Data, JsonObject, Media, Message, Text, ToolCall
from hector.core.errors import InvalidRequest
from hector.core.event import Artifact
from hector.core.task import ArtifactUpdate, ClientMessage, Status, StatusUpdate, TaskState, ToolProgress
from tests.a2a.samples import NOON, task

pytestmark = pytest.mark.proves("a2a.v03")


def old(**message: Any) -> JsonObject:
    return {"message": {"kind": "message", "role": "user", "parts": [{"kind": "text", "text": "hi"}], **message}}


def test_a_request_becomes_the_same_value_as_in_the_new_words() -> None:
    parts = [
        {"kind": "text", "text": "hi", "metadata": {"a_b": 1}},
        {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "p.png"}},
        {"kind": "file", "file": {"uri": "https://e.org/x", "mimeType": "text/html"}, "metadata": {"k": 1}},
        {"kind": "data", "data": {"snake_key": 1}},
    ]
    params = {
        **old(parts=parts, messageId="m", contextId="c", taskId="t", metadata={"x_y": 1}),
        "configuration": {"blocking": False, "historyLength": 2, "acceptedOutputModes": ["text/plain"]},
    }
    types.MessageSendParams.model_validate(params)
    found = v03.parse_send(params)
    assert found.message.message == Message(
        "user",
        (
            Text("hi", metadata={"a_b": 1}),
            Media("image/png", data="aGk=", name="p.png"),
            Media("text/html", url="https://e.org/x", metadata={"k": 1}),
            Data({"snake_key": 1}),
        ),
    )
    assert (found.message.id, found.message.context_id, found.message.task_id) == ("m", "c", "t")
    assert (found.return_immediately, found.history_length) == (True, 2)


@pytest.mark.parametrize("configuration", [None, {}, {"blocking": True}, {"blocking": None}])
def test_an_old_client_waits_unless_it_says_otherwise(configuration: JsonObject | None) -> None:
    assert not v03.parse_send({**old(), "configuration": configuration}).return_immediately


def test_a_message_without_an_id_is_given_one() -> None:
    first, second = (v03.parse_send(old()).message.id for _ in range(2))
    assert first
    assert first != second


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "message is required"),
        ({"message": 1}, "message must be an object"),
        (old(role="agent"), r"message\.role"),
        (old(role=["user"]), r"message\.role"),
        (old(parts=[{"kind": "file", "file": {}}]), "exactly one"),
        (old(parts=[3]), "must be an object"),
        ({**old(), "configuration": {"historyLength": "x"}}, "whole number"),
    ],
)
def test_mistakes_are_named(params: JsonObject, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        v03.parse_send(params)


@pytest.mark.parametrize("state", list(TaskState))
def test_a_task_in_the_old_words(state: TaskState) -> None:
    value = v03.answer(task(state))
    read = types.Task.model_validate(value)
    assert (value["kind"], value["status"]["state"], read.status.state.value) == ("task", state.value, state.value)
    assert read.artifacts
    kinds = [part.root.kind for part in read.artifacts[0].parts]
    assert kinds == ["text", "file", "file", "data"]
    assert read.history
    assert read.history[0].role.value == "user"
    assert value["artifacts"][0]["parts"][1]["file"] == {"bytes": "aGVsbG8=", "mimeType": "image/png", "name": "p.png"}


def test_data_is_always_an_object() -> None:
    assert v03.part(Data([1])) == {"kind": "data", "data": {"value": [1]}}
    assert v03.part(Data({"a": 1}, metadata={"m": 1})) == {"kind": "data", "data": {"a": 1}, "metadata": {"m": 1}}


def test_a_direct_message() -> None:
    value = v03.answer(ClientMessage("m", Message("assistant", (Text("hi"),)), "c"))
    assert types.Message.model_validate(value).role.value == "agent"
    assert value["kind"] == "message"


@pytest.mark.parametrize(
    ("state", "final"),
    [
        (TaskState.SUBMITTED, False),
        (TaskState.WORKING, False),
        (TaskState.INPUT_REQUIRED, True),
        (TaskState.AUTH_REQUIRED, True),
        (TaskState.COMPLETED, True),
        (TaskState.FAILED, True),
        (TaskState.CANCELED, True),
        (TaskState.REJECTED, True),
    ],
)
def test_the_last_event_of_a_stream_says_so(state: TaskState, final: bool) -> None:
    value = v03.event(task(), StatusUpdate(Status(state, NOON)))
    assert types.TaskStatusUpdateEvent.model_validate(value).final is final
    assert value["kind"] == "status-update"


def test_artifacts_and_progress() -> None:
    value = v03.event(task(), ArtifactUpdate(Artifact("a", (Text("x"),)), append=True, last=True))
    read = types.TaskArtifactUpdateEvent.model_validate(value)
    assert (read.append, read.last_chunk, read.artifact.artifact_id) == (True, True, "a")
    chunk = types.TaskArtifactUpdateEvent.model_validate(v03.text_chunk(task(), "a", "x", append=False))
    assert (chunk.append, chunk.last_chunk) == (False, False)
    for progress in (v03.event(task(), ToolProgress(ToolCall("c", "t", {}))), v03.thought(task(), "a", "hm")):
        assert types.TaskStatusUpdateEvent.model_validate(progress).final is False


def test_codes_that_came_later_are_internal_errors() -> None:
    assert [v03.error({"code": code, "message": ""})["code"] for code in (-32001, -32007, -32008, -32009)] == [
        -32001,
        -32007,
        -32603,
        -32603,
    ]
