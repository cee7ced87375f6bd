"""Stored JSON: what other versions of Hector wrote is read too; what nobody wrote is refused."""

import json
import random
from typing import Any

import pytest

from hector.core.clock import iso, milliseconds
from hector.core.content import Message, Text
from hector.core.errors import StoreError
from hector.core.event import Artifact, Event, InputRequired
from hector.core.task import ClientMessage
from hector.core.usage import Usage
from hector.store import codec
from tests.store.turns import NOW


def event_with(**fields: Any) -> Event:
    """An event read back from a body that has these fields besides its message."""
    body = {"message": {"role": "user", "parts": [{"type": "text", "text": "x", "new": 1}], "new": 1}, **fields}
    return codec.event_from_row((1, "e", "run", "user", "", NOW, json.dumps(body)))


def test_unknown_fields_are_ignored() -> None:
    event = event_with(
        new=1,
        usage={"input": 1, "new": 2},
        control={"type": "input_required", "call_id": "c", "prompt": "p", "new": 1},
        artifacts=[{"id": "a", "new": 1}],
    )
    assert event == Event(
        "e",
        "run",
        "user",
        NOW,
        Message("user", (Text("x"),)),
        usage=Usage(1),
        control=InputRequired("c", "p"),
        artifacts=(Artifact("a", ()),),
    )
    assert codec.artifact_from_text('{"id":"a","parts":[],"new":1}') == Artifact("a", ())
    assert codec.client_message_from_text('{"id":"m","role":"user","parts":[],"new":1}') == ClientMessage(
        "m", Message("user", ())
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"message": {"role": "user", "parts": [{"type": "hologram"}]}},
        {"message": {"role": "user", "parts": ["text"]}},
        {"message": None},
        {"control": {"type": "explode"}},
        {"artifacts": [{}]},
        {"usage": 7},
    ],
)
def test_foreign_shapes_are_damage(fields: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="row 1 of table events is damaged"):
        event_with(**fields)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"message"', "7"])
def test_broken_json_is_damage(body: str) -> None:
    with pytest.raises(StoreError, match="row 1 of table events is damaged"):
        codec.event_from_row((1, "e", "run", "user", "", NOW, body))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (1_700_000_000.123, 1_700_000_000_123), (1_700_000_000.9999, 1_700_000_000_999), (0.0005, 0)],
)
def test_times_are_cut_to_milliseconds(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected


@pytest.mark.proves("state.crash")
def test_a_time_reads_as_it_was_shown_before_it_was_stored() -> None:
    chance = random.Random(1)
    for at in (1_790_000_000 + chance.random() * 1e6 for _ in range(100_000)):
        assert iso(milliseconds(at) / 1000) == iso(at)
