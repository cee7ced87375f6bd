"""Tasks: accepted and recorded in one transaction each, ended once."""

import asyncio
from dataclasses import replace

import pytest

from hector.core.content import Message, Text
from hector.core.errors import InvalidRequest, NotFound, NotSupported, StoreError
from hector.core.event import Artifact, InputRequired
from hector.core.task import Caller, ClientMessage, Status, TaskState
from hector.store import Record, Store
from hector.store.history import question, user_event
from tests.store.turns import ME, NOW, answer, begin, done, request, step

TERMINAL = [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED]
STRANGERS = [Caller("app", "you"), Caller("other", "me")]


async def ask(store: Store, text: str = "which?", **options: str) -> Record:
    """A task that waits for its user; the record that made it wait."""
    accepted = await begin(store, **options)
    task = accepted.task
    event = answer("", control=InputRequired("call-1", text))
    asked = question(event.id, InputRequired("call-1", text), context_id=task.context_id, task_id=task.id)
    status = Status(TaskState.INPUT_REQUIRED, NOW, asked)
    record = step(accepted, event, status=status, claim=accepted.claim)
    assert await store.tasks.record(record)
    return record


class TestAccept:
    @pytest.mark.proves("durability.tasks")
    async def test_the_task_stands_with_its_message(self, store: Store) -> None:
        accepted = await begin(store, "hello", metadata={"k": {"v": 1}}, owner=None)
        task = accepted.task
        assert task == await store.tasks.get(ME, task.id)
        assert task.status == Status(TaskState.SUBMITTED, NOW)
        assert task.history is not None
        assert [message.message.text for message in task.history] == ["hello"]
        assert task.metadata == {"k": {"v": 1}}

    async def test_an_id_is_taken_once(self, store: Store) -> None:
        await begin(store, task="t")
        with pytest.raises(StoreError, match="(?i)unique"):
            await begin(store, task="t")
        assert len((await store.sessions.load(ME, "c")).events) == 1

    async def test_an_envelope_survives(self, store: Store) -> None:
        message = ClientMessage("m1", Message("user", (Text("x"),)), None, None, {"k": 1}, ("urn:x",), ("t0",))
        event = user_event(message, event_id="e1", invocation_id="run", at=NOW)
        accepted = await store.tasks.accept(replace(request(), event=event))
        task = await store.tasks.get(ME, accepted.task.id)
        assert task.history == (replace(message, context_id="c", task_id=task.id),)


class TestResume:
    @pytest.mark.proves("durability.human-in-loop")
    async def test_a_waiting_task_goes_on(self, store: Store) -> None:
        record = await ask(store)
        accepted = await begin(store, "this one", task=record.task_id, context=None, resume=True, at=NOW + 1)
        assert accepted.task.status == Status(TaskState.WORKING, NOW + 1)
        assert accepted.task.context_id == "c"
        assert accepted.task.history is not None
        assert [message.message.text for message in accepted.task.history] == ["hello", "which?", "this one"]
        assert [message.message.role for message in accepted.task.history] == ["user", "assistant", "user"]

    async def test_a_question_is_status_first_and_history_later(self, store: Store) -> None:
        record = await ask(store)
        task = await store.tasks.get(ME, record.task_id)
        assert record.status is not None
        assert task.status == record.status
        assert task.history is not None
        assert [message.message.text for message in task.history] == ["hello"]
        answered = await begin(store, "a", task=task.id, resume=True)
        assert answered.task.history is not None
        assert answered.task.history[1] == task.status.message

    @pytest.mark.parametrize("state", TERMINAL)
    async def test_an_ended_task_takes_no_message(self, store: Store, state: TaskState) -> None:
        record = await ask(store)
        assert await store.tasks.record(Record(ME, record.task_id, "c", status=Status(state, NOW)))
        with pytest.raises(NotSupported, match=rf"has ended \({state}\)"):
            await begin(store, task=record.task_id, resume=True)

    async def test_a_working_task_takes_no_message(self, store: Store) -> None:
        accepted = await begin(store)
        with pytest.raises(NotSupported, match="is working"):
            await begin(store, task=accepted.task.id, resume=True)

    async def test_only_one_of_two_answers_is_taken(self, store: Store) -> None:
        record = await ask(store)

        async def reply(text: str) -> bool:
            try:
                await begin(store, text, task=record.task_id, resume=True)
            except NotSupported:
                return False
            return True

        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(reply(text)) for text in ("one", "two")]
        assert sorted(found.result() for found in tries) == [False, True]
        assert len((await store.sessions.load(ME, "c")).events) == 3

    async def test_the_context_must_be_the_tasks_own(self, store: Store) -> None:
        record = await ask(store)
        with pytest.raises(InvalidRequest, match="another context"):
            await begin(store, task=record.task_id, context="elsewhere", resume=True)

    @pytest.mark.parametrize("stranger", STRANGERS)
    async def test_a_stranger_finds_nothing(self, store: Store, stranger: Caller) -> None:
        record = await ask(store)
        with pytest.raises(NotFound):
            await begin(store, task=record.task_id, caller=stranger, resume=True)
        with pytest.raises(NotFound):
            await begin(store, task="never", resume=True)


