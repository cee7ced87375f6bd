"""Which error a provider's failure becomes, as a table."""

import json
from typing import Any

import pytest

from hector.core.errors import (
    AccountSpent,
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
)
from hector.models.faults import BODY_LIMIT, Fault, read_fault, rejected_parameter, reported, to_error

WHO = "llm 'main' (some-model at api.test)"


def error(status: int, body: Any, headers: dict[str, str] | None = None) -> ModelError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return to_error(WHO, read_fault(status, headers or {}, raw))


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 16384 > 200000, decrease input length",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        "Please reduce the length of the messages or completion.",
        "the input length exceeds the context length",
    ],
)
def test_overflow_in_every_providers_words(message: str) -> None:
    assert type(error(400, {"error": {"message": message}})) is ContextOverflow
    assert type(reported(WHO, {"error": {"message": message}})) is ContextOverflow


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("field", [{"code": "context_length_exceeded"}, {"type": "exceed_context_size_error"}])
def test_overflow_by_its_code(field: dict[str, str]) -> None:
    assert type(error(400, {"error": {"message": "no", **field}})) is ContextOverflow


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"type": "authentication_error", "message": "invalid x-api-key"}}, ModelAuthError),
        (403, {"error": {"message": "not yours"}}, ModelAuthError),
        (400, {"error": {"message": "API key not valid. Please pass a valid API key."}}, ModelAuthError),
        (400, {"error": {"message": "temperature: out of range"}}, ModelRejected),
        (402, {"error": {"type": "billing_error", "message": "pay"}}, AccountSpent),
        (404, {"error": "model 'x' not found"}, ModelRejected),
        (429, {"error": {"message": "slow down"}}, ModelUnavailable),
        (429, {"error": {"message": "over the context size of tokens per minute"}}, ModelUnavailable),
        (429, {"error": {"code": "insufficient_quota", "message": "no credit"}}, AccountSpent),
        (429, {"error": {"message": "n", "details": {"error_code": "enforced_spend_limit_reached"}}}, AccountSpent),
        (500, {"error": {"message": "oops"}}, ModelUnavailable),
        (529, {"error": {"type": "overloaded_error", "message": "busy"}}, ModelUnavailable),
        (302, b"", ModelRejected),
    ],
)
def test_classes(status: int, body: Any, kind: type[ModelError]) -> None:
    found = error(status, body)
    assert type(found) is kind
    assert found.status == status


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(("wish", "kind"), [("true", ModelUnavailable), ("false", ModelRejected)])
def test_the_servers_own_wish_decides(wish: str, kind: type[ModelError]) -> None:
    assert type(error(418, {}, {"x-should-retry": wish})) is kind
    assert type(error(500, {}, {"x-should-retry": wish})) is kind


@pytest.mark.parametrize(
    ("value", "kind", "status"),
    [
        ({"error": {"type": "overloaded_error", "message": "busy"}}, ModelUnavailable, None),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}, ModelUnavailable, 503),
        ({"error": {"code": "server_error", "message": "oops"}}, ModelUnavailable, None),
        ({"error": {"type": "invalid_request_error", "message": "no"}}, ModelRejected, None),
        ({"error": {"code": "invalid_prompt", "message": "no"}}, ModelRejected, None),
        ({"error": {"type": "authentication_error", "message": "no"}}, ModelAuthError, None),
        ({"error": "the runner has died"}, ModelUnavailable, None),
        ({}, ModelUnavailable, None),
    ],
)
@pytest.mark.proves("models.faults")
def test_errors_inside_streams(value: Any, kind: type[ModelError], status: int | None) -> None:
    found = reported(WHO, value)
    assert (type(found), found.status) == (kind, status)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'[{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]',
            "RESOURCE_EXHAUSTED: quota",
        ),
        (b'{"message": "bare"}', "bare"),
        (b'"just a string"', "just a string"),
        (b"<html><head><style>x{}</style></head><body><h1>Bad&nbsp;Gateway</h1></body></html>", "Bad&nbsp;Gateway"),
        (b"", "no details given"),
        (b"\xff\xfe\x00", "HTTP 429"),
        (b'{"error": {"message": {"nested": 1}}}', "nested"),
        (b'{"error": null}', "HTTP 429"),
    ],
)
@pytest.mark.proves("models.faults")
def test_bodies_of_any_kind(body: bytes, text: str) -> None:
    found = error(429, body)
    assert text in str(found)
    assert str(found).startswith(f"{WHO}: HTTP 429")


def test_long_bodies_are_cut() -> None:
    assert len(str(error(400, {"error": {"message": "x" * 100_000}}))) < BODY_LIMIT + 300
    assert len(str(error(400, b"x" * 100_000))) < BODY_LIMIT + 300


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_wait_is_carried_along(headers: dict[str, str], seconds: float | None) -> None:
    assert error(429, {}, headers).retry_after == seconds


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("temperature: Extra inputs are not permitted", "temperature"),
        ("Unsupported parameter: 'MAX_TOKENS' is not supported; use 'max_completion_tokens'", "max_tokens"),
        ("unknown field max_tokens_to_sample", None),
        ("thinking.budget_tokens: too small, unlike temperature", "deep"),
        ("thinking is off", "thinking"),
        ("something else", None),
    ],
)
@pytest.mark.proves("models.strip-and-retry")
def test_which_parameter_a_refusal_names(text: str, name: str | None) -> None:
    words = {
        "temperature": "temperature",
        "max_tokens": "max_tokens",
        "thinking": "thinking",
        "thinking.budget_tokens": "deep",
    }
    assert rejected_parameter(text, words) == name


def test_the_text_says_who_what_and_what_to_do() -> None:
    found = to_error(WHO, Fault("no such model", status=404, kind="not_found_error"))
    assert str(found) == f"{WHO}: HTTP 404 not_found_error: no such model (check `model` and `base_url` of this llm)"


def test_the_providers_own_number_of_the_request_is_named() -> None:
    assert str(error(500, {"error": {"message": "oops"}}, {"request-id": "req_7"})).endswith("oops (request req_7)")
