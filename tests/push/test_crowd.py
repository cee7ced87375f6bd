"""Many receivers that hang or are away: the others go on getting their updates, and nothing is given up early."""

import random
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hector.config.push import PushNotifications
from hector.config.server import Queue, Server
from hector.tasks.backoff import Again, Tries, after_failure
from hector.tasks.handlers import terms_of
from tests.push.receiver import PATIENCE, Receiver, receiving
from tests.web.live import Live, helper, live, user

pytestmark = pytest.mark.proves("push.crowd")

OPEN = {"push_notifications": {"allow": ["127.0.0.1"]}}
SECONDS = 2.0
"""How long a healthy receiver may have to wait for all that there is to tell of a task."""
HANGING = 150


@contextmanager
def deaf() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def told(server: Live, url: str) -> None:
    """Have a task done whose updates go to `url`."""
    params = {"message": user(), "configuration": {"taskPushNotificationConfig": {"url": url}}}
    assert "result" in server.rpc("SendMessage", params).json()


@pytest.mark.timeout(120)
def test_a_healthy_receiver_gets_its_updates_beside_150_that_hang(folder: Path) -> None:
    with live({**helper({"text": "Hello"}), "server": OPEN}, folder) as server, deaf() as hung:
        for _ in range(HANGING):
            told(server, hung)
        end = time.monotonic() + PATIENCE
        while server.tasks.running < 100:
            assert time.monotonic() < end, "the receivers do not fill the places"
            time.sleep(0.01)
        waits: list[float] = []
        end = time.monotonic() + 4 * SECONDS
        while time.monotonic() < end:  # those that hang come back again and again
            with receiving() as healthy:
                began = time.monotonic()
                told(server, healthy.url)
                healthy.ended()
                waits.append(time.monotonic() - began)
        assert statistics.median(waits) < SECONDS, waits


@pytest.mark.timeout(60)
def test_one_place_goes_round_among_those_that_hang(folder: Path) -> None:
    settings = {**OPEN, "queue": {"workers": 2}}
    with live({**helper({"text": "Hello"}), "server": settings}, folder) as server, deaf() as hung:
        for _ in range(2):
            told(server, hung)
        with receiving() as healthy:
            told(server, healthy.url)
            assert len(healthy.ended(seconds=20)) == 3


def test_where_nobody_waits_a_slow_receiver_has_its_time(folder: Path) -> None:
    def slow(_: int) -> int:
        time.sleep(1.5)  # longer than it would be given if others waited
        return 200

    with live({**helper({"text": "Hello"}), "server": OPEN}, folder) as server, receiving() as receiver:
        receiver.answer = slow
        told(server, receiver.url)
        receiver.ended()
        assert len({one.id for one in receiver.got}) == len(receiver.got) == 3


def given_up_after(settings: PushNotifications, chance: Any) -> float:
    """Seconds until the last attempt at a receiver that refuses every one."""
    schedule = terms_of("push", Server(push_notifications=settings)).schedule
    waited, made = 0.0, 1
    while isinstance(found := after_failure(schedule, Tries(made, settings.max_retries + 1), "away", chance), Again):
        waited, made = waited + found.delay, made + 1
    return waited


def test_a_receiver_may_be_away_for_half_an_hour() -> None:
    settings = PushNotifications()
    assert given_up_after(settings, lambda: 0.0) > 30 * 60
    assert given_up_after(settings, lambda: 1.0) < 75 * 60
    drawn = random.Random(7)
    assert 30 * 60 < given_up_after(settings, drawn.random) < 75 * 60


def test_deliveries_have_a_schedule_of_their_own() -> None:
    settings = Server(queue=Queue(max_delay=5.0), push_notifications=PushNotifications(max_delay=60.0))
    assert terms_of("push", settings).schedule.longest == 60.0
    assert terms_of("expire", settings).schedule.longest == 5.0
    assert terms_of("expire", settings).patience is None


@pytest.mark.timeout(60)
def test_what_a_receiver_missed_is_no_dead_letter_after_many_refusals(folder: Path, receiver: Receiver) -> None:
    """Ten refusals in a row, more than runs are given, and all is delivered in the end."""
    quick = {"push_notifications": {**OPEN["push_notifications"], "initial_delay": "1ms", "max_delay": "10ms"}}
    receiver.answer = lambda number: 503 if number < 10 else 200
    with live({**helper({"text": "Hello"}), "server": quick}, folder) as server:
        told(server, receiver.url)
        receiver.ended()

        async def dead() -> object:
            return await server.store.database.read(lambda con: con.all("SELECT key FROM jobs WHERE state = 'dead'"))

        assert server.call(dead) == []
