"""The one order of a conversation that every provider accepts, and what becomes of media."""

import base64

import pytest

from hector.core.content import Data, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import UnsupportedContent
from hector.models.history import CANCELLED, document_text, media_kind, result_media, result_text, settle

CALL = ToolCall("1", "now", {})


def said(text: str) -> Message:
    return Message("assistant", (Text(text),))


def result(call_id: str, text: str = "ok") -> ToolResult:
    return ToolResult(call_id, "now", (Text(text),))


def test_a_clean_conversation_stays() -> None:
    clean = [user("hi"), Message("assistant", (Text("wait"), CALL)), Message("tool", (result("1"),)), said("noon")]
    assert settle(clean) == clean


def test_missing_results_are_made_up() -> None:
    settled = settle([user("hi"), Message("assistant", (CALL,)), user("stop")])
    assert [message.role for message in settled] == ["user", "assistant", "tool", "user"]
    assert settled[2].parts == (ToolResult("1", "now", (Text(CANCELLED),), is_error=True),)


def test_results_move_behind_their_calls_in_the_order_of_the_calls() -> None:
    calls = Message("assistant", (CALL, ToolCall("2", "now", {})))
    settled = settle([user("hi"), calls, user("hm"), Message("tool", (result("2"), result("9"))), user("so")])
    assert settled[2].parts[1] == result("2")
    assert settled[3] == Message("user", (Text("hm"), Text("so")))


def test_first_result_wins_and_late_ones_are_left_out() -> None:
    doubled = Message("tool", (result("1", "first"), result("1", "second")))
    settled = settle(
        [user("hi"), Message("assistant", (CALL,)), doubled, said("fine"), Message("tool", (result("1"),))]
    )
    assert settled[2].parts == (result("1", "first"),)
    assert settled[-1] == said("fine")


def test_neighbours_are_merged_and_empty_text_goes() -> None:
    kept = Text("", Replay("gemini:x", {"text": ""}))
    settled = settle([user("a"), user(""), user("b"), Message("assistant", (Text(""), kept)), Message("assistant", ())])
    assert settled == [Message("user", (Text("a"), Text("b"))), Message("assistant", (kept,))]


def test_what_is_not_a_result_in_a_tool_message_is_the_users() -> None:
    mixed = Message("tool", (result("1"), Text("and this")))
    settled = settle([user("hi"), Message("assistant", (Thinking("x"), CALL)), mixed])
    assert settled[2:] == [Message("tool", (result("1"),)), user("and this")]


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", "image"),
        ("IMAGE/PNG; x=1", "image"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("application/pdf", "pdf"),
        ("text/csv", "text"),
        ("application/json", "text"),
        ("application/ld+json", "text"),
        ("application/zip", "other"),
    ],
)
@pytest.mark.proves("models.media")
def test_kinds_of_media(media_type: str, kind: str) -> None:
    assert media_kind(media_type) == kind


def test_results_as_text() -> None:
    note = Media("text/plain", data=base64.b64encode(b"note").decode())
    picture = Media("image/png", data="AAAA", name="dot.png")
    given = ToolResult("1", "now", (Text("a"), Data({"b": 1}), note, picture))
    assert result_text(given) == 'a\n{"b":1}\nnote\n[image/png dot.png]'
    assert result_media(given) == (picture,)


def test_damaged_base64() -> None:
    with pytest.raises(UnsupportedContent, match=r"text/plain part a\.txt is not valid base64"):
        document_text(Media("text/plain", data="not base64!", name="a.txt"))
