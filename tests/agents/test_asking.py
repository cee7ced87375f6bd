"""What people are asked about: only what could be done, and shown as it is."""

import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from hector.agents.approval import legible
from hector.agents.invoke import complaint
from hector.core.content import ToolCall
from hector.core.errors import ToolError
from hector.core.event import ApprovalRequired
from hector.core.ports import ToolPolicy
from hector.tools.function import function_tool
from hector.tools.wrappers import Cut, Timed
from tests.agents.conftest import Bench, decided, said
from tests.agents.test_resume import ASK_FIRST, notes

Make = Callable[..., Bench]
WRONG: list[dict[str, Any]] = [
    {
        "turn": 0,
        "tool_calls": [
            {"name": "send", "args": {"to": 7}},
            {"name": "send", "args": {"to": "bob"}},
            {"name": "send", "args": {"whom": "bob"}},
        ],
    },
    {"tool_result": "send", "text": "Done"},
]


@pytest.mark.proves("approval.fitting")
async def test_nobody_is_asked_about_arguments_that_do_not_fit(bench: Make) -> None:
    one = bench(WRONG, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    assert "to: Input should be a valid string" in notes(log[1:])
    assert "whom: Extra inputs are not permitted" in notes(log[1:])
    pause = log[-1].control
    assert isinstance(pause, ApprovalRequired)
    assert [call.args for call in pause.calls] == [{"to": "bob"}]
    assert [event.started for event in log[1:]] == [(), (), ()], "what was refused was not begun"
    log.append(decided(log[-1], **{pause.calls[0].call_id: "approve"}))
    assert (await one.run(log))[-1].message.text == "Done"
    assert one.effects == {"send": 1}


@pytest.mark.proves("approval.fitting")
async def test_a_call_that_did_not_fit_when_it_was_made_is_not_run_after_a_restart(bench: Make) -> None:
    one = bench([WRONG[0] | {"tool_calls": WRONG[0]["tool_calls"][:1]}, WRONG[1]], ASK_FIRST)
    log = [said("go")]
    log += await one.run(log, until=lambda event: event.message.role == "assistant")
    again = bench(WRONG, ASK_FIRST | {"send": ToolPolicy(approval=True, on_unknown="retry")})
    rest = await again.run(log)
    assert "do not fit" in notes(rest)
    assert (rest[-1].message.text, again.effects.total()) == ("Done", 0)


@pytest.mark.proves("approval.fitting")
def test_a_tool_that_cannot_check_is_not_asked_about_either(caplog: pytest.LogCaptureFixture) -> None:
    def burst(_: str) -> str:
        raise RuntimeError("boom")

    async def frail(text: Annotated[str, AfterValidator(burst)]) -> str:
        """Never works."""
        return text

    tools = {"frail": Cut(Timed(function_tool(frail), 1), 10)}
    with caplog.at_level(logging.CRITICAL):
        assert complaint(ToolCall("1", "frail", {"text": "x"}), tools) == "frail failed: RuntimeError: boom"
    assert complaint(ToolCall("1", "gone", {}), tools) is None, "there is a better word for that one"


@pytest.mark.proves("approval.fitting")
def test_what_the_configuration_fixes_cannot_be_shown_as_something_else() -> None:
    async def drop(path: str, count: int = 1) -> str:
        """Drop."""
        return f"{path} {count}"

    tool = function_tool(drop, fixed={"path": "/srv"})
    tool.check({"count": 2})
    with pytest.raises(ToolError, match="do not fit: path cannot be set"):
        tool.check({"path": "/tmp/harmless"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é \u202egpj.exe", "é \\u202egpj.exe"),
        ("a\u009b31m\x7f\x1b[2J", "a\\u009b31m\\u007f\\u001b[2J"),
        ("rm\u200b -rf\u00a0/\u2028\ufeff", "rm\\u200b -rf\\u00a0/\\u2028\\ufeff"),
        ("\U000e0041\U0001f600", "\\udb40\\udc41\U0001f600"),
        ("日本 ß", "日本 ß"),
    ],
)
def test_what_cannot_be_seen_is_shown_escaped(text: str, shown: str) -> None:
    assert legible({"to": text}) == f'{{"to": "{shown}"}}'
    assert json.loads(legible({"to": text})) == {"to": text}
