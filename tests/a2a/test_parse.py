"""Requests of 1.0: both spellings, strangers ignored, and every mistake named."""

from typing import Any

import pytest

from hector.a2a.parse import Listing, Send, TaskRef, parse_listing, parse_send, parse_task
from hector.core.content import Data, JsonObject, Media, Text
from hector.core.errors import InvalidRequest, Violation
from hector.core.task import TaskQuery, TaskState
from tests.a2a.samples import send


def violations(params: JsonObject) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        parse_send(params)
    return [f"{found.field} {found.description}" for found in caught.value.violations]


@pytest.mark.a2a("DM-SERIAL-001", "DM-SERIAL-005", "DM-MSG-001")
def test_a_message_in_both_spellings() -> None:
    camel = {
        "message": {
            "messageId": "m",
            "role": "ROLE_USER",
            "parts": [{"text": "hi", "mediaType": "text/markdown", "filename": "a.md", "metadata": {"snake_key": 1}}],
            "contextId": "c",
            "taskId": "t",
            "referenceTaskIds": ["r"],
            "extensions": ["urn:x"],
            "metadata": {"keep_me": {"asIs": None}},
            "futureField": 1,
        },
        "configuration": {"historyLength": 3, "returnImmediately": True, "acceptedOutputModes": ["text/plain"]},
        "tenant": "default",
        "unknown": [],
    }
    message = {
        **camel["message"],  # type: ignore[dict-item]
        "message_id": "m",
        "context_id": "c",
        "task_id": "t",
        "reference_task_ids": ["r"],
        "parts": [{"text": "hi", "media_type": "text/markdown", "filename": "a.md", "metadata": {"snake_key": 1}}],
    }
    for name in ("messageId", "contextId", "taskId", "referenceTaskIds"):
        del message[name]
    snake = {
        "message": message,
        "configuration": {"history_length": 3, "return_immediately": True, "accepted_output_modes": ["text/plain"]},
        "tenant": "default",
    }
    found = parse_send(camel)
    assert found == parse_send(snake)
    assert found.message.message.parts == (Text("hi", None, {"snake_key": 1}, "text/markdown", "a.md"),)
    assert found.message.metadata == {"keep_me": {"asIs": None}}
    assert (found.message.id, found.message.context_id, found.message.task_id) == ("m", "c", "t")
    assert found == Send(found.message, True, 3, "default")


@pytest.mark.a2a("DM-PART-001")
@pytest.mark.parametrize(
    ("part", "content"),
    [
        ({"text": ""}, Text("")),
        ({"raw": "aGk=", "mediaType": "image/png"}, Media("image/png", data="aGk=")),
        ({"raw": "-_-_aA", "mediaType": "a/b"}, Media("a/b", data="+/+/aA==")),
        ({"raw": "aGk", "filename": "x.pdf"}, Media("application/pdf", data="aGk=", name="x.pdf")),
        ({"url": "https://e.org/x"}, Media("application/octet-stream", url="https://e.org/x")),
        ({"data": {"a_b": 1}, "metadata": {"m": 1}}, Data({"a_b": 1}, None, {"m": 1})),
        ({"data": None}, Data(None)),
        ({"data": [1, 2], "text": None}, Data([1, 2])),
        ({"text": "x", "data": None}, Text("x")),
    ],
)
def test_parts(part: JsonObject, content: Any) -> None:
    assert parse_send(send(parts=[part])).message.message.parts == (content,)


