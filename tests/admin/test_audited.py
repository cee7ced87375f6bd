"""Each change over the Admin API leaves one entry in the audit log: the whole table, tried on a running server."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from hector.auth.opening import one_time_code
from hector.core.clock import SystemClock
from hector.store import open_store
from tests.admin.test_swap import CONFIG, SECRET, World, body_of, config_of, fill, filled
from tests.smoke.frontdoor import FORMS, ROOT, Hector

BODIES: Final[dict[str, Any]] = {
    "post_admin_apps": {"id": "new", "name": "new", "config_json": json.dumps(CONFIG)},
    "put_admin_apps_id": {"name": "renamed"},
    "post_admin_apps_id_rollback": {"version": 1},
    "post_admin_apps_id_status": {"status": "suspended"},
    "post_admin_switches": {"state": "off", "app_id": "new", "agent": "helper"},
}
"""Where the smallest body that the description allows does nothing."""
BESIDE: Final = ("credential.use", "tool.call", "tool.result")
"""What is noted of requests and runs, beside what a change leaves."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    patience = {"enabled": True, "allow_private": True}
    block = {"auth": {"secret": SECRET}, "push_notifications": patience}
    config = {**CONFIG, "server": block, "tenants": {"patterns": True, "hosts": ["127.0.0.1"]}}
    place = ("--config", str(tmp_path / "config.json"), "--database", f"sqlite://{tmp_path / 'hector.db'}")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with Hector(FORMS["source"], tmp_path, {"PYTHONPATH": str(ROOT)}).serve(*place) as server:
        made = World(server.url, tmp_path / "hector.db")
        with made.client(SECRET) as admin:
            made.document = admin.get("/openapi.json").json()
        yield made


def changes(world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of all that changes something."""
    for path, methods in world.document["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/admin") and method != "get":
                yield method.upper(), path, operation


def objects_of_new_app(world: World, admin: httpx.Client, app: str) -> dict[str, str]:
    made = admin.post("/admin/apps", json={"id": app, "name": app, "config_json": config_of(app)})
    assert made.status_code == 201, made.text
    key = admin.post("/admin/keys", json={"name": app, "role": "app", "app_id": app}).json()["key"]
    return fill(world, key, app)


def link(world: World) -> str:
    """The code of a one-time link."""

    async def work() -> str:
        store = await open_store(f"sqlite://{world.database}", visitor=True)
        try:
            return str(await one_time_code(store.credentials, SystemClock()))
        finally:
            await store.aclose()

    return asyncio.run(work())


def noted(admin: httpx.Client, after: int) -> list[dict[str, Any]]:
    entries = admin.get("/admin/audit", params={"page_size": 100}).json()["entries"]
    return [one for one in entries if one["seq"] > after and one["action"] not in BESIDE]


def head(admin: httpx.Client) -> int:
    return int(admin.get("/admin/audit").json()["head"]["seq"])


@pytest.mark.proves("admin.audited")
@pytest.mark.timeout(300)
def test_each_change_leaves_one_entry(world: World) -> None:
    actions: dict[str, str] = {}
    with world.client(SECRET) as admin:
        for number, (method, path, operation) in enumerate(changes(world)):
            name = operation["operationId"]
            objects = objects_of_new_app(world, admin, f"n{number}")
            body = BODIES.get(name) or body_of(world, operation)
            if name == "post_admin_unlock":
                body = {"code": link(world)}
            before = head(admin)
            whose = (
                {"app_id": objects["app"]} if operation["tags"][0] in ("memories", "artifacts", "documents") else None
            )
            answer = admin.request(method, filled(path, operation, objects), json=body, params=whose)
            assert answer.is_success, (name, answer.status_code, answer.text)
            found = noted(admin, before)
            assert [one["outcome"] for one in found] == ["ok"], (name, found)
            assert found[0]["object"], name
            actions[name] = found[0]["action"]
    print(actions)
    assert len(actions) >= 14
    assert len(set(actions.values())) == len(actions), "each has an action of its own"


@pytest.mark.proves("admin.audited")
def test_a_reload_that_fails_leaves_one_entry(world: World, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with world.client(SECRET) as admin:
        before = head(admin)
        answer = admin.post("/admin/reload")
        assert answer.status_code == 409
        assert "the old one stays in force" in answer.json()["error"]["message"]
        assert [(one["action"], one["outcome"]) for one in noted(admin, before)] == [("config.reload", "failed")]
