"""Push notification configs in the store, and the deliveries that changes of a task add."""

from dataclasses import replace

import pytest

from hector.core.errors import InvalidRequest, NotFound
from hector.core.job import Job, JobState
from hector.core.push import PushConfig
from hector.core.task import Caller, Status, TaskState
from hector.store import Store
from hector.store.push import MOST_CONFIGS, notice_of
from tests.store.turns import ME, NOW, OWNER, answer, begin, done, request, step

CONFIG = PushConfig("c", "https://hooks.example.com/x", "token", "Bearer", "secret", "1.0")
AGENT = "helper"
LATER = 4_000_000_000.0


async def waiting(store: Store, limit: int = 100) -> list[Job]:
    """What could be delivered now: of each receiver the first one."""
    return [job for job in await store.jobs.claim(OWNER, limit, LATER) if job.kind == "push"]


async def delivered(store: Store) -> list[tuple[str, str]]:
    """Everything that is to be delivered, in order: which receiver, and the state or the artifact."""
    found: list[tuple[str, str]] = []
    while jobs := await waiting(store):
        for job in jobs:
            notice = notice_of(job.payload)
            news = notice.artifact_id or notice.status.state.value
            found.append((notice.config_id, news))
            await store.jobs.finish(job.claim)
    return found


async def test_what_was_put_is_there(store: Store) -> None:
    task = (await begin(store)).task.id
    assert await store.push.put(ME, AGENT, task, CONFIG) == CONFIG
    assert await store.push.get(ME, AGENT, task, "c") == CONFIG
    bare = PushConfig("d", "https://hooks.example.com/y")
    await store.push.put(ME, AGENT, task, bare)
    assert (await store.push.page(ME, AGENT, task)).configs == (CONFIG, bare)
    assert await store.push.get(ME, AGENT, task, None) == CONFIG, "the first one that was made"


async def test_the_same_id_replaces(store: Store) -> None:
    task = (await begin(store)).task.id
    await store.push.put(ME, AGENT, task, CONFIG)
    other = PushConfig("c", "https://elsewhere.example.com", version="0.3")
    await store.push.put(ME, AGENT, task, other)
    assert (await store.push.page(ME, AGENT, task)).configs == (other,)


async def test_without_an_id_it_has_the_tasks(store: Store) -> None:
    task = (await begin(store)).task.id
    await store.push.put(ME, AGENT, task, PushConfig("", "https://a.example.com", version="0.3"))
    made = await store.push.put(ME, AGENT, task, PushConfig("", "https://b.example.com", version="0.3"))
    assert (made.id, made.url) == (task, "https://b.example.com")
    assert await store.push.get(ME, AGENT, task, None) == made
    await store.push.delete(ME, AGENT, task, None)
    assert (await store.push.page(ME, AGENT, task)).configs == ()


async def test_pages(store: Store) -> None:
    task = (await begin(store)).task.id
    for name in "edcba":
        await store.push.put(ME, AGENT, task, replace(CONFIG, id=name))
    seen, token = "", None
    for size in (2, 2, 1):
        page = await store.push.page(ME, AGENT, task, 2, token)
        assert len(page.configs) == size
        seen, token = seen + "".join(one.id for one in page.configs), page.next_token
    assert (seen, token) == ("abcde", "")
    with pytest.raises(InvalidRequest, match="pageToken is not a token"):
        await store.push.page(ME, AGENT, task, 2, "\u00e4")


async def test_there_is_a_limit(store: Store) -> None:
    task = (await begin(store)).task.id
    for number in range(MOST_CONFIGS):
        await store.push.put(ME, AGENT, task, replace(CONFIG, id=str(number)))
    with pytest.raises(InvalidRequest, match=f"at most {MOST_CONFIGS}"):
        await store.push.put(ME, AGENT, task, CONFIG)
    await store.push.put(ME, AGENT, task, replace(CONFIG, id="0"))
    assert len((await store.push.page(ME, AGENT, task)).configs) == MOST_CONFIGS


async def test_nobody_else_can_reach_them(store: Store) -> None:
    task = (await begin(store)).task.id
    await store.push.put(ME, AGENT, task, CONFIG)
    for caller, agent, name in (
        (Caller("app", "you"), AGENT, task),
        (Caller("other", "me"), AGENT, task),
        (ME, "another", task),
        (ME, AGENT, "nobody"),
    ):
        for call in (
            store.push.put(caller, agent, name, CONFIG),
            store.push.get(caller, agent, name, "c"),
            store.push.page(caller, agent, name),
            store.push.delete(caller, agent, name, "c"),
        ):
            with pytest.raises(NotFound, match="task"):
                await call
    with pytest.raises(NotFound, match="push notification config 'x'"):
        await store.push.get(ME, AGENT, task, "x")
    assert await store.push.receiver(Caller("app", "you"), task, "c") is None
    assert await store.push.receiver(ME, task, "c") == CONFIG


