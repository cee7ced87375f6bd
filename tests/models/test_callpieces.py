"""Streamed tool calls as servers in the field cut them."""

from typing import Any

import pytest

from hector.models.callpieces import CallPieces

F: Any = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


def piece(arguments: Any = None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    return {**fields, "function": function}


def calls(*deltas: list[Any]) -> list[tuple[str, str, Any]]:
    """(id, name, arguments or their text) of each call"""
    pieces = CallPieces()
    for delta in deltas:
        pieces.add(delta)
    return [(call.id, call.name, call.raw if call.raw is not None else call.args) for call in pieces.finish({})]


TABLE: dict[str, tuple[list[list[Any]], list[tuple[str, str, Any]]]] = {
    "by the book": (
        [[F], [piece('{"x"', index=0)], [piece(":1}", index=0)]],
        [("a", "f", {"x": 1})],
    ),
    "parallel, interleaved": (
        [
            [piece("", "f", index=0, id="a")],
            [piece("", "g", index=1, id="b")],
            [piece('{"x":', index=0), piece("{}", index=1)],
            [piece("1}", index=0)],
        ],
        [("a", "f", {"x": 1}), ("b", "g", {})],
    ),
    "index 0 for all, new ids": (
        [
            [piece("", "f", index=0, id="a")],
            [piece('{"x":1}', index=0)],
            [piece("", "f", index=0, id="b")],
            [piece('{"x":2}', index=0)],
        ],
        [("a", "f", {"x": 1}), ("b", "f", {"x": 2})],
    ),
    "index 0 for all, no new id": (
        [[piece('{"x":1}', "f", index=0, id="a")], [piece('{"x":2}', "g", index=0)]],
        [("a", "f", {"x": 1}), ("*", "g", {"x": 2})],
    ),
    "no index": (
        [[piece('{"x":', "f", id="a")], [piece("1}")], [piece("{}", "g", id="b")]],
        [("a", "f", {"x": 1}), ("b", "g", {})],
    ),
    "no index, id on every piece": (
        [[piece('{"x":', "f", id="a")], [piece("1}", id="a")], [piece("{}", "g", id="b")]],
        [("a", "f", {"x": 1}), ("b", "g", {})],
    ),
    "index only at first": (
        [[piece('{"x":', "f", id="a", index=0)], [piece("1}", id="a")]],
        [("a", "f", {"x": 1})],
    ),
    "no index and no id, whole calls in one chunk": (
        [[piece('{"x":1}', "f"), piece("{}", "f"), piece("", "g"), piece("", "h")]],
        [("*", "f", {"x": 1}), ("*", "f", {}), ("*", "g", {}), ("*", "h", {})],
    ),
    "no index and no id, one whole call per chunk": (
        [[piece('{"x":1}', "f")], [piece('{"x":2}', "f")]],
        [("*", "f", {"x": 1}), ("*", "f", {"x": 2})],
    ),
    "id repeated": (
        [[F], [piece('{"x"', index=0, id="a")], [piece(":1}", index=0, id="a")]],
        [("a", "f", {"x": 1})],
    ),
    "id and name repeated": (
        [[piece('{"x"', "f", index=0, id="a")], [piece(":1}", "f", index=0, id="a")]],
        [("a", "f", {"x": 1})],
    ),
    "name repeated, no id": (
        [[piece('{"x"', "f", index=0)], [piece(":1}", "f", index=0)], [piece("", "f", index=0)]],
        [("*", "f", {"x": 1})],
    ),
    "id empty": (
        [[piece("", "f", index=0, id="")], [piece('{"x":1}', index=0, id="")]],
        [("*", "f", {"x": 1})],
    ),
    "id comes late": (
        [[piece("", "f", index=0)], [piece("{}", index=0, id="a")]],
        [("a", "f", {})],
    ),
    "another id on every piece": (
        [[F], [piece('{"x"', index=0, id="b")], [piece(":1}", index=0, id="c")]],
        [("a", "f", {"x": 1})],
    ),
    "one id for two calls": (
        [[piece("{}", "f", index=0, id="a")], [piece("{}", "g", index=1, id="a")]],
        [("a", "f", {}), ("*", "g", {})],
    ),
    "name split": (
        [[piece("", "get_", index=0, id="a")], [piece(None, "weather", index=0)], [piece("{}", index=0)]],
        [("a", "get_weather", {})],
    ),
    "name split, id repeated": (
        [[piece("", "get_", index=0, id="a")], [piece(None, "weather", index=0, id="a")], [piece("{}", index=0)]],
        [("a", "get_weather", {})],
    ),
    "name grows": (
        [[piece("", "get", index=0, id="a")], [piece("{}", "get_weather", index=0, id="a")]],
        [("a", "get_weather", {})],
    ),
    "arguments as an object": (
        [[piece({"x": 1}, "f", index=0, id="a")]],
        [("a", "f", {"x": 1})],
    ),
    "arguments null": ([[piece(None, "f", index=0, id="a")]], [("a", "f", {})]),
    "arguments encoded twice": ([[piece('"{\\"x\\": 1}"', "f", index=0, id="a")]], [("a", "f", {"x": 1})]),
    "arguments that are no object": ([[piece("[1]", "f", index=0, id="a")]], [("a", "f", "[1]")]),
    "arguments cut off": ([[piece('{"x": ', "f", index=0, id="a")]], [("a", "f", '{"x": ')]),
    "arguments a mere string": ([[piece('"x', "f", index=0, id="a")]], [("a", "f", '"x')]),
    "name missing": ([[piece('{"x":1}', index=0, id="a")]], [("a", "unnamed", {"x": 1})]),
    "nothing at all": ([[{"index": 0}], [{"index": 0, "function": None}], ["?"]], []),
}


@pytest.mark.proves("models.tools", "models.openai.chat")
@pytest.mark.parametrize("case", TABLE)
def test_pieces_become_calls(case: str) -> None:
    deltas, expected = TABLE[case]
    found = calls(*deltas)
    assert [call[1:] for call in found] == [call[1:] for call in expected]
    for (call_id, *_), (wanted, *_) in zip(found, expected, strict=True):
        assert call_id == wanted or (wanted == "*" and call_id.startswith("call_"))
    assert len({call[0] for call in found}) == len(found)


def test_names_go_back_to_ours() -> None:
    pieces = CallPieces()
    pieces.add([piece("{}", "fs_read", id="a")])
    assert pieces.finish({"fs_read": "fs.read"})[0].name == "fs.read"