class TestRecord:
    async def test_everything_of_a_step_is_there(self, store: Store) -> None:
        accepted = await begin(store)
        message = ClientMessage("m", Message("assistant", (Text("sorry"),)), "c", accepted.task.id, {"k": 1})
        status = Status(TaskState.FAILED, NOW + 2, message)
        assert await store.tasks.record(replace(done(accepted, answer("x")), status=status))
        task = await store.tasks.get(ME, accepted.task.id)
        assert task.status == status
        assert task.artifacts == (Artifact("answer-1", (Text("done"),), "response"),)

    @pytest.mark.parametrize("state", TERMINAL)
    async def test_an_ended_task_never_changes(self, store: Store, state: TaskState) -> None:
        accepted = await begin(store)
        assert await store.tasks.record(step(accepted, status=Status(state, NOW)))
        before = await store.tasks.get(ME, accepted.task.id)
        late = done(accepted, answer("late", state={"k": 1}), at=NOW + 5)
        assert not await store.tasks.record(late)
        assert not await store.tasks.record(replace(late, discard=True))
        assert await store.tasks.get(ME, accepted.task.id) == before
        session = await store.sessions.load(ME, "c")
        assert (len(session.events), session.state) == (1, {})

    async def test_one_of_many_racing_endings_wins(self, store: Store) -> None:
        accepted = await begin(store)
        ends = [step(accepted, status=Status(state, NOW)) for state in TERMINAL * 10]
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(_await(store, end)) for end in ends]
        assert [found.result() for found in tries] == [True] + [False] * 39
        assert (await store.tasks.get(ME, accepted.task.id)).status.state == TERMINAL[0]

    @pytest.mark.proves("state.artifacts")
    async def test_artifacts_keep_their_place_when_replaced(self, store: Store) -> None:
        accepted = await begin(store)
        first = tuple(Artifact(name, (Text(name),)) for name in ("z", "a", "m"))
        assert await store.tasks.record(step(accepted, artifacts=first))
        assert await store.tasks.record(step(accepted, artifacts=(Artifact("a", (Text("new"),), "n"),)))
        found = (await store.tasks.get(ME, accepted.task.id)).artifacts
        assert found == (first[0], Artifact("a", (Text("new"),), "n"), first[2])

    async def test_a_discarded_task_leaves_the_conversation(self, store: Store) -> None:
        accepted = await begin(store)
        assert await store.tasks.record(step(accepted, answer("hi"), discard=True))
        with pytest.raises(NotFound):
            await store.tasks.get(ME, accepted.task.id)
        assert not await store.tasks.record(step(accepted, answer("more")))
        assert [event.message.text for event in (await store.sessions.load(ME, "c")).events] == ["hello", "hi"]

    @pytest.mark.parametrize("stranger", STRANGERS)
    async def test_a_stranger_changes_nothing(self, store: Store, stranger: Caller) -> None:
        accepted = await begin(store)
        assert not await store.tasks.record(done(accepted, answer("x"), caller=stranger))
        assert not await store.tasks.record(replace(done(accepted), context_id="elsewhere"))
        assert await store.tasks.get(ME, accepted.task.id) == accepted.task


async def _await(store: Store, record: Record) -> bool:
    return await store.tasks.record(record)


class TestGet:
    @pytest.mark.parametrize(("length", "expected"), [(None, 5), (0, None), (1, 1), (2, 2), (5, 5), (9, 5)])
    async def test_history_has_the_length_asked_for(
        self, store: Store, length: int | None, expected: int | None
    ) -> None:
        record = await ask(store, "one?")
        resumed = await begin(store, "1", task=record.task_id, resume=True)
        again = await ask_again(store, replace(record, claim=resumed.claim), "two?")
        await begin(store, "2", task=again.task_id, resume=True)
        task = await store.tasks.get(ME, record.task_id, history_length=length)
        texts = ["hello", "one?", "1", "two?", "2"]
        found = None if task.history is None else [message.message.text for message in task.history]
        assert found == (None if expected is None else texts[-expected:])

    async def test_history_is_the_tasks_own_and_its_ids_stay(self, store: Store) -> None:
        first, second = await begin(store, "a"), await begin(store, "b")
        assert await store.tasks.record(done(first, answer("x")))
        one, two = [await store.tasks.get(ME, accepted.task.id) for accepted in (first, second)]
        assert (one.history, two.history) == (first.task.history, second.task.history)

    @pytest.mark.parametrize("stranger", STRANGERS)
    async def test_strangers_and_other_agents_find_nothing(self, store: Store, stranger: Caller) -> None:
        accepted = await begin(store)
        with pytest.raises(NotFound, match="task"):
            await store.tasks.get(stranger, accepted.task.id)
        with pytest.raises(NotFound):
            await store.tasks.get(ME, accepted.task.id, "another")
        assert (await store.tasks.get(ME, accepted.task.id, "helper")).agent == "helper"

    @pytest.mark.parametrize(("table", "column"), [("tasks", "metadata"), ("tasks", "message"), ("artifacts", "body")])
    async def test_a_damaged_row_is_named(self, store: Store, table: str, column: str) -> None:
        accepted = await begin(store, metadata={"k": 1})
        said_last = ClientMessage("m", Message("assistant", (Text("sorry"),)))
        assert await store.tasks.record(replace(done(accepted), status=Status(TaskState.FAILED, NOW, said_last)))
        await store.database.write(lambda con: con.execute(f"UPDATE {table} SET {column} = '[}}'"))
        with pytest.raises(StoreError, match=rf"row \d+ of table {table} is damaged"):
            await store.tasks.get(ME, accepted.task.id)


async def ask_again(store: Store, record: Record, text: str) -> Record:
    """Another question in the same task."""
    event = answer("", control=InputRequired("call-2", text))
    asked = question(event.id, InputRequired("call-2", text), context_id="c", task_id=record.task_id)
    again = replace(record, events=(event,), status=Status(TaskState.INPUT_REQUIRED, NOW, asked))
    assert await store.tasks.record(again)
    return again
