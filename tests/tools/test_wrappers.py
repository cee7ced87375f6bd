"""What is put around every tool."""

from typing import Any

import pytest

from hector.core.content import Data, Text
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.function import function_tool
from hector.tools.wrappers import Cut

CONTEXT = ToolContext("c", "a", "app", "u", "s", "t")


@pytest.mark.parametrize(
    ("value", "kept"),
    [({"a": 1}, True), ({"a": "x" * 5000}, False), (["x" * 10] * 500, False)],
)
async def test_long_data_are_cut_like_text(value: Any, kept: bool) -> None:
    def give() -> ToolOutput:
        return ToolOutput((Text("short"), Data(value)))

    output = await Cut(function_tool(give), 100).call({}, CONTEXT)
    first, second = output.content
    assert first == Text("short")
    if kept:
        assert second == Data(value)
    else:
        assert isinstance(second, Text)
        assert "more characters were left out]" in second.text
        assert len(second.text) < 200
