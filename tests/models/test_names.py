"""Tool names on the wire and back."""

import re

import pytest

from hector.core.content import Message, ToolCall, user
from hector.core.ports import ModelRequest, ToolSpec
from hector.models.names import GEMINI, PLAIN, mangle, reverse, wire_names

NAMES = ["fs.read", "fs/read", "fs read", "fs_read", "größe", "x" * 70, "x" * 71, "9lives", "", "a.b:c", "_", "-"]


@pytest.mark.proves("models.tools")
@pytest.mark.parametrize("fits", [PLAIN, GEMINI], ids=["plain", "gemini"])
def test_every_name_fits_and_comes_back(fits: re.Pattern[str]) -> None:
    mangled = mangle(NAMES, fits)
    on_wire = [mangled.get(name, name) for name in NAMES]
    assert all(fits.fullmatch(name) for name in on_wire)
    assert len(set(on_wire)) == len(NAMES)
    back = reverse(mangled)
    assert [back.get(name, name) for name in on_wire] == NAMES


def test_names_that_fit_stay() -> None:
    assert mangle(["fs_read", "a-b", "9lives"]) == {}
    assert mangle(["a.b:c"], GEMINI) == {}


def test_a_name_is_the_same_in_the_next_request() -> None:
    assert mangle(["fs.read"]) == {"fs.read": "fs_read"}
    assert mangle(["fs.read", "other.tool"])["fs.read"] == "fs_read"


def test_tools_of_the_history_count() -> None:
    past = Message("assistant", (ToolCall("1", "old.tool", {}),))
    asked = ModelRequest("", [user("hi"), past], [ToolSpec("new.tool", "", {})])
    assert wire_names(asked) == {"old.tool": "old_tool", "new.tool": "new_tool"}
