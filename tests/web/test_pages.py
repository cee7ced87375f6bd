"""Cards, the list of agents, health."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hector import __version__
from hector.apps.build import build
from hector.config.root import HectorConfig
from hector.tools.catalog import Catalog
from tests.a2a.samples import strict
from tests.web.live import Live, helper, live

CARD = "/.well-known/agent-card.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    config = helper({"text": "hi"}, visibility="private")
    config["agents"] |= {"first": {"name": "The First"}, "second": {"visibility": "public"}}
    config["llms"]["default"] |= {"provider": "scripted"}
    config["server"] = {"allowed_hosts": ["agents.example.com"]}
    with live(config, tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.mark.a2a("CARD-DISC-001", "CARD-STRUCT-001")
@pytest.mark.proves("a2a.cards", "web.agents")
def test_agents_and_their_cards(server: Live) -> None:
    listing = server.client.get("/agents").json()
    assert ([card["name"] for card in listing["agents"]], listing["total"]) == (["The First", "second"], 2)
    for agent, card in zip(("first", "second"), listing["agents"], strict=True):
        strict(card, "AgentCard")
        assert server.client.get(f"/agents/{agent}").json() == card
        assert server.client.get(f"/agents/{agent}{CARD}").json() == card
        assert card["supportedInterfaces"][0]["url"] == f"{server.url}/agents/{agent}"
    assert server.client.get(CARD).json() == listing["agents"][0]
    assert server.client.get("/agents/helper").status_code == 404
    assert server.client.get(f"/agents/helper{CARD}").status_code == 404


@pytest.mark.proves("a2a.v03", "a2a.cards")
def test_the_old_card_has_a_path_of_its_own(server: Live) -> None:
    card = server.client.get("/.well-known/agent.json").json()
    assert (card["protocolVersion"], card["url"]) == ("0.3.0", f"{server.url}/agents/first")
    assert "url" not in server.client.get(CARD).json()


@pytest.mark.a2a("CARD-CACHE-001", "CARD-CACHE-002", "CARD-CACHE-003")
@pytest.mark.proves("a2a.cards")
def test_cards_are_cached(server: Live) -> None:
    first = server.client.get(CARD)
    assert first.headers["content-type"] == "application/json"
    assert "max-age=" in first.headers["cache-control"]
    assert first.headers["last-modified"].endswith(" GMT")
    for condition in (
        {"If-None-Match": first.headers["etag"]},
        {"If-Modified-Since": first.headers["last-modified"]},
    ):
        again = server.client.get(CARD, headers=condition)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert server.client.get(CARD, headers={"If-None-Match": '"other"'}).status_code == 200
    head = server.client.head(CARD)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("agents.example.com", "http://agents.example.com"),
        ("[::1]:99", "http://[::1]:99"),
        ("localhost/path?x=", None),
    ],
)
def test_the_address_follows_the_host_header_if_it_is_one(server: Live, host: str, expected: str | None) -> None:
    card = server.client.get(CARD, headers={"Host": host}).json()
    assert card["supportedInterfaces"][0]["url"] == f"{expected or server.url}/agents/first"


@pytest.mark.parametrize("host", ["evil.example/path?x=", "a b", "x" * 300])
def test_a_host_header_that_is_none_leads_nowhere(server: Live, host: str) -> None:
    assert server.client.get(CARD, headers={"Host": host}).status_code == 403


def test_a_public_url_wins(folder: Path) -> None:
    config = {**helper({"text": "hi"}), "server": {"public_url": "https://agents.example.com/hector/"}}
    with live(config, folder) as server:
        card = server.client.get(CARD).json()
        page = server.client.get("/agents", headers={"Origin": "https://agents.example.com"})
    assert card["supportedInterfaces"][0]["url"] == "https://agents.example.com/hector/agents/helper"
    assert page.status_code == 200


def test_a_new_configuration_changes_the_card_at_once(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        old = server.client.get(CARD)
        config = HectorConfig.model_validate(helper({"text": "hi"}, description="Changed."))

        async def swap() -> None:
            server.apps.swap(build(config, Catalog(())))

        server.call(swap)
        new = server.client.get(CARD, headers={"If-None-Match": old.headers["etag"]})
    assert (new.status_code, new.json()["description"]) == (200, "Changed.")


@pytest.mark.proves("web.health")
def test_health_says_little(server: Live) -> None:
    assert server.client.get("/health").json() == {
        "status": "ok",
        "version": __version__,
        "agents": 2,
        "tasks": {"running": 0},
        "auth": {"enabled": False, "admin": True},
    }
    assert server.client.get("/livez").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ready"}
    assert server.client.get("/livez").headers["cache-control"] == "no-store"


@pytest.mark.proves("web.health")
def test_readiness_follows_the_store(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get("/readyz").status_code == 200
        server.call(server.store.aclose)
        away = server.client.get("/readyz")
        assert (away.status_code, away.json()["status"]) == (503, "unavailable")
        assert str(folder) not in away.text
        assert server.client.get("/livez").status_code == 200
        answer = server.client.post(
            "/message:send", json={"message": {"messageId": "m", "role": 1, "parts": [{"text": "x"}]}}
        )
        assert answer.status_code in (500, 503)
        assert str(folder) not in answer.text
        server.client.get("/readyz")
    ours = [(record.message, vars(record)["error"]) for record in caplog.records if record.name == "hector.web"]
    closed = "the database is closed: this process is shutting down"
    assert ours == [("not ready", closed), ("request failed", closed)]


MOVED = "database hector.db: the file was moved or deleted while Hector ran: stop it and put it back"


@pytest.mark.proves("web.health")
def test_being_ready_again_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hector.web")
    database, aside = folder / "hector.db", folder / "aside.db"
    with live(helper({"text": "hi"}), folder) as server:
        database.rename(aside)
        for _ in range(2):
            reply = server.client.get("/readyz")
            assert (reply.status_code, reply.json()["reason"]) == (503, MOVED)
        aside.rename(database)
        assert server.client.get("/readyz").status_code == 200
    away, back = (record for record in caplog.records if record.name == "hector.web")
    assert (away.message, back.message) == ("not ready", "ready again")
    assert f"{database}: the file was moved or deleted" in vars(away)["error"]


@pytest.mark.proves("web.schema")
def test_the_schema(server: Live) -> None:
    schema = server.client.get("/schema").json()
    assert schema["properties"]["agents"]


def test_the_front_page_is_for_programs(server: Live) -> None:
    index = server.client.get("/").json()
    assert (index["name"], index["version"]) == ("hector", __version__)


def test_an_unknown_protocol_is_turned_away(server: Live) -> None:
    answer = httpx.get(f"{server.url}/agents", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert answer.status_code < 500
