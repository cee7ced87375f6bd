"""The list of what is to be done, and the clock."""

from typing import Any

import pytest

from hector.core.content import Data, Text
from hector.core.errors import ToolError
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.catalog import Catalog

A, B = {"id": "a", "content": "Look", "status": "pending"}, {"id": "b", "content": "Leap", "status": "in_progress"}


async def write(state: dict[str, Any], **args: Any) -> ToolOutput:
    """Call it, and let the state be as it leaves it."""
    context = ToolContext("c", "helper", "default", "ana", "s1", "t", state)
    output = await Catalog().create("todo_write").call(args, context)
    state.update(output.state)
    return output


@pytest.mark.proves("tools.todotool")
async def test_rows_are_merged_by_id_or_replace_the_list() -> None:
    state: dict[str, Any] = {}
    await write(state, merge=False, todos=[A, B])
    output = await write(state, merge=True, todos=[A | {"status": "completed"}, {"id": "c", "content": "Rest"}])
    assert state["todos"] == [A | {"status": "completed"}, B, {"id": "c", "content": "Rest", "status": "pending"}]
    text, data = output.content
    assert isinstance(text, Text)
    assert isinstance(data, Data)
    assert text.text == "3 rows: 1 pending, 1 in_progress, 1 completed\n[x] a: Look\n[>] b: Leap\n[ ] c: Rest"
    facts = {"summary": "1 pending, 1 in_progress, 1 completed", "session_id": "s1", "merge": True, "count": 3}
    assert data.value == facts | {"todos": state["todos"]}
    await write(state, merge=False, todos=[B])
    assert state["todos"] == [B]


@pytest.mark.proves("tools.todotool")
@pytest.mark.parametrize(
    ("kept", "todos", "said"),
    [
        (None, [], "at least 1 item"),
        (None, [A | {"status": "done"}], "status"),
        (None, [{"content": "no id"}], "id"),
        ([dict(A, id=str(number)) for number in range(200)], [A], "200 is the most"),
    ],
)  # fmt: skip
async def test_what_is_no_list(kept: Any, todos: list[Any], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        await write({"todos": kept}, merge=True, todos=todos)


@pytest.mark.proves("tools.todotool")
@pytest.mark.parametrize("kept", ["text", 7, [1, {"id": "x"}], {"a": 1}])
async def test_something_else_under_the_key_counts_as_no_list(kept: Any) -> None:
    state = {"todos": kept}
    await write(state, merge=True, todos=[A])
    assert state["todos"] == [A]


@pytest.mark.proves("tools.current-time")
async def test_the_time() -> None:
    tool = Catalog().create("current_time")
    context = ToolContext("c", "helper", "default", "ana", "s", "t")
    (text,) = (await tool.call({"timezone": "Asia/Kolkata"}, context)).content
    assert isinstance(text, Text)
    assert "+05:30 (" in text.text
    (text,) = (await tool.call({}, context)).content
    assert isinstance(text, Text)
    assert text.text.endswith(", UTC)")
    for wrong in ("Mars/Olympus", "../../etc/passwd", "/etc/passwd", "", "\0"):
        with pytest.raises(ToolError, match="there is no time zone"):
            await tool.call({"timezone": wrong}, context)
