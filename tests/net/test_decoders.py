"""SSE and NDJSON, cut at every byte."""

import random
import time

import pytest

from hector.net.errors import ProtocolViolation
from hector.net.ndjson import NdjsonDecoder
from hector.net.sse import SseDecoder, SseEvent

STREAM = (
    "\ufeff: a comment\n\n"
    "data: first\n\n"
    'event: named\ndata: {"grüße": "\N{GRINNING FACE}"}\n\n'
    "data: two\ndata:lines\ndata\nid: 7\nretry: 10\n\n"
    "event: nothing\n\n"
    "\n\ndata:  spaced\nunknown: x\n\n"
    ": keep-alive\n\n"
    "event:named\ndata: a: b\n\n"
)
EVENTS = [
    SseEvent(None, "first"),
    SseEvent("named", '{"grüße": "\N{GRINNING FACE}"}'),
    SseEvent(None, "two\nlines\n"),
    SseEvent(None, " spaced"),
    SseEvent("named", "a: b"),
]


def events(*pieces: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_every_cut_of_a_stream_gives_the_same_events(end: str) -> None:
    raw = STREAM.replace("\n", end).encode()
    for at in range(len(raw) + 1):
        assert events(raw[:at], raw[at:]) == EVENTS, at
    assert events(*(raw[at : at + 1] for at in range(len(raw)))) == EVENTS


def test_random_cuts_and_mixed_line_ends() -> None:
    dice = random.Random(4)
    for _ in range(300):
        raw = "".join(dice.choice(["\n", "\r\n"]) if letter == "\n" else letter for letter in STREAM).encode()
        pieces: list[bytes] = []
        while raw:
            size = dice.randrange(1, 30)
            pieces.append(raw[:size])
            raw = raw[size:]
        assert events(*pieces) == EVENTS


def test_events_come_as_soon_as_they_are_complete() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [SseEvent(None, "a")]
    assert decoder.feed(b"\ndata: b\r\n\r\n") == [SseEvent(None, "b")]
    assert decoder.feed(b"data: c\n") == []
    assert decoder.feed(b"\n") == [SseEvent(None, "c")]


def test_the_last_event_may_lack_its_blank_line() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: [DONE]\n") == []
    assert decoder.finish() == [SseEvent(None, "[DONE]")]
    assert decoder.finish() == []


def test_broken_characters_do_not_stop_a_stream() -> None:
    assert events(b"data: a\xff\n\n") == [SseEvent(None, "a\ufffd")]


def test_an_event_of_many_megabytes_costs_no_more_than_its_length() -> None:
    payload = b"x" * 16_000_000
    decoder = SseDecoder()
    begun = time.process_time()
    found: list[SseEvent] = []
    for at in range(0, len(payload), 4096):
        found += decoder.feed((b"data: " if at == 0 else b"") + payload[at : at + 4096])
    found += decoder.feed(b"\n\n")
    assert [len(event.data) for event in found] == [len(payload)]
    assert time.process_time() - begun < 2.0


def test_an_endless_event_is_refused() -> None:
    decoder = SseDecoder(limit=1000)
    decoder.feed(b"data: " + b"x" * 900)
    with pytest.raises(ProtocolViolation, match="1000 bytes"):
        decoder.feed(b"x" * 100)


LINES = '{"a": "grüße"}\r\n\n{"b": 2}\n  \n{"c": "\N{GRINNING FACE}"}'


@pytest.mark.proves("models.faults")
def test_every_cut_gives_the_same_lines() -> None:
    raw = LINES.encode()
    for at in range(len(raw) + 1):
        decoder = NdjsonDecoder()
        got = decoder.feed(raw[:at]) + decoder.feed(raw[at:])
        assert got == ['{"a": "grüße"}', '{"b": 2}'], at
        assert decoder.finish() == ['{"c": "\N{GRINNING FACE}"}']
        assert decoder.finish() == []


def test_an_endless_line_is_refused() -> None:
    decoder = NdjsonDecoder(limit=1000)
    decoder.feed(b"x" * 1000)
    with pytest.raises(ProtocolViolation, match="1000 bytes"):
        decoder.feed(b"x")
