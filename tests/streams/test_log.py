"""The numbered log of a task's updates: places, positions, bounds."""

import asyncio

import pytest

from hector.core.content import Message, Text, ToolResult
from hector.core.event import Artifact, TextDelta, ThinkingDelta
from hector.core.task import (
    AnswerDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskState,
    ToolProgress,
    Update,
)
from hector.tasks import channel as channels
from hector.tasks.channel import Channel, Channels
from hector.tasks.live import LiveTask, missing
from hector.tasks.log import LEAST_UPDATES, MOST_BYTES, MOST_TAKEN, Log
from hector.tasks.positions import END, NOWHERE, Epoch, Position, unknown

FIRST, SECOND = Epoch(7, 1), Epoch(7, 2)


def piece(text: str, *, first: bool = False) -> AnswerDelta:
    return AnswerDelta("answer-1", (TextDelta(text),), first)


def status(state: TaskState, said: str = "") -> StatusUpdate:
    message = ClientMessage("m", Message("assistant", (Text(said),))) if said else None
    return StatusUpdate(Status(state, 0.0, message))


def task(state: TaskState = TaskState.WORKING, *artifacts: Artifact) -> Task:
    return Task("t", "c", "helper", Status(state, 0.0), artifacts, ())


def live(found: Task) -> LiveTask:
    return LiveTask.of(found, found.status)


def answer(text: str, name: str = "answer-1") -> Artifact:
    return Artifact(name, (Text(text),), name="response")


def unread(epoch: Epoch = FIRST) -> Channel:
    made = Channel(lambda: None)
    made.adopt(Position(epoch, 0), live(task()))
    return made


def fed(epoch: Epoch = FIRST) -> Channel:
    """A channel that somebody has read, and will come back to."""
    made = unread(epoch)
    made.subscribe(until_interrupted=False).close()
    return made


def say(made: Channel, *updates: Update) -> None:
    """What a run does."""
    for update in updates:
        assert made.shown is not None
        made.shown.apply(update)
        made.publish(update)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("7.1-0", Position(FIRST, 0)),
        ("7.2-41", Position(SECOND, 41)),
        ("7.1-end", Position(FIRST, END)),
        (None, None),
        ("", None),
        ("7-1", None),
        ("7.1-", None),
        ("7.1--1", None),
        (" 7.1-1", None),
        ("7.1-1\n", None),
        ("7.1-" + "9" * 40, None),
        ("٣.1-1", None),
    ],
)
def test_positions_have_one_written_form(text: str | None, position: Position | None) -> None:
    assert Position.parse(text) == position
    if position is not None:
        assert str(position) == text


def test_places_that_nobody_can_go_on_behind_are_all_different() -> None:
    made = [unknown() for _ in range(100)]
    written = [str(one) for one in made] + [str(Position(NOWHERE, one.number + 1)) for one in made]
    assert len(set(written)) == 200
    assert all(Log().place_of(one) is None for one in made)


@pytest.mark.proves("streams.positions")
async def test_what_is_said_before_the_first_reader_counts_but_is_not_kept() -> None:
    made = unread()
    say(made, piece("a", first=True), piece("b"))
    assert made.log.weight == 0
    assert made.resume(Position(FIRST, 1), until_interrupted=False) is None
    reader = made.subscribe(until_interrupted=False)
    assert made.position == Position(FIRST, 2)
    say(made, piece("c"), piece("d"))
    assert await reader.take() == (piece("c"), piece("d"))
    assert reader.mark == Position(FIRST, 2)
    late = made.resume(Position(FIRST, 3), until_interrupted=False)
    assert late is not None
    assert await late.take() == (piece("d"),)


@pytest.mark.proves("streams.positions")
def test_a_reader_goes_on_behind_any_position_that_is_held() -> None:
    made = fed()
    updates = [piece(str(number), first=not number) for number in range(10)]
    say(made, *updates)
    for number in range(11):
        reader = made.resume(Position(FIRST, number), until_interrupted=False)
        assert reader is not None
        assert reader.grab() == tuple(updates[number:])
    for strange in (Position(FIRST, 11), Position(SECOND, 1), Position(NOWHERE, 0)):
        assert made.resume(strange, until_interrupted=False) is None


def test_a_reader_goes_on_across_a_change_of_hands_and_knows_where_it_stands() -> None:
    made = fed()
    say(made, piece("a", first=True), piece("b"))
    made.adopt(Position(SECOND, 0), live(task(TaskState.WORKING, answer("a"))))
    say(made, piece("c"))
    reader = made.resume(Position(FIRST, 1), until_interrupted=False)
    assert reader is not None
    found: list[tuple[Epoch, int, tuple[Update, ...]]] = []
    while batch := reader.grab():
        found.append((reader.mark.epoch, reader.mark.number, batch))
    assert found[0] == (FIRST, 1, (piece("b"),))
    assert (found[1][0], found[1][2]) == (NOWHERE, (piece("a", first=True),))
    assert found[2] == (SECOND, 0, (piece("c"),))
    assert made.position == Position(SECOND, 1)


def test_where_nobody_knows_what_readers_were_shown_nobody_goes_on() -> None:
    made = fed()
    say(made, piece("a", first=True))
    made.shown = None
    made.adopt(Position(SECOND, 0), live(task()))
    assert made.resume(Position(FIRST, 0), until_interrupted=False) is None
    assert made.resume(Position(SECOND, 0), until_interrupted=False) is not None


