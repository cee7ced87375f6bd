"""Event streams: the fast path says exactly what the slow one would."""

import json
from typing import Any

import pytest

from hector.a2a import render, v03
from hector.a2a.stream import Dialect, EventStream, failure, runs
from hector.core.content import Message, Text, ToolCall
from hector.core.event import Artifact, Delta, TextDelta, ThinkingDelta
from hector.core.task import (
    AnswerDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    TaskState,
    ToolProgress,
    Update,
)
from tests.a2a.samples import NOON, strict, task

OPEN = task(TaskState.WORKING, artifacts=())
NASTY = 'quote " back \\ line \n para \u2028 nel \x85 nul \x00 emoji 😀 half \ud83d'


def events(blob: bytes) -> list[Any]:
    """Parse as the strictest client does: split at every Unicode line end."""
    lines = blob.decode("ascii").splitlines()
    assert all(line.startswith("data: ") or not line for line in lines)
    assert blob.endswith(b"\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def text(content: str, *, first: bool = False) -> AnswerDelta:
    return AnswerDelta("answer-1", (TextDelta(content),), first)


@pytest.mark.a2a("JSONRPC-SSE-001", "HTTP_JSON-SSE-001", "CORE-STREAM-003")
@pytest.mark.proves("a2a.streaming")
@pytest.mark.parametrize("request_id", [None, '"req"', "7", "null"])
def test_a_whole_stream(request_id: str | None) -> None:
    stream = EventStream(render, OPEN, request_id)
    updates: list[Update] = [
        StatusUpdate(Status(TaskState.WORKING, NOON)),
        AnswerDelta("answer-1", (ThinkingDelta("let "), ThinkingDelta("me")), first=True),
        ToolProgress(ToolCall("c", "search", {})),
        text("Hel", first=True),
        text("lo " + NASTY),
        ArtifactUpdate(Artifact("answer-1", (Text(""),), "response"), append=True, last=True),
        StatusUpdate(Status(TaskState.COMPLETED, NOON)),
    ]
    found = events(stream.begin()) + events(stream.encode(updates[:4])) + events(stream.encode(updates[4:]))
    if request_id is not None:
        assert {(event.pop("jsonrpc"), json.dumps(event.pop("id"))) for event in found} == {("2.0", request_id)}
        found = [event["result"] for event in found]
    for event in found:
        assert len(event) == 1
        if "half" not in str(event):  # a lone surrogate is JSON, but no text in the sense of protobuf
            strict(event, "StreamResponse")
    assert [next(iter(event)) for event in found] == [
        "task",
        *["statusUpdate"] * 3,
        *["artifactUpdate"] * 3,
        "statusUpdate",
    ]
    chunks = [event["artifactUpdate"] for event in found if "artifactUpdate" in event]
    assert "".join(chunk["artifact"]["parts"][0]["text"] for chunk in chunks) == "Hello " + NASTY
    assert [(chunk.get("append", False), chunk.get("lastChunk", False)) for chunk in chunks] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert stream.state is TaskState.COMPLETED


@pytest.mark.parametrize("dialect", [render, v03])
def test_the_fast_path_says_what_the_slow_one_says(dialect: Dialect) -> None:
    stream = EventStream(dialect, OPEN, None)
    for append in (False, True, True):
        assert events(stream.encode([text(NASTY, first=not append)])) == [
            dialect.text_chunk(OPEN, "answer-1", NASTY, append=append)
        ]
    assert events(stream.encode([AnswerDelta("b", (ThinkingDelta("x"),), first=False)])) == [
        dialect.thought(OPEN, "b", "x")
    ]


@pytest.mark.a2a("STREAM-ORDER-001", "STREAM-ORDER-003")
def test_batches_of_any_size_give_the_same_bytes() -> None:
    updates: list[Update] = [text("a", first=True), text("b"), StatusUpdate(Status(TaskState.FAILED, NOON))]
    together = EventStream(render, OPEN, "1")
    apart = EventStream(render, OPEN, "1")
    assert together.encode(updates) == b"".join(apart.encode([update]) for update in updates)


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ((), []),
        ((TextDelta(""),), []),
        ((TextDelta("a"), TextDelta("b")), [(True, "ab")]),
        ((ThinkingDelta("t"), TextDelta("a"), TextDelta("b")), [(False, "t"), (True, "ab")]),
        (
            (TextDelta("a"), ThinkingDelta("t"), ThinkingDelta("u"), TextDelta("b")),
            [(True, "a"), (False, "tu"), (True, "b")],
        ),
    ],
)
def test_neighbours_are_joined(deltas: tuple[Delta, ...], expected: list[tuple[bool, str]]) -> None:
    assert list(runs(AnswerDelta("a", deltas, first=True))) == expected


def test_only_the_first_text_of_an_artifact_creates_it() -> None:
    mixed = AnswerDelta("a", (TextDelta("1"), ThinkingDelta("t"), TextDelta("2")), first=True)
    found = events(EventStream(render, OPEN, None).encode([mixed]))
    assert [event["artifactUpdate"].get("append") for event in found if "artifactUpdate" in event] == [None, True]


@pytest.mark.a2a("CORE-STREAM-002")
def test_a_direct_message_is_alone() -> None:
    stream = EventStream(render, ClientMessage("m", Message("assistant", (Text("hi"),)), "c"), "1")
    assert [list(event["result"]) for event in events(stream.begin())] == [["message"]]
    assert stream.encode([text("x")]) == b""
    assert stream.state is None


def test_a_failure_is_an_event_of_its_own_kind() -> None:
    assert failure({"error": {"code": 503}}) == b'event: error\ndata: {"error":{"code":503}}\n\n'


def test_a_mark_in_the_ids_does_not_confuse_the_cut() -> None:
    odd = task(TaskState.WORKING, context_id="\x00hector:text\x00 ")
    stream = EventStream(render, odd, None)
    assert events(stream.encode([text("x")])) == [render.text_chunk(odd, "answer-1", "x", append=True)]


def test_every_event_carries_the_position_behind_it() -> None:
    updates: list[Update] = [
        StatusUpdate(Status(TaskState.WORKING, NOON)),
        text("a", first=True),
        AnswerDelta("answer-1", (ThinkingDelta("t"), TextDelta("b")), first=False),
        AnswerDelta("answer-1", (), first=False),
        StatusUpdate(Status(TaskState.COMPLETED, NOON)),
    ]
    stream = EventStream(render, OPEN, None, "7.1-4")
    ids = [line for line in stream.begin().decode().splitlines() if line.startswith("id: ")]
    assert ids == ["id: 7.1-4"]
    blob = stream.encode(updates, "7.1-", 5).decode()
    heads = [event.splitlines()[0][:10].rstrip() for event in blob.split("\n\n") if event]
    assert heads == ["id: 7.1-5", "id: 7.1-6", 'data: {"st', "id: 7.1-7", "id: 7.1-en"]
    plain = EventStream(render, OPEN, None)
    assert "".join(line for line in blob.splitlines(keepends=True) if line[:4] != "id: ") == (
        plain.encode(updates).decode()
    )


def test_a_resumed_stream_begins_without_a_snapshot_and_is_not_over_before_it_has_said_so() -> None:
    stream = EventStream(render, task(TaskState.COMPLETED), "1", "7.1-4", resumed=True)
    assert stream.begin() == b": resumed\n\n"
    assert stream.state is TaskState.WORKING
