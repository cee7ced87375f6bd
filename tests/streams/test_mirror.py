"""The two sides of a relay, without a database between them: what is written, and what becomes of what is read."""

import asyncio

import pytest

from hector.core.content import Text
from hector.core.task import AnswerDelta, Caller, TaskState
from hector.store import open_store
from hector.store.relay import Entry, Relays, Standing, Stretch
from hector.tasks import relay
from hector.tasks.channel import Channel, Channels
from hector.tasks.log import MOST_UPDATES
from hector.tasks.mirror import Mirror
from hector.tasks.positions import NOWHERE, Epoch, Position, unknown
from hector.tasks.relay import Call, Relay
from tests.streams.test_log import FIRST, SECOND, answer, fed, live, piece, say, status, task

END = status(TaskState.COMPLETED)


def mirror(wants: Position | None = None) -> Mirror:
    channel = Channel(lambda: None)
    if wants is None:
        channel.adopt(unknown(), live(task()))
    return Mirror(Caller(), "t", channel, 0.0, wants)


def stretch(first: int, text: str, epoch: Epoch = FIRST) -> Stretch:
    return Stretch("t", *epoch, first, tuple(piece(one) for one in text))


def standing(number: int, text: str, epoch: Epoch = FIRST) -> Standing:
    return Standing("t", *epoch, number, task(TaskState.WORKING, *([answer(text)] if text else [])))


def told(made: Mirror, *entries: Entry | None) -> str:
    """What a reader has put together that was there from the beginning."""
    reader = made.channel.subscribe(until_interrupted=False)
    for key, entry in enumerate(entries, 1):
        made.take(key, entry)
    folded = live(task())
    while batch := reader.grab():
        for update in batch:
            folded.apply(update)
    shown = folded.answer()
    return "".join(part.text for part in shown.parts if isinstance(part, Text)) if shown else ""


@pytest.mark.parametrize(
    ("entries", "text", "at", "lost"),
    [
        ([standing(2, "ab"), stretch(3, "cd")], "abcd", Position(FIRST, 4), False),
        ([standing(2, "ab"), stretch(1, "abcd")], "abcd", Position(FIRST, 4), False),  # begins before the state
        ([standing(2, "ab"), stretch(3, "c"), stretch(3, "cd")], "abcd", Position(FIRST, 4), False),  # repeated
        ([standing(2, "ab"), stretch(3, "c"), standing(3, "abc")], "abc", Position(FIRST, 3), False),  # for another one
        ([standing(2, "ab"), stretch(4, "d")], "ab", Position(FIRST, 2), True),  # a gap
        (
            [standing(2, "ab"), stretch(4, "d"), standing(4, "abcd"), stretch(5, "e")],
            "abcde",
            Position(FIRST, 5),
            False,
        ),
        ([standing(2, "ab"), stretch(4, "d"), stretch(3, "cd")], "abcd", Position(FIRST, 4), True),
        ([stretch(1, "ab")], "", Position(NOWHERE, 0), True),  # without a state
        ([standing(2, "ab"), stretch(1, "x", SECOND)], "ab", Position(FIRST, 2), True),
        ([standing(2, "ab"), standing(0, "a", SECOND), stretch(1, "c", SECOND)], "ac", Position(SECOND, 1), False),
        ([standing(0, "", SECOND), stretch(1, "c", SECOND), stretch(3, "x")], "c", Position(SECOND, 1), False),
        ([standing(0, "", SECOND), stretch(1, "c", SECOND), standing(9, "x")], "c", Position(SECOND, 1), False),
        ([standing(2, "ab"), None, stretch(4, "d")], "ab", Position(FIRST, 2), True),  # from a newer version
    ],
)
def test_what_comes_is_told_once_and_in_order(entries: list[Entry | None], text: str, at: Position, lost: bool) -> None:
    made = mirror()
    made.lost = False
    assert told(made, *entries) == text
    assert (made.at, made.lost, made.key) == (at, lost, len(entries))
    if any(isinstance(entry, Standing) for entry in entries):
        assert made.channel.position == at


def test_a_reader_that_has_the_beginning_from_elsewhere_goes_on_in_the_middle() -> None:
    made = mirror(wants=Position(FIRST, 3))
    assert told(made, stretch(2, "bcde"), standing(5, "abcde"), stretch(6, "f")) == "def"
    assert made.answered.is_set()
    assert made.channel.shown is not None
    assert made.channel.shown.answer() == answer("abcdef")
    assert made.channel.resume(Position(FIRST, 3), until_interrupted=False) is not None


def test_where_the_middle_is_not_held_any_more_the_state_comes_first() -> None:
    made = mirror(wants=Position(FIRST, 3))
    made.take(1, standing(9, "abcdefghi"))
    assert made.answered.is_set()
    assert made.channel.resume(Position(FIRST, 3), until_interrupted=False) is None
    assert made.channel.position == Position(FIRST, 9)


def test_what_comes_late_of_a_task_that_was_settled_by_what_is_stored_is_known() -> None:
    made = mirror()
    made.take(1, standing(1, "a"))
    made.settle(task(TaskState.COMPLETED, answer("abc")))
    before = made.channel.log.end
    for entry in (stretch(2, "bc"), Stretch("t", *FIRST, 4, (END,)), standing(3, "abc")):
        made.take(2, entry)
    assert made.channel.log.end == before
    assert made.channel.over


