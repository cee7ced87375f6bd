"""Answers of 1.0, held against the official message definitions."""

import json
from collections.abc import Iterator

import pytest

from hector.a2a import render, wire
from hector.a2a.parse import parse_send
from hector.core.content import JsonObject, Message, Text, Thinking, ToolCall, ToolResult
from hector.core.event import Artifact
from hector.core.task import ArtifactUpdate, ClientMessage, Status, StatusUpdate, TaskPage, TaskState, ToolProgress
from tests.a2a.samples import NOON, QUESTION, send, strict, task


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(item)


@pytest.mark.a2a("DM-TASK-001", "DM-TASK-002", "DM-ART-001", "DM-STATUS-001", "DM-SERIAL-002", "DM-SERIAL-003")
@pytest.mark.parametrize("state", list(TaskState))
def test_a_task_is_what_the_specification_says(state: TaskState) -> None:
    value = render.task(task(state))
    read = strict(value, "Task")
    assert value["status"]["state"] == f"TASK_STATE_{state.name}"
    assert value["status"]["timestamp"] == "2025-10-28T10:30:00.500Z"
    assert [part.WhichOneof("content") for part in read.artifacts[0].parts] == ["text", "raw", "url", "data"]
    assert (read.artifacts[0].parts[1].raw, read.artifacts[0].parts[1].media_type) == (b"hello", "image/png")
    assert read.history[0].parts[0].text == "hello"
    assert "null" not in wire.dumps(value).replace("[1,null,2.5]", "")


@pytest.mark.a2a("DM-SERIAL-001")
def test_keys_of_the_protocol_are_camel_case_and_foreign_keys_are_left_alone() -> None:
    value = render.task(task())
    assert [key for key in keys(value) if "_" in key] == ["lang_code", "snake_key"]


@pytest.mark.a2a("CORE-HIST-001", "CORE-LIST-005")
def test_what_is_not_there_is_left_out() -> None:
    bare = render.task(task(history=None, artifacts=(), metadata=None, status=Status(TaskState.WORKING, NOON)))
    assert sorted(bare) == ["contextId", "id", "status"]


@pytest.mark.a2a("CORE-LIST-004")
def test_a_page_always_has_all_its_keys() -> None:
    empty = render.page(TaskPage((), "", 0), 50, artifacts=False)
    assert empty == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    full = render.page(TaskPage((task(artifacts=()),), "more", 9), 1, artifacts=True)
    assert full["tasks"][0]["artifacts"] == []
    strict(full, "ListTasksResponse")


@pytest.mark.a2a("DM-MSG-001", "DM-MSG-002", "CORE-HIST-006")
def test_a_message_comes_back_as_it_came() -> None:
    sent = send(
        contextId="c",
        taskId="t",
        referenceTaskIds=["r"],
        extensions=["urn:x"],
        metadata={"a_b": {"c": None}},
        parts=[
            {"text": "hi", "mediaType": "text/markdown", "filename": "a.md", "metadata": {"x": 1}},
            {"raw": "aGk=", "mediaType": "image/png", "filename": "p.png"},
            {"url": "https://example.com/x", "mediaType": "text/html"},
            {"data": [1, {"k": None}], "mediaType": "application/json"},
        ],
    )
    back = render.message(parse_send(sent).message)
    assert back == sent["message"]
    strict(back, "Message")


@pytest.mark.a2a("STREAM-ORDER-003")
@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (
            StatusUpdate(Status(TaskState.COMPLETED, NOON)),
            {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED", "timestamp": "2025-10-28T10:30:00.500Z"}}},
        ),
        (
            ArtifactUpdate(Artifact("a", (Text("x"),))),
            {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "x"}]}, "lastChunk": True}},
        ),
        (
            ArtifactUpdate(Artifact("a", (Text(""),)), append=True, last=True),
            {
                "artifactUpdate": {
                    "artifact": {"artifactId": "a", "parts": [{"text": ""}]},
                    "append": True,
                    "lastChunk": True,
                }
            },
        ),
    ],
)
def test_updates(update: StatusUpdate | ArtifactUpdate, expected: JsonObject) -> None:
    found = render.event(task(), update)
    (inner,) = found.values()
    assert (inner.pop("taskId"), inner.pop("contextId")) == ("task-1", "ctx-1")
    assert found == expected
    for value in found.values():
        value |= {"taskId": "task-1", "contextId": "ctx-1"}
    strict(found, "StreamResponse")


def test_progress_of_tools_and_thinking_says_its_kind() -> None:
    begun = render.event(task(), ToolProgress(ToolCall("c1", "search", {"max_results": 3})))
    ended = render.event(task(), ToolProgress(None, ToolResult("c1", "search", (Text("found"),))))
    thought = render.thought(task(), "answer-1", "hm")
    messages = [strict(found, "StreamResponse").status_update.status.message for found in (begun, ended, thought)]
    assert [message.parts[0].metadata["kind"] for message in messages] == ["toolCall", "toolResult", "thinking"]
    assert [message.message_id for message in messages] == ["c1-call", "c1-result", "task-1-answer-1-thinking"]
    call, result = (json.loads(wire.dumps(f))["statusUpdate"]["status"]["message"]["parts"][0] for f in (begun, ended))
    assert call["data"] == {"id": "c1", "name": "search", "arguments": {"max_results": 3}}
    assert result["data"] == {"id": "c1", "name": "search", "content": [{"text": "found"}], "isError": False}
    unreadable = render.tool_call(ToolCall("c", "t", {}, raw="{oops"))
    assert unreadable["arguments"] == "{oops"
    with pytest.raises(ValueError, match="without"):
        render.event(task(), ToolProgress(None, None))


def test_an_answer_is_exactly_one_of_task_and_message() -> None:
    assert list(render.answer(task())) == ["task"]
    reply = ClientMessage("m", Message("assistant", (Thinking("t"), ToolCall("c", "n", {}))), "c")
    assert list(render.answer(reply)) == ["message"]
    strict(render.answer(reply), "SendMessageResponse")
    assert render.message(QUESTION)["role"] == "ROLE_USER"
