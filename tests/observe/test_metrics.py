"""The metrics through the front door: a server with everything switched on, traffic of each kind, a scrape."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.observe.metrics_table import Metrics
from tests.observe.exposition import OPENMETRICS, Page, scrape
from tests.push.receiver import Receiver, receiving
from tests.smoke.frontdoor import FORMS, PATIENCE, Hector, Server, request
from tests.web.live import AS_ADMIN, Live, helper, live, user

SECRET = "a-secret-of-these-tests"
ADMIN = {"Authorization": f"Bearer {SECRET}"}
RULES = [
    {"user": "keep this", "turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "a.txt", "text": "x"}}]},
    {"user": "invent", "turn": 0, "tool_calls": [{"name": "tool_of_dreams", "args": {}}]},
    {"user": "ask the clerk", "turn": 0, "tool_calls": [{"name": "clerk", "args": {"request": "hello"}}]},
    {"user": "look up", "turn": 0, "tool_calls": [{"name": "search", "args": {"query": "apples"}}]},
    {"user": "remember", "turn": 0, "tool_calls": [{"name": "remember", "args": {"text": "I like apples"}}]},
    {"user": "recall", "turn": 0, "tool_calls": [{"name": "memory_search", "args": {"query": "apples"}}]},
    {"user": "refuse", "error": {"status": 400, "message": "no"}},
    {"user": "overload", "error": {"status": 529, "message": "overloaded"}},
    {"text": "done"},
]
CONFIG: dict[str, Any] = {
    "llms": {"default": {"provider": "scripted", "rules": RULES}},
    "agents": {
        "helper": {
            "instruction": "Help.",
            "tools": ["save_artifact", "remember", "memory_search", "search"],
            "agent_tools": ["clerk"],
            "document_stores": ["docs"],
        },
        "clerk": {"instruction": "Help."},
    },
    "document_stores": {"docs": {"source": {"type": "directory", "path": "papers"}, "embedder": "none"}},
    "storage": {"memory": {"turns": True}},
    "tenants": {"max_loaded": 1},
    "server": {"push_notifications": {"allow_private": True}, "auth": {"require_auth": True}},
}
SAID = ("hello", "keep this", "invent", "ask the clerk", "look up", "remember", "recall", "refuse", "overload")
LATER = {  # what no traffic of this test moves: see the tests that do
    "memory_indexed_vector", "app_unload", "rag_documents_skipped", "rag_documents_errors", "notification_retries",
    "metrics_folded",
}  # fmt: skip


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    (folder / "papers").mkdir()
    (folder / "papers" / "fruit.md").write_text("# Apples\n\nApples are red.\n", encoding="utf-8")
    (folder / "hector.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    environment = {"HECTOR_AUTH_SECRET": SECRET, "HECTOR_METRICS": "true", "HECTOR_QUEUE_MAX_RETRIES": "0"}
    hector = Hector(FORMS["source"], folder, {**os.environ, **environment})
    with hector.serve("--config", "hector.json") as made:
        yield made


def say(server: Server, text: str, headers: dict[str, str], **configuration: Any) -> httpx.Response:
    body = {"message": user(text, messageId=os.urandom(8).hex()), "configuration": configuration}
    return httpx.post(f"{server.url}/message:send", json=body, headers=headers, timeout=PATIENCE)


def until(server: Server, enough: Callable[[Page], bool], headers: dict[str, str] = ADMIN) -> Page:
    """Scrape until something has been counted that nobody waits for."""
    deadline = time.monotonic() + PATIENCE
    while not enough(found := scrape(server.url, headers)):
        assert time.monotonic() < deadline, sorted(found.names)
        time.sleep(0.1)
    return found


def create(server: Server, name: str) -> dict[str, str]:
    """The credential of another app."""
    config = json.dumps(helper({"text": f"from the {name}"}) | {"agents": {"seller": {"instruction": "Sell."}}})
    answer = request(f"{server.url}/admin/apps", {"id": name, "name": name, "config_json": config}, ADMIN)
    assert answer.status == 201, answer.body
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def shop(server: Server) -> dict[str, str]:
    return create(server, "shop")


@pytest.fixture(scope="module")
def busy(server: Server, receiver: Receiver, shop: dict[str, str]) -> Page:
    """What is counted after traffic of each kind."""
    until(server, lambda page: page.sum("hector_rag_documents_indexed_total") > 0)
    for text in SAID:
        assert say(server, text, ADMIN).status_code == 200
    push = {"url": receiver.url}
    assert say(server, "hello", ADMIN, taskPushNotificationConfig=push).status_code == 200
    receiver.ended()
    assert say(server, "hello", shop).status_code == 200
    httpx.get(f"{server.url}/no/such?token=secret", headers=ADMIN)
    return until(server, lambda page: page.sum("hector_notification_sent_total", status="delivered") > 0)


@pytest.mark.proves("cli.metrics", "metrics.names")
def test_every_name_is_served_and_moves(busy: Page) -> None:
    assert {f"hector_{one.name}" for one in Metrics().families()} <= busy.families.keys()
    still = {
        one.name
        for one in Metrics().families()
        if not busy.sum(f"hector_{one.name}" + {"counter": "_total", "histogram": "_count"}.get(one.kind, ""))
    }
    assert still <= LATER | {"agent_active_runs", "session_active"}
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
        assert busy.sum(name) > 0


@pytest.mark.proves("metrics.names")
def test_it_counts_what_happened(busy: Page) -> None:
    own = {"app": "default"}
    assert busy.sum("hector_agent_calls_total", agent_name="helper", agent_type="llm", **own) == len(SAID) + 1
    assert busy.sum("hector_agent_calls_total", agent_name="clerk") == 1
    assert busy.sum("hector_agent_errors_total", agent_name="helper", error_type="model_rejected") == 1
    assert busy.sum("hector_llm_errors_total", error_type="model_unavailable", provider="scripted") == 1
    assert busy.sum("hector_dead_letters_total", kind="run") == 1
    assert busy.sum("hector_queue_depth", status="dead", app_name="default") == 1
    assert busy.sum("hector_session_created_total", **own) == len(SAID) + 1
    assert busy.sum("hector_session_events_total", event_type="user", **own) == len(SAID) + 1
    assert busy.sum("hector_tool_calls_total", tool_name="save_artifact") == 1
    assert busy.sum("hector_tool_errors_total", tool_name="(unknown)", error_type="unknown") == 1
    assert busy.sum("hector_rag_searches_total", store_name="docs") == 1
    assert busy.sum("hector_rag_search_results_count_sum", store_name="docs") == 1
    assert busy.sum("hector_memory_searches_total") > 1  # each question is looked up there, too
    assert busy.sum("hector_memory_indexed_total", index_type="keyword") > 1
    assert busy.sum("hector_app_load_total", app="shop", status="loaded") == 1
    assert busy.sum("hector_notification_sent_total", agent_name="helper", status="delivered") > 1
    assert busy.sum("hector_http_requests_total", path="/message:send", method="POST", status="200") == len(SAID) + 2
    assert busy.sum("hector_http_requests_total", path="(none)", status="404", app="") == 1
    assert busy.sum("hector_agent_active_runs") == busy.sum("hector_session_active") == 0


@pytest.mark.proves("metrics.bounds")
def test_no_label_says_what_people_or_models_say(busy: Page) -> None:
    said = {value for _, labels, _ in busy.samples for value in labels.values()}
    assert not [value for value in said if "dream" in value or "secret" in value or "such" in value or "?" in value]
    paths = busy.values("path")
    assert {"/message:send", "/metrics", "/admin/apps", "(none)"} <= paths
    assert all("{" in path or len(path) < 40 for path in paths)


@pytest.mark.proves("metrics.tenancy")
def test_an_app_sees_its_own_series(server: Server, busy: Page, shop: dict[str, str]) -> None:
    mine = scrape(server.url, {**shop, "Accept": OPENMETRICS})
    assert mine.values("app") == {"shop"}
    assert mine.sum("hector_agent_calls_total", agent_name="seller") == 1
    assert mine.values("agent_name") == {"seller"}
    assert not [name for name in mine.names if name.startswith("process_") or "loop_lag" in name]
    assert {"shop", "default"} <= busy.values("app")


@pytest.mark.proves("tenant.lazy")
def test_of_more_apps_than_are_kept_loaded_the_idle_one_makes_room(server: Server, shop: dict[str, str]) -> None:
    assert say(server, "hello", shop).status_code == 200
    before = scrape(server.url, ADMIN).sum("hector_app_unload_total", app="shop")
    assert say(server, "hello", create(server, "bank")).status_code == 200
    assert scrape(server.url, ADMIN).sum("hector_app_unload_total", app="shop") == before + 1


@pytest.mark.proves("metrics.reload")
def test_a_reload_keeps_what_was_counted(server: Server, busy: Page, folder: Path) -> None:
    before = scrape(server.url, ADMIN)
    soon = json.dumps(CONFIG | {"tenants": {"unload_after": "1s"}})
    (folder / "hector.json").write_text(soon, encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    while "configuration reloaded" not in server.text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert say(server, "hello", ADMIN).status_code == 200
    after = scrape(server.url, ADMIN)
    for name in ("hector_agent_calls_total", "hector_llm_calls_total"):
        assert after.sum(name, app="default") == before.sum(name, app="default") + 1


@pytest.mark.proves("cli.metrics")
def test_without_the_flag_there_is_no_such_page(tmp_path: Path) -> None:
    with live(helper({"text": "hi"}), tmp_path) as server:
        assert server.client.get("/metrics", headers=AS_ADMIN).status_code == 404
        assert "/metrics" not in server.client.get("/openapi.json").json()["paths"]


@pytest.mark.proves("tenant.lazy")
def test_an_app_that_nobody_uses_is_unloaded(server: Server, busy: Page) -> None:
    """The reload before has shortened the time, and other tests have let it pass."""
    until(server, lambda page: page.sum("hector_app_unload_total", app="bank") > 0)


def watched(**more: Any) -> dict[str, Any]:
    metrics = {
        "enabled": True,
        "endpoint": "/ops/figures",
        "namespace": "acme",
        "subsystem": "ai",
        "const_labels": {"zone": "north"},
        "max_apps": 1,
        "max_series": 2,
    }
    return {**helper({"text": "hi"}), "observability": {"metrics": metrics}, **more}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Live]:
    server = {"auth": {"excluded_paths": ["/ops/figures"]}}
    with live(watched(server=server), tmp_path) as made:
        yield made


@pytest.mark.proves("metrics.access")
def test_an_operator_may_open_the_page(other: Live) -> None:
    other.send()
    found = scrape(other.url, {}, "/ops/figures")
    assert found.sum("acme_ai_agent_calls_total", zone="north", agent_name="helper") == 1
    other.client.get("/agents/helper")
    other.client.get("/nothing/there")
    found = scrape(other.url, {}, "/ops/figures")
    shop = {"id": "shop", "name": "Shop", "config_json": json.dumps(helper({"text": "hi"}))}
    token = other.client.post("/admin/apps", json=shop, headers=AS_ADMIN).json()["access_token"]
    body = {"message": user("hello")}
    answer = other.client.post("/message:send", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    counted = scrape(other.url, {}, "/ops/figures")
    assert counted.values("app", "acme_ai_agent_calls_total") == {"default", "(other)"}, "an app more than max_apps"
    assert len(found.values("path", "acme_ai_http_requests_total")) == 3
    assert "(other)" in found.values("path", "acme_ai_http_requests_total"), "a series more than max_series"
    assert other.client.get("/ops/figures", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert other.client.get("/admin/queue/stats").status_code == 401
    assert other.client.post("/ops/figures", headers=AS_ADMIN).status_code == 405
    document = other.client.get("/openapi.json").json()["paths"]["/ops/figures"]["get"]
    assert document["x-access"] == "metrics"