def test_updates_of_a_claim_that_ran_here_are_not_told_again() -> None:
    made = mirror()
    made.channel.adopt(Position(FIRST, 0), live(task()))
    made.pass_over(FIRST)
    say(made.channel, piece("a", first=True))
    assert told(made, stretch(1, "a"), standing(1, "a")) == ""
    assert told(made, standing(0, "b", SECOND), stretch(1, "c", SECOND)) == "bc"


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", "null", '{"by":1}', '{"by":"a","keeps":[],"begins":[]}', '{"by":"a","keeps":3}']
)
def test_words_that_are_not_ours_are_passed_over(text: str) -> None:
    assert Call.parse(text) is None


def test_an_announcement_is_read_as_it_was_written() -> None:
    call = Call("me", ("a", "b"), (("c", Position(FIRST, 4)), ("d", None)))
    assert Call.parse(call.to_text()) == call


def passed_on(made: Channel, feed: relay._Feed) -> list[tuple[str, Epoch, int, str]]:
    """What is written for followers, in short."""
    found = []
    for entry in relay._entries("t", feed):
        text = ""
        if isinstance(entry, Stretch):
            for update in entry.updates:
                assert isinstance(update, AnswerDelta)
                text += "".join(delta.text for delta in update.deltas)
            found.append(("stretch", Epoch(entry.job, entry.fence), entry.first, text))
        else:
            text = "".join(part.text for one in entry.task.artifacts for part in one.parts if isinstance(part, Text))
            found.append(("standing", Epoch(entry.job, entry.fence), entry.number, text))
    return found


def test_followers_are_given_the_state_and_then_what_follows_it() -> None:
    made = fed()
    say(made, piece("a", first=True), piece("b"))
    feed = relay._Feed(made, made.tap(lambda: None))
    assert passed_on(made, feed) == []
    feed.asked.append(None)
    assert passed_on(made, feed) == [("standing", FIRST, 2, "ab")]
    say(made, piece("c"))
    feed.asked += [Position(FIRST, 1), Position(SECOND, 1)]
    assert passed_on(made, feed) == [
        ("stretch", FIRST, 2, "bc"),
        ("stretch", FIRST, 3, "c"),
        ("standing", FIRST, 3, "abc"),
    ]
    assert passed_on(made, feed) == []


def test_followers_are_given_the_state_that_the_next_claim_begins_with() -> None:
    made = fed()
    feed = relay._Feed(made, made.tap(lambda: None))
    say(made, piece("a", first=True), piece("b"))
    made.adopt(Position(SECOND, 0), live(task(TaskState.WORKING, answer("a"))))
    assert made.shown is not None
    feed.begun[SECOND] = made.shown.snapshot()
    say(made, piece("c"))
    assert passed_on(made, feed) == [
        ("stretch", FIRST, 1, "ab"),
        ("standing", SECOND, 0, "a"),
        ("stretch", SECOND, 1, "c"),
    ]
    made.adopt(Position(Epoch(7, 3), 0), live(task()))
    feed.begun[Epoch(7, 3)] = task()
    assert passed_on(made, feed) == [("standing", Epoch(7, 3), 0, "")]


def test_followers_that_the_log_has_left_behind_are_given_the_state() -> None:
    made = fed()
    feed = relay._Feed(made, made.tap(lambda: None))
    for _ in range(MOST_UPDATES + 1):
        say(made, piece("x"))
    assert passed_on(made, feed) == [("standing", FIRST, MOST_UPDATES + 1, "x" * (MOST_UPDATES + 1))]
    say(made, piece("y"))
    assert passed_on(made, feed) == [("stretch", FIRST, MOST_UPDATES + 2, "y")]


async def test_nobody_pays_for_updates_that_nobody_asked_for() -> None:
    store = await open_store("sqlite://:memory:")
    channels = Channels()
    giving = Relay(Relays(store.database), channels)
    channels.on_begin = giving.begun
    channel = channels.hold("t", FIRST, live(task()))
    giving.heard(Call(giving.id, ("t",)).to_text())  # our own voice
    giving.heard("nonsense")
    giving.heard(Call("other", ("u",)).to_text())
    assert not giving._feeds
    assert not channel._taps
    giving.heard(Call("other", ("t",)).to_text())
    assert list(giving._feeds) == ["t"]
    channels.hold("u", FIRST, live(task()))
    assert list(giving._feeds) == ["t", "u"]
    await store.aclose()


@pytest.mark.proves("queue.bounded")
async def test_what_others_followed_once_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "INTEREST", 0.01)
    store = await open_store("sqlite://:memory:")
    giving = Relay(Relays(store.database), Channels())
    for number in range(1000):
        giving.heard(Call("other", (f"t{number}",)).to_text())
    await asyncio.sleep(0.02)  # as long as an interest lasts
    giving.heard(Call("other", ("u",)).to_text())
    assert list(giving._interest) == ["u"]
    await store.aclose()