@pytest.mark.proves("push.delivery")
async def test_every_update_adds_a_delivery_for_each_receiver_in_its_transaction(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.push.put(ME, AGENT, accepted.task.id, replace(CONFIG, id="d"))
    await store.tasks.record(step(accepted, answer("thinking")))
    await store.tasks.record(done(accepted, answer("done")))
    assert not await store.tasks.record(done(accepted)), "ended once"
    found = await delivered(store)
    assert [news for name, news in found if name == "c"] == ["working", "answer-1", "completed"]
    assert [news for name, news in found if name == "d"] == ["answer-1", "completed"]


@pytest.mark.proves("push.delivery")
async def test_deliveries_to_one_receiver_wait_for_each_other(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.tasks.record(done(accepted))
    (first,) = await waiting(store)
    assert await waiting(store) == []
    await store.jobs.retry(first.claim, NOW, "the receiver answered 503")
    (again,) = await waiting(store)
    assert (again.claim.key, again.attempts) == (first.claim.key, 2)


async def test_a_task_without_receivers_adds_none(store: Store) -> None:
    accepted = await begin(store)
    await store.push.put(ME, AGENT, accepted.task.id, CONFIG)
    await store.push.delete(ME, AGENT, accepted.task.id, "c")
    await store.push.delete(ME, AGENT, accepted.task.id, "c")
    await store.tasks.record(done(accepted))
    assert await delivered(store) == []


async def test_questions_answers_and_cancellation(store: Store) -> None:
    accepted = await begin(store)
    task = accepted.task
    await store.push.put(ME, AGENT, task.id, CONFIG)
    asked = Status(TaskState.INPUT_REQUIRED, NOW)
    await store.tasks.record(step(accepted, answer("?"), status=asked, claim=accepted.claim))
    resumed = replace(request(task=task.id, resume=True), push=replace(CONFIG, id="d"))
    await store.tasks.accept(resumed)
    assert await store.tasks.cancel(ME, task.id, NOW)
    found = await delivered(store)
    assert [news for name, news in found if name == "c"] == ["input-required", "working", "canceled"]
    assert [news for name, news in found if name == "d"] == ["working", "canceled"]


async def test_a_task_that_is_given_another_chance(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    failed = Status(TaskState.FAILED, NOW)
    await store.tasks.record(step(accepted, status=failed, claim=accepted.claim, dead="the model is away"))
    (letter,) = await store.queue.dead()
    await store.queue.requeue(letter.key)
    assert [news for _, news in await delivered(store)] == ["working", "failed", "working"]


async def test_deleting_a_config_drops_what_waits_for_it(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.push.put(ME, AGENT, accepted.task.id, replace(CONFIG, id="d"))
    await store.tasks.record(done(accepted))
    before = await store.queue.statistics()
    await store.push.delete(ME, AGENT, accepted.task.id, "c")
    after = await store.queue.statistics()
    assert (before.canceled, after.canceled) == (0, 3)
    assert [name for name, _ in await delivered(store)] == ["d", "d"]


async def test_a_new_address_is_tried_at_once(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    (first,) = await waiting(store)
    await store.jobs.retry(first.claim, LATER + 100, "the receiver answered 503")
    assert await waiting(store) == []
    await store.push.put(ME, AGENT, accepted.task.id, replace(CONFIG, url="https://new.example.com"))
    assert len(await waiting(store)) == 1


async def test_they_go_with_their_task_and_their_session(store: Store) -> None:
    direct = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.tasks.record(step(direct, answer("hi"), discard=True))
    assert await store.push.receiver(ME, direct.task.id, "c") is None
    kept = await store.tasks.accept(replace(request(context="other"), push=CONFIG))
    assert await store.sessions.delete(ME, "other")
    assert await store.push.receiver(ME, kept.task.id, "c") is None


async def test_an_artifact_is_stored_once_and_nobody_elses(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.tasks.record(done(accepted))
    task = accepted.task.id
    found = await store.push.artifact(ME, task, "answer-1")
    assert found is not None
    assert found.name == "response"
    assert await store.push.artifact(Caller("app", "you"), task, "answer-1") is None
    assert await store.push.artifact(ME, task, "other") is None


async def test_secrets_are_in_no_job(store: Store) -> None:
    accepted = await store.tasks.accept(replace(request(), push=CONFIG))
    await store.tasks.record(done(accepted))
    while jobs := await waiting(store):
        for job in jobs:
            assert not any(secret in str(job) for secret in ("token", "secret", "hooks.example.com"))
            await store.jobs.finish(job.claim, JobState.DEAD, "refused")
    for letter in await store.queue.dead():
        assert not any(secret in str(letter) for secret in ("secret", "hooks.example.com"))
