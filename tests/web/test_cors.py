"""Pages of other sites: which may use the server, and what browsers are told about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hector.config.findings import InvalidConfig
from hector.config.load import parse_config
from tests.web.live import Live, helper, live, user

FRIEND = "https://app.example.com"
STRANGER = "https://evil.example.com"


def server(folder: Path, cors: dict[str, Any] | None) -> Iterator[Live]:
    config = {**helper({"text": "hello"}), "server": {"cors": cors} if cors else {}}
    with live(config, folder) as running:
        yield running


@pytest.fixture
def friendly(tmp_path: Path) -> Iterator[Live]:
    """Lets in one origin."""
    yield from server(tmp_path, {"allowed_origins": [FRIEND]})


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Live]:
    """Says nothing of other origins."""
    yield from server(tmp_path, None)


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Live]:
    """Lets in every page."""
    yield from server(tmp_path, {"allowed_origins": "*"})


def preflight(running: Live, origin: str, **headers: str) -> Any:
    """What a browser asks before it sends JSON across sites."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, a2a-version, authorization",
    }
    return running.client.options("/agents/helper", headers=asked | headers)


def send(running: Live, origin: str) -> Any:
    return running.client.post("/agents/helper/message:send", json={"message": user()}, headers={"Origin": origin})


@pytest.mark.proves("ops.cors")
def test_a_listed_origin_is_let_in(friendly: Live) -> None:
    asked = preflight(friendly, FRIEND)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == FRIEND
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in asked.headers
    answer = send(friendly, FRIEND)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


@pytest.mark.proves("ops.cors")
def test_what_a_listed_origin_gets_wrong_is_readable_for_it(friendly: Live) -> None:
    answer = friendly.client.get("/agents/nobody", headers={"Origin": FRIEND})
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == FRIEND


@pytest.mark.proves("ops.cors")
@pytest.mark.parametrize("origin", [STRANGER, "null", f"{FRIEND}.evil.com", f"{FRIEND}:444", "http://app.example.com"])
def test_other_origins_are_kept_out(friendly: Live, origin: str) -> None:
    assert preflight(friendly, origin).status_code == 400
    assert "access-control-allow-origin" not in preflight(friendly, origin).headers
    assert send(friendly, origin).status_code == 403


@pytest.mark.proves("ops.cors")
def test_without_the_block_only_our_own_pages_are_let_in(closed: Live) -> None:
    assert "access-control-allow-origin" not in preflight(closed, FRIEND).headers
    assert send(closed, FRIEND).status_code == 403
    assert send(closed, closed.url).status_code == 200


@pytest.mark.proves("ops.cors")
def test_the_star_lets_in_every_page_but_no_credentials_of_browsers(public: Live) -> None:
    answer = send(public, STRANGER)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.proves("ops.cors")
def test_what_pages_may_do_is_the_operators(tmp_path: Path) -> None:
    cors = {
        "allowed_origins": [FRIEND],
        "allowed_methods": "get, post",
        "allowed_headers": ["Content-Type", "X-Own"],
        "allow_credentials": True,
        "max_age": "2m",
    }
    for running in server(tmp_path, cors):
        asked = preflight(running, FRIEND, **{"Access-Control-Request-Headers": "x-own, content-type"})
        assert asked.status_code == 200
        assert asked.headers["access-control-max-age"] == "120"
        assert asked.headers["access-control-allow-methods"] == "GET, POST"
        assert "X-Own" in asked.headers["access-control-allow-headers"]
        assert asked.headers["access-control-allow-credentials"] == "true"
        for beyond in (
            {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": ""},
            {"Access-Control-Request-Headers": "authorization"},
        ):
            assert preflight(running, FRIEND, **beyond).status_code == 400


@pytest.mark.proves("ops.cors")
@pytest.mark.parametrize(
    ("cors", "words"),
    [
        ({"allowed_origins": ["app.example.com"]}, "no origin"),
        ({"allowed_origins": ["https://app.example.com/"]}, "no origin"),
        ({"allowed_origins": ["https://u:p@app.example.com"]}, "no origin"),
        ({"allowed_origins": ["*"], "allow_credentials": True}, "origins by name"),
    ],
)
def test_what_is_no_origin_is_refused(cors: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(str({"server": {"cors": cors}}))
    assert words in str(caught.value)