def test_text_and_thinking_of_one_batch_are_numbered_apart() -> None:
    made = fed()
    made.publish(
        AnswerDelta("answer-1", (ThinkingDelta("t"), TextDelta("a"), TextDelta("b"), ThinkingDelta("u")), True)
    )
    reader = made.resume(Position(FIRST, 0), until_interrupted=False)
    assert reader is not None
    assert reader.grab() == (
        AnswerDelta("answer-1", (ThinkingDelta("t"),), True),
        AnswerDelta("answer-1", (TextDelta("a"), TextDelta("b")), True),
        AnswerDelta("answer-1", (ThinkingDelta("u"),), False),
    )


@pytest.mark.proves("streams.slow-readers")
def test_the_log_is_bounded_in_bytes_and_who_lags_behind_it_is_cut_off() -> None:
    made = fed()
    slow = made.subscribe(until_interrupted=False)
    quick = made.subscribe(until_interrupted=False)
    large = "x" * 50_000
    for _ in range(1_000):
        made.publish(piece(large))
        assert made.log.weight <= MOST_BYTES + LEAST_UPDATES * 51_000
        assert len(quick.grab()) == 1
    assert slow.grab() == ()
    assert slow.ended
    assert slow.cut_off
    assert not quick.ended


def test_a_few_updates_that_are_larger_than_the_bound_cut_nobody_off() -> None:
    made = fed()
    reader = made.subscribe(until_interrupted=False)
    for _ in range(5):
        made.publish(ToolProgress(None, ToolResult("c", "t", (Text("x" * MOST_BYTES),))))
    assert len(reader.grab()) == 5


def test_a_reader_that_lags_takes_a_portion_at_a_time() -> None:
    made = fed()
    reader = made.subscribe(until_interrupted=False)
    for _ in range(MOST_TAKEN + 1):
        made.publish(piece("x"))
    assert [len(reader.grab()) for _ in range(3)] == [MOST_TAKEN, 1, 0]


def test_a_state_that_everybody_knows_is_not_told_again() -> None:
    made = fed()
    reader = made.subscribe(until_interrupted=False)
    told = [status(TaskState.WORKING, "again"), status(TaskState.WORKING)]
    for update in (told[1], told[1], *told, told[1]):
        made.publish(update)
    assert reader.grab() == tuple(told)


ONE, TWO = Artifact("file", (Text("1"),)), Artifact("file", (Text("2"),))


@pytest.mark.parametrize(
    ("shown", "actual", "told"),
    [
        (task(), task(), ()),
        (task(TaskState.SUBMITTED), task(), (status(TaskState.WORKING),)),
        (task(), task(TaskState.SUBMITTED), ()),
        (task(TaskState.WORKING, ONE), task(TaskState.WORKING, ONE), ()),
        (task(TaskState.WORKING, ONE), task(TaskState.WORKING, TWO), (ArtifactUpdate(TWO),)),
        (task(), task(TaskState.WORKING, answer("so far")), (piece("so far", first=True),)),
        (
            task(TaskState.WORKING, answer("so")),
            task(TaskState.COMPLETED, answer("so far"), ONE),
            (ArtifactUpdate(answer("so far")), ArtifactUpdate(ONE), status(TaskState.COMPLETED)),
        ),
        (task(TaskState.WORKING, answer("so")), task(TaskState.CANCELED), (status(TaskState.CANCELED),)),
    ],
)
def test_what_somebody_has_to_be_told(shown: Task, actual: Task, told: tuple[Update, ...]) -> None:
    assert missing(shown, actual) == told
    folded = live(shown)
    for update in told:
        folded.apply(update)
    if actual.status.state is not TaskState.SUBMITTED:
        assert folded.status.state is actual.status.state
    known = {artifact.id: artifact for artifact in folded.snapshot().artifacts}
    assert [known[artifact.id] for artifact in actual.artifacts] == list(actual.artifacts)


def test_an_answer_that_begins_anew_replaces_what_was_shown() -> None:
    folded = live(task())
    for update in (piece("half an", first=True), piece("a whole", first=True), piece(" answer")):
        folded.apply(update)
    assert folded.snapshot().artifacts == (answer("a whole answer"),)


def test_an_answer_that_somebody_else_began_goes_on() -> None:
    folded = live(task(TaskState.WORKING, answer("a whole")))
    folded.apply(piece(" answer"))
    assert folded.snapshot().artifacts == (answer("a whole answer"),)


async def test_logs_of_ended_tasks_are_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MOST_ENDED", 3)
    made = Channels()
    for number in range(5):
        name = f"t{number}"
        held_by_run = made.hold(name, FIRST, live(task()))
        reader = held_by_run.subscribe(until_interrupted=False)
        say(held_by_run, piece("a", first=True), status(TaskState.COMPLETED))
        reader.close()
        made.release(name)
        assert not made.listened_to(name)
    held = [made.of(f"t{number}").resume(Position(FIRST, 1), until_interrupted=False) for number in range(5)]
    assert [reader is not None for reader in held] == [False, False, True, True, True]
    say(made.hold("unread", FIRST, live(task())), status(TaskState.COMPLETED))
    made.release("unread")
    assert made.of("unread").log.end == 0
    found = held[4]
    assert found is not None
    async with asyncio.timeout(60):
        assert await found.take() == (status(TaskState.COMPLETED),)
        assert await found.take() == ()
