"""What is not JSON, or only nearly, never gets past the first step."""

import json

import pytest

from hector.a2a import wire
from hector.a2a.errors import ProtocolError


@pytest.mark.proves("a2a.errors")
@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"", -32700, "Expecting value"),
        (b"{", -32700, "not JSON"),
        (b"{'a': 1}", -32700, "not JSON"),
        (b"\xff\xfe{}", -32700, "not UTF-8"),
        (b"\xef\xbb\xbf{}", -32700, "not JSON"),
        (b'{"a": NaN}', -32700, "a number that cannot be read"),
        (b'{"a": -Infinity}', -32700, "a number that cannot be read"),
        (b'{"a": 1e999}', -32700, "a number that cannot be read"),
        (b'{"a": ' + b"9" * 5000 + b"}", -32700, "a number that cannot be read"),
        (b'{"a": "\\ud83d"}', -32700, "lone surrogate"),
        (b'{"\\udc00": 1}', -32700, "lone surrogate"),
        (b"[" * 65 + b"]" * 65, -32600, "64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, -32600, "64 levels"),
        (b"[" * 200_000 + b"]" * 200_000, -32600, "64 levels"),
    ],
)
def test_hostile_bodies_are_refused(body: bytes, code: int, text: str) -> None:
    with pytest.raises(ProtocolError, match=text) as caught:
        wire.loads(body)
    assert caught.value.fault.code == code


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, "ü€😀"]}, [[[[]]]], {str(at): {} for at in range(500)}, 10**400, "\u2028\x85\x00"],
)
def test_values_survive_the_round_trip(value: object) -> None:
    text = wire.dumps(value)
    assert text.isascii()
    assert text.splitlines() == [text]
    assert wire.loads(text.encode()) == value == wire.loads(json.dumps(value, ensure_ascii=False).encode())


def test_depth_is_counted_exactly() -> None:
    assert wire.loads(b"[" * 64 + b"]" * 64)
    assert wire.depth_exceeds([[1], [{"a": []}]], 3)
    assert not wire.depth_exceeds([[1], [{"a": 1}]], 3)


def test_numbers_that_json_does_not_know_become_null() -> None:
    value = {"a": [1.5, float("nan"), (float("inf"),)], "b": {"c": -float("inf")}}
    assert wire.dumps(value) == '{"a":[1.5,null,[null]],"b":{"c":null}}'


def test_the_encoder_of_the_standard_library_agrees() -> None:
    value = {"a": [1, 2.5, None, True, "\u2028"], "b": {}, "c": (), "1": "x"}
    assert wire.dumps(value) == json.dumps(value, separators=(",", ":"))
    with pytest.raises(TypeError):
        wire.dumps({"a": object()})
