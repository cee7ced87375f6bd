"""The retry policy as a table."""

import json

import pytest

from hector.net.retry import Failure, GiveUp, Retry, RetryPolicy, retry_after, retry_info

POLICY = RetryPolicy(max_attempts=4, initial_delay=1.0, max_delay=5.0, patience=60.0)
RETRY_INFO = {"error": {"code": 429, "details": [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}}  # fmt: skip  # noqa: E501


def decide(failure: Failure, attempt: int = 1, chance: float = 0.0) -> Retry | GiveUp:
    return POLICY.decide(failure, attempt, chance=lambda: chance)


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 529])
def test_what_passes_is_tried_again(status: int) -> None:
    assert decide(Failure(status=status)) == Retry(0.75)


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 418, 422])
def test_what_does_not_pass_is_reported(status: int) -> None:
    assert isinstance(decide(Failure(status=status)), GiveUp)


@pytest.mark.proves("models.retry")
def test_no_answer_is_tried_again_unless_the_cause_stays() -> None:
    assert isinstance(decide(Failure()), Retry)
    assert isinstance(decide(Failure(retryable=True)), Retry)
    assert isinstance(decide(Failure(retryable=False)), GiveUp)


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(
    "failure",
    [
        Failure(status=503, visible=True),
        Failure(visible=True),
        Failure(status=429, headers={"x-should-retry": "true"}, visible=True),
        Failure(status=429, error_code="insufficient_quota"),
        Failure(status=429, error_code="enforced_spend_limit_reached", headers={"x-should-retry": "true"}),
        Failure(status=503, headers={"x-should-retry": "false"}),
        Failure(status=429, headers={"retry-after": "61"}),
        Failure(status=200, retryable=False),
    ],
)
def test_never(failure: Failure) -> None:
    assert isinstance(decide(failure), GiveUp)


@pytest.mark.proves("models.retry")
def test_the_server_may_ask_for_it() -> None:
    assert isinstance(decide(Failure(status=400, headers={"x-should-retry": "true"})), Retry)


@pytest.mark.proves("models.retry")
def test_attempts_are_counted() -> None:
    assert isinstance(decide(Failure(status=500), attempt=3), Retry)
    assert decide(Failure(status=500), attempt=4) == GiveUp("gave up after 4 tries")
    assert RetryPolicy(max_attempts=1).decide(Failure(status=500), 1) == GiveUp("gave up after 1 try")


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(
    ("attempt", "chance", "delay"), [(1, 0.0, 0.75), (1, 1.0, 1.0), (2, 1.0, 2.0), (3, 1.0, 4.0), (3, 0.0, 3.0)]
)
def test_delays_double_with_jitter(attempt: int, chance: float, delay: float) -> None:
    decision = decide(Failure(status=500), attempt, chance)
    assert isinstance(decision, Retry)
    assert decision.delay == pytest.approx(delay)


def test_delays_are_capped() -> None:
    policy = RetryPolicy(max_attempts=2000, initial_delay=1.0, max_delay=5.0)
    assert policy.decide(Failure(status=500), 900, chance=lambda: 1.0) == Retry(5.0)


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sun, 22 Nov 2026 08:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_waits_that_servers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_795_334_400.0) == seconds


@pytest.mark.proves("models.retry")
def test_a_wait_is_never_shorter_than_asked() -> None:
    assert decide(Failure(status=429, headers={"retry-after": "10"})) == Retry(10.0)
    assert decide(Failure(status=429, headers={"retry-after": "10"}), chance=1.0) == Retry(11.0)
    assert decide(Failure(status=429, asked=34.5)) == Retry(34.5)


@pytest.mark.parametrize(
    "body", [RETRY_INFO, [RETRY_INFO], json.dumps(RETRY_INFO).encode(), json.dumps([RETRY_INFO]).encode()]
)
def test_retry_info_of_google(body: object) -> None:
    assert retry_info(body) == 34.5


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"3", b'{"error": "text"}', b'{"error": {"details": [1]}}', None])
def test_bodies_without_retry_info(body: object) -> None:
    assert retry_info(body) is None