@pytest.mark.a2a("CORE-ERR-002", "DM-SERIAL-004")
@pytest.mark.proves("a2a.errors")
@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({}, ["message is required"]),
        ({"message": []}, ["message must be an object, not a list"]),
        (send(messageId=None), ["message.messageId is required"]),
        (send(messageId=""), ["message.messageId is required"]),
        (send(messageId=7), ["message.messageId must be a string, not a number"]),
        (send(messageId="x" * 257), ["message.messageId is longer than 256 characters"]),
        (send(contextId="x" * 257), ["message.contextId is longer than 256 characters"]),
        (send(contextId="x\0"), ["message.contextId must not hold control characters"]),
        (send(taskId="x\n2025-01-01 ERROR forged"), ["message.taskId must not hold control characters"]),
        (send(role="ROLE_AGENT"), ["message.role must be ROLE_USER: only users send messages to agents"]),
        (send(role=None), ["message.role must be ROLE_USER: only users send messages to agents"]),
        (send(parts=[]), ["message.parts must be a list of at least one part"]),
        (send(parts="hi"), ["message.parts must be a list of at least one part"]),
        (send(parts=[{"text": "x"}] * 257), ["message.parts has more than 256 entries"]),
        (send(parts=["hi"]), ["message.parts[0] must be an object"]),
        (send(parts=[{}]), ["message.parts[0] must have exactly one of text, raw, url, data"]),
        (send(parts=[{"text": None}]), ["message.parts[0].text must be a string"]),
        (
            send(parts=[{"text": "a"}, {"text": "a", "data": 1}]),
            ["message.parts[1] must have exactly one of text, raw, url, data"],
        ),
        (send(parts=[{"raw": "$$"}]), ["message.parts[0].raw must be base64"]),
        (send(parts=[{"text": "a", "metadata": 1}]), ["message.parts[0].metadata must be an object, not a number"]),
        (send(metadata="x"), ["message.metadata must be an object, not a string"]),
        (send(extensions=[1]), ["message.extensions must be a list of strings"]),
        (
            {**send(), "configuration": {"historyLength": -1, "returnImmediately": "perhaps"}},
            [
                "configuration.returnImmediately must be true or false, not a string",
                "configuration.historyLength must be at least 0",
            ],
        ),
        (
            {**send(), "configuration": {"historyLength": True}},
            ["configuration.historyLength must be a whole number, not a boolean"],
        ),
        (
            {**send(), "configuration": {"historyLength": 1.5}},
            ["configuration.historyLength must be a whole number, not a number"],
        ),
        (
            {"message": {"parts": [{"a": 1}], "role": "user"}, "tenant": 5},
            [
                "message.role must be ROLE_USER: only users send messages to agents",
                "message.messageId is required",
                "message.parts[0] must have exactly one of text, raw, url, data",
                "tenant must be a string, not a number",
            ],
        ),
    ],
)
def test_every_violation_is_named(params: JsonObject, wrong: list[str]) -> None:
    assert violations(params) == wrong


def test_the_list_of_violations_is_bounded() -> None:
    with pytest.raises(InvalidRequest, match=r"and 47 more") as caught:
        parse_send(send(parts=[{}] * 50))
    assert len(caught.value.violations) == 20


def test_a_task_reference() -> None:
    assert parse_task({"id": "t", "history_length": "2"}) == TaskRef("t", 2)
    assert parse_task({"id": "t", "metadata": {"a_b": 1}, "tenant": "x"}) == TaskRef("t", None, {"a_b": 1}, "x")
    with pytest.raises(InvalidRequest, match="id is required"):
        parse_task({"name": "tasks/t"})


@pytest.mark.a2a("CORE-LIST-002", "CORE-LIST-005", "HTTP_JSON-QP-001")
def test_a_listing_from_json_and_from_a_query_string() -> None:
    everything = TaskQuery("c", TaskState.INPUT_REQUIRED, 1_761_647_400.0, 7, "tok", 2, True)
    words = {
        "contextId": "c",
        "status": "TASK_STATE_INPUT_REQUIRED",
        "statusTimestampAfter": "2025-10-28T10:30:00.000Z",
        "pageToken": "tok",
    }
    assert parse_listing({**words, "pageSize": "7", "historyLength": "2", "includeArtifacts": "true"}) == Listing(
        everything
    )
    numbers = {"status": 6, "page_size": 7, "history_length": 2, "include_artifacts": True, "tenant": "t"}
    del words["status"]
    assert parse_listing({**words, **numbers}) == Listing(everything, "t")
    assert parse_listing({"status": 0, "contextId": ""}) == Listing(TaskQuery())


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 101}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"status": "WORKING"}, "status"),
        ({"status": 9}, "status"),
        ({"status": []}, "status"),
        ({"historyLength": -1}, "historyLength"),
        ({"statusTimestampAfter": "yesterday"}, "statusTimestampAfter"),
        ({"statusTimestampAfter": "2025-10-28T10:30:00"}, "statusTimestampAfter"),
        ({"includeArtifacts": "yes"}, "includeArtifacts"),
        ({"pageToken": "x" * 2000}, "pageToken"),
    ],
)
def test_a_wrong_filter_is_named(params: JsonObject, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_listing(params)
    assert [found.field for found in caught.value.violations] == [field]
    assert isinstance(caught.value.violations[0], Violation)
