"""A2A events as pieces of a conversation, those of other servers included."""

import io
from typing import Any

import pytest

from hector.cli.chat_pieces import Answer, Asked, Called, Ended, Note, Piece, Reader, Returned, Saved, Thought
from hector.cli.chat_screen import Plain, Screen


def status(state: str, *parts: dict[str, Any]) -> dict[str, Any]:
    message = {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": list(parts)}} if parts else {}
    return {"statusUpdate": {"taskId": "t", "contextId": "c", "status": {"state": f"TASK_STATE_{state}", **message}}}


def artifact(key: str, name: str | None, *parts: dict[str, Any]) -> dict[str, Any]:
    found = {"artifactId": key, "parts": list(parts), **({"name": name} if name else {})}
    return {"artifactUpdate": {"taskId": "t", "contextId": "c", "artifact": found}}


def read(*events: dict[str, Any]) -> list[Piece]:
    reader = Reader()
    return [piece for event in events for piece in reader.read(event)]


@pytest.mark.proves("cli.chat")
def test_a_turn_with_thinking_and_tools() -> None:
    call = {"id": "1", "name": "look", "arguments": {"at": "sky"}}
    result = {"id": "1", "name": "look", "content": [{"text": "blue"}, {"data": 1}], "isError": False}
    assert read(
        {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_SUBMITTED"}}},
        status("WORKING"),
        status("WORKING", {"text": "hm", "metadata": {"kind": "thinking"}}),
        status("WORKING", {"data": call, "metadata": {"kind": "toolCall"}}),
        status("WORKING", {"data": result, "metadata": {"kind": "toolResult"}}),
        artifact("a", "sky.txt", {"text": "blue", "mediaType": "text/plain"}),
        artifact("answer-1", "response", {"text": "It is "}),
        artifact("answer-1", "response", {"text": "blue."}),
        artifact("answer-1", "response"),
        status("COMPLETED"),
    ) == [
        Thought("hm"),
        Called("1", "look", {"at": "sky"}),
        Returned("1", "look", "blue", failed=False),
        Saved("sky.txt", "text/plain, 4 characters"),
        Answer("It is ", "answer-1"),
        Answer("blue.", "answer-1"),
        Ended("COMPLETED"),
    ]


@pytest.mark.proves("cli.chat")
@pytest.mark.parametrize(
    ("events", "pieces"),
    [
        ([{"message": {"parts": [{"text": "Hi."}], "contextId": "c"}}], [Answer("Hi.", "end"), Ended("COMPLETED")]),
        ([status("COMPLETED", {"text": "Done."})], [Answer("Done.", "end"), Ended("COMPLETED")]),
        (
            [artifact("a", "result", {"text": "42"}), status("COMPLETED")],
            [Saved("result", "2 characters"), Answer("42", "end"), Ended("COMPLETED")],
        ),
        ([artifact("a", None, {"text": "42"}), status("COMPLETED")], [Answer("42", "a"), Ended("COMPLETED")]),
        ([status("WORKING", {"text": "half way"})], [Note("half way")]),
        ([status("FAILED", {"text": "no"}), status("FAILED")], [Ended("FAILED", "no")]),
        ([status("AUTH_REQUIRED", {"text": "log in"})], [Asked("log in", auth=True)]),
        ([artifact("a", "x", {"url": "http://h/x"})], [Saved("x", "http://h/x")]),
        ([artifact("a", "x", {"raw": "AAAA", "filename": "x.png", "mediaType": "image/png"})],
         [Saved("x.png", "image/png, 3 bytes")]),
        ([{"task": None}, {"statusUpdate": {"status": 7}}, {"artifactUpdate": {"artifact": {"parts": ["x"]}}}], []),
    ],
)  # fmt: skip
def test_other_servers_are_understood(events: list[dict[str, Any]], pieces: list[Piece]) -> None:
    assert read(*events) == pieces


def test_ids_are_remembered_for_the_next_message() -> None:
    reader = Reader()
    assert list(reader.read(status("INPUT_REQUIRED", {"text": "which?"}))) == [Asked("which?")]
    assert (reader.task_id, reader.context_id, reader.over) == ("t", "c", True)
    direct = Reader("t", "c")
    list(direct.read({"message": {"parts": [{"text": "x"}], "contextId": "d"}}))
    assert (direct.task_id, direct.context_id) == ("", "d")


def test_two_answers_of_one_turn_stand_on_lines_of_their_own() -> None:
    out, err = io.StringIO(), io.StringIO()
    view = Plain(out, err)
    for piece in (Answer("Let me see.", "answer-1"), Answer("It is", "answer-2"), Answer(" blue.", "answer-2")):
        view.show(piece)
    view.show(Ended("REJECTED", "no more"))
    view.end()
    assert out.getvalue() == "Let me see.\nIt is blue.\n"
    assert err.getvalue() == "hector: the agent declined: no more\n"


def test_a_screen_without_signs_and_colours_is_ascii() -> None:
    out = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii", write_through=True)
    screen = Screen(out, colours=False)
    screen.begin()
    for piece in (Called("1", "t", {"a": [1]}), Returned("1", "t", "", failed=True), Called("2", "u", "x"), Note("n")):
        screen.show(piece)
    screen.show(Asked("who?"))
    screen.end()
    assert raw.getvalue().decode() == "* t(a: [1]) -> done\nn\n* u(x) -> no result\n? who?\n\n"
