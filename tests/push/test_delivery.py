"""One update on its way to one receiver."""

from dataclasses import replace
from typing import Any

import pytest
from a2a.compat.v0_3 import types

from hector.config.push import PushNotifications
from hector.core.job import Job
from hector.core.push import PushConfig
from hector.store import Store
from hector.tasks.outcome import Dead, Done, Outcome, Retry
from hector.tasks.push import PushDelivery, verdict
from tests.a2a.samples import strict
from tests.push.receiver import Receiver
from tests.store.turns import ME, OWNER, answer, done, request

pytestmark = pytest.mark.proves("push.delivery")

OPEN = PushNotifications(allow_private=True)
LATER = 4_000_000_000.0


async def accept(store: Store, url: str, **config: Any) -> str:
    """A task that has ended, with a receiver; its id."""
    accepted = await store.tasks.accept(replace(request(), push=PushConfig("c", url, **config)))
    await store.tasks.record(done(accepted, answer("done")))
    return accepted.task.id


async def next_job(store: Store) -> Job:
    (job,) = [job for job in await store.jobs.claim(OWNER, 10, LATER) if job.kind == "push"]
    return job


async def deliver_all(store: Store, delivery: PushDelivery, count: int = 3) -> list[Outcome]:
    found: list[Outcome] = []
    for _ in range(count):
        job = await next_job(store)
        found.append(await delivery(job))
        await store.jobs.finish(job.claim)
    return found


async def test_what_arrives(store: Store, receiver: Receiver) -> None:
    task = await accept(store, receiver.url, token="t-1", scheme="Bearer", credentials="secret")
    assert await deliver_all(store, PushDelivery(store, OPEN)) == [Done(), Done(), Done()]
    first, artifact, last = receiver.got
    assert first.path == "/notify?k=v"
    assert first.headers["content-type"] == "application/a2a+json"
    assert first.headers["authorization"] == "Bearer secret"
    assert first.headers["x-a2a-notification-token"] == "t-1"
    assert first.headers["a2a-version"] == "1.0"
    kinds = [strict(one.body, "StreamResponse").WhichOneof("payload") for one in receiver.got]
    assert kinds == ["status_update", "artifact_update", "status_update"]
    assert (first.state, last.state) == ("WORKING", "COMPLETED")
    assert last.body["statusUpdate"]["taskId"] == task
    assert last.body["statusUpdate"]["contextId"] == "c"
    assert artifact.body["artifactUpdate"]["artifact"]["parts"] == [{"text": "done"}]
    assert len({one.id for one in receiver.got}) == 3


async def test_a_receiver_of_0_3_is_sent_the_task(store: Store, receiver: Receiver) -> None:
    task = await accept(store, receiver.url, token="t-1", version="0.3")
    assert await deliver_all(store, PushDelivery(store, OPEN)) == [Done(), Done(), Done()]
    read = [types.Task.model_validate(one.body) for one in receiver.got]
    assert {one.id for one in read} == {task}
    assert [one.status.state.value for one in read] == ["working", "working", "completed"]
    assert read[-1].artifacts
    assert receiver.got[0].headers["content-type"] == "application/json"
    assert "authorization" not in receiver.got[0].headers


async def test_a_scheme_without_credentials_makes_no_header(store: Store, receiver: Receiver) -> None:
    await accept(store, receiver.url, scheme="Bearer")
    await PushDelivery(store, OPEN)(await next_job(store))
    assert "authorization" not in receiver.got[0].headers


async def test_a_repetition_has_the_same_id(store: Store, receiver: Receiver) -> None:
    await accept(store, receiver.url)
    receiver.answer = lambda number: 200 if number else 503
    receiver.extra = {"retry-after": "3"}
    delivery = PushDelivery(store, OPEN)
    job = await next_job(store)
    assert await delivery(job) == Retry("the receiver answered 503 Service Unavailable", 3.0)
    await store.jobs.retry(job.claim, 0, "x")
    assert await delivery(await next_job(store)) == Done()
    first, second = receiver.got
    assert (first.id, first.body) == (second.id, second.body)


async def test_a_receiver_that_is_away_or_gone(store: Store, receiver: Receiver) -> None:
    task = await accept(store, "http://127.0.0.1:9/secret-path")
    delivery = PushDelivery(store, OPEN)
    job = await next_job(store)
    assert await delivery(job) == Retry("cannot connect to http://127.0.0.1:9: connection refused")
    await store.push.delete(ME, "helper", task, "c")
    assert await delivery(job) == Done(), "nobody wants it any more"
    assert receiver.got == []


async def test_a_forbidden_address_is_refused_at_the_latest_here(store: Store) -> None:
    async def rebound(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    await accept(store, "https://hooks.example.com/secret-path", token="secret-token")
    outcome = await PushDelivery(store, OPEN, resolve=rebound)(await next_job(store))
    assert isinstance(outcome, Dead)
    assert outcome.cause.startswith("requests to hooks.example.com (169.254.169.254) are never sent")


async def test_switched_off_nothing_is_sent(store: Store, receiver: Receiver) -> None:
    await accept(store, receiver.url)
    outcome = await PushDelivery(store, PushNotifications(enabled=False))(await next_job(store))
    assert outcome == Dead("push notifications are switched off (server.push_notifications.enabled)")
    assert receiver.got == []


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 299), Done),
        ((404, 408, 409, 421, 423, 425, 429, 500, 502, 503, 504, 529, 599, 100), Retry),
        ((400, 401, 403, 405, 410, 413, 415, 422, 451, 301, 302, 304, 307, 308), Dead),
    ],
)
def test_what_an_answer_means(statuses: tuple[int, ...], kind: type) -> None:
    for status in statuses:
        assert isinstance(verdict(status), kind), status
    assert verdict(302) == Dead(
        "the receiver answered 302 Found: redirects are not followed; give the address that it leads to"
    )
    assert verdict(599) == Retry("the receiver answered 599")
