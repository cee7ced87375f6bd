"""Nobody reaches an object of another app or of another user: every endpoint x object x verb, from the description.

A server holds the app `red` and the app `blue`, each with one object of each kind. Callers that belong to `red`, with
every role that has the right to an endpoint, name the objects of `blue`: each answer is 404, and none holds a word of
`blue`. Within an app, one user names the objects of another one.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from hector.auth.access import Access, allows
from hector.core.identity import Principal, Role, Via
from hector.core.ids import new_id
from hector.core.job import NewJob
from hector.core.task import Caller
from hector.store import open_store
from hector.store.artifacts import Kept
from hector.store.memories import NewMemory
from tests.smoke.frontdoor import FORMS, ROOT, Hector
from tests.web.live import user

SECRET: Final = "kL9-four-owls-read-maps-in-the-rain"
APPS: Final = ("red", "blue")
KEYS: Final = {(role, app): f"key-of-{role}-in-{app}-0123456789" for role in Role for app in APPS}
BOB: Final = "key-of-bob-in-red-0123456789"
WORD: Final = "periwinkle"
"""Stands in all that belongs to `blue` or to bob."""
SAVED: Final = {"name": WORD, "text": WORD}
CONFIG: Final[dict[str, Any]] = {
    "llms": {
        "default": {
            "provider": "scripted",
            "rules": [
                {"user": "approve", "turn": 0, "tool_calls": [{"name": "save_artifact", "args": SAVED}]},
                {"user": "wait", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": WORD}}]},
                {"text": WORD},
            ],
        }
    },
    "tools": {"save_artifact": {"type": "function", "handler": "save_artifact", "require_approval": True}},
    "agents": {"helper": {"instruction": "Help.", "tools": ["save_artifact", "ask_user"]}},
}  # fmt: skip


def config_of(app: str) -> str:
    """What an app is made with: its document stores are called after it. `seen` is only searched."""
    source = {"type": "api", "api": {"url": "http://127.0.0.1:9/"}}
    seen = {"type": "collection", "collection": f"docs-{app}"}
    stores = {f"docs-{app}": {"source": source, "embedder": "none"}, f"seen-{app}": {"source": seen}}
    return json.dumps({**CONFIG, "document_stores": stores})


def has_right(role: Role, access: str) -> bool:
    """Whether somebody of the app `red` has the right that an endpoint takes."""
    return allows(Principal("x", role, Via.API_KEY, "red"), Access(access))


@dataclass
class World:
    """A running server, its database and its description."""

    url: str
    database: Path
    document: dict[str, Any] = field(default_factory=dict)

    def client(self, credential: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {credential}"}, timeout=30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("swap")
    keys = [{"name": f"{role}-{app}", "key": key, "role": str(role), "app": app} for (role, app), key in KEYS.items()]
    keys.append({"name": "bob", "key": BOB, "role": "user", "app": "red"})
    auth = {"secret": SECRET, "api_keys": keys}
    server_block = {"auth": auth, "push_notifications": {"enabled": True, "allow_private": True}}
    own = {"notes": {"source": {"type": "directory", "path": "notes"}, "embedder": "none"}}
    tenants = {"patterns": True, "hosts": ["127.0.0.1"]}
    config = {**CONFIG, "server": server_block, "tenants": tenants, "document_stores": own}
    config["vector_stores"] = {"default": {"type": "chromem", "persist_path": str(folder / "indexes")}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)}).serve(
        *("--config", str(folder / "config.json"), "--database", f"sqlite://{folder / 'hector.db'}")
    ) as server:
        made = World(server.url, folder / "hector.db")
        with made.client(SECRET) as admin:
            made.document = admin.get("/openapi.json").json()
            for app in APPS:
                created = admin.post("/admin/apps", json={"id": app, "name": app, "config_json": config_of(app)})
                assert created.status_code == 201, created.text
        yield made


def send(client: httpx.Client, text: str, context: str) -> dict[str, Any]:
    sent = client.post("/agents/helper/message:send", json={"message": user(text, contextId=context)})
    assert sent.status_code == 200, sent.text
    return dict(sent.json()["task"])


def fill(world: World, credential: str, app: str) -> dict[str, str]:
    """One object of each kind that a caller has, ids by kind."""
    with world.client(credential) as client, world.client(SECRET) as admin:
        waiting = send(client, "approve", f"{WORD}-{app}")
        open_task = send(client, "wait", f"{WORD}-{app}-2")
        push = client.post(
            f"/agents/helper/tasks/{open_task['id']}/pushNotificationConfigs", json={"url": "http://127.0.0.1:9/x"}
        )
        assert "INPUT_REQUIRED" in waiting["status"]["state"], waiting
        found = admin.get("/admin/approvals", params={"task": waiting["id"]}).json()["approvals"]
        key = admin.post("/admin/keys", json={"name": f"{WORD} {open_task['id']}", "role": "user", "app_id": app})
        assert key.status_code == 201, key.text
        return {
            "agent": "helper",
            "key": key.json()["id"],
            "app": app,
            "version": "1",
            "session": f"{WORD}-{app}",
            "approval": str(found[0]["key"]),
            "task": open_task["id"],
            "push config": push.json()["id"] if push.status_code == 200 else "x",
            "memory": keep(world, app),
            "artifact": "notes.txt",
            "document store": f"docs-{app}",
            "call": "call-1",
            "job": str(bury(world, app)),
        }


def keep(world: World, app: str) -> str:
    """A memory of an app's user, whose id is the answer, and an artifact called notes.txt."""
    memory = NewMemory(new_id(), WORD, "fact", "c", "", "helper", 1.0)
    artifact = Kept(
        "notes.txt", of_user=True, media_type="text/plain", size=1, agent="", event="", created=1, body="{}"
    )

    async def work() -> None:
        store = await open_store(f"sqlite://{world.database}", visitor=True)
        try:
            await store.memories.add(Caller(app), [memory], 1000)
            await store.database.write(lambda con: store.artifacts.add(con, Caller(app), 0, [artifact]))
        finally:
            await store.aclose()

    asyncio.run(work())
    return memory.id


def bury(world: World, app: str) -> int:
    """A dead letter of an app."""

    async def work() -> int:
        store = await open_store(f"sqlite://{world.database}", visitor=True)
        try:

            async def unit(con: Any) -> int:
                claim = await store.jobs.insert(con, NewJob("mail", Caller(app), WORD, {"to": WORD}, run_at=4e9))
                buried = "UPDATE jobs SET state = 'dead', cause = ?, ended = 1 WHERE key = ?"
                await con.execute(buried, (WORD, claim.key))
                return int(claim.key)

            return await store.database.write(unit)
        finally:
            await store.aclose()

    return asyncio.run(work())


def operations(world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation that names an object in its path."""
    for path, methods in world.document["paths"].items():
        for method, operation in methods.items():
            if any("x-object" in one and one["x-object"] != "agent" for one in operation["parameters"]):
                yield method.upper(), path, operation


def filled(path: str, operation: Mapping[str, Any], objects: Mapping[str, str]) -> str:
    for one in operation["parameters"]:
        if one["in"] == "path":
            kind = one["x-object"]
            assert kind in objects, f"nobody makes an object of the kind {kind!r}: teach `fill` to"
            path = path.replace(f"{{{one['name']}}}", objects[kind].replace("/", "%2F"))
    wanted = [one for one in operation["parameters"] if one["in"] == "query" and one["required"]]
    return path + "".join(f"{'&' if at else '?'}{one['name']}=1" for at, one in enumerate(wanted))


def body_of(world: World, operation: Mapping[str, Any]) -> Any:
    """The smallest body that the description allows, or that A2A does."""
    if operation["operationId"] == "a2a_create_push_post":
        return {"url": "http://127.0.0.1:9/x"}
    wanted = operation.get("requestBody")
    if wanted is None:
        return None
    return example(world, wanted["content"]["application/json"]["schema"])


def example(world: World, schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return example(world, world.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema or "const" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    if schema.get("anyOf"):
        return example(world, schema["anyOf"][0])
    match schema.get("type"):
        case "object":
            return {name: example(world, schema["properties"][name]) for name in schema.get("required", ())}
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return []
        case _:
            return "x" * max(1, schema.get("minLength", 1))


def ask(client: httpx.Client, method: str, path: str, body: Any) -> tuple[int, str]:
    """Status and at most the first 20 kB, of streams, too."""
    with client.stream(method, path, json=body) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if len(text) > 20_000 or answer.status_code == 200:
                break
        return answer.status_code, text


@pytest.mark.proves("admin.swap")
@pytest.mark.timeout(300)
def test_objects_of_another_app_do_not_exist(world: World) -> None:
    blue = fill(world, KEYS[Role.APP, "blue"], "blue")
    seen = refused = 0
    for role in Role:
        with world.client(KEYS[role, "red"]) as client:
            for method, path, operation in operations(world):
                status, text = ask(client, method, filled(path, operation, blue), body_of(world, operation))
                allowed = has_right(role, operation["x-access"])
                assert status == (404 if allowed else 403), (role, method, path, status, text)
                assert WORD not in text.replace(blue["session"], ""), (method, path)
                seen, refused = seen + 1, refused + (not allowed)
    print(f"{seen} combinations of caller, endpoint and verb: {seen - refused} times 404, {refused} times 403")
    assert seen > 60
    with world.client(KEYS[Role.APP, "blue"]) as owner:
        assert owner.get(f"/admin/sessions/{blue['session']}").status_code == 200, "it is there for its owner"
        assert owner.get(f"/agents/helper/tasks/{blue['task']}").status_code == 200


@pytest.mark.proves("admin.swap")
@pytest.mark.timeout(300)
def test_lists_hold_nothing_of_another_app(world: World) -> None:
    fill(world, KEYS[Role.APP, "blue"], "blue")
    seen = 0
    for role in Role:
        with world.client(KEYS[role, "red"]) as client:
            for path, methods in world.document["paths"].items():
                operation = methods.get("get")
                if operation is None or "{id}" in path or "{" in path.replace("{agent}", ""):
                    continue
                where = path.replace("{agent}", "helper")
                if not has_right(role, operation["x-access"]):
                    continue
                text = client.get(where).text
                assert WORD not in text, (role, where)
                assert not re.search(r'"(app|app_id|app_name)": ?"blue"', text), (role, where)
                if any(one["name"] == "app_id" for one in operation["parameters"]):
                    asked = client.get(where, params={"app_id": "blue"})
                    assert asked.status_code == 404, (role, where, asked.text)
                    seen += 1
                seen += 1
    print(f"{seen} lists looked through")
    assert seen > 30


@pytest.mark.proves("admin.swap")
@pytest.mark.timeout(300)
def test_objects_of_another_user_do_not_exist(world: World) -> None:
    bobs = fill(world, BOB, "red")
    seen = 0
    with world.client(KEYS[Role.USER, "red"]) as client:
        for method, path, operation in operations(world):
            if operation["x-access"] == "agents":
                status, text = ask(client, method, filled(path, operation, bobs), body_of(world, operation))
                assert status == 404, (method, path, status, text)
                seen += 1
        for name, params in (
            ("GetTask", {"id": bobs["task"]}),
            ("CancelTask", {"id": bobs["task"]}),
            ("SubscribeToTask", {"id": bobs["task"]}),
            ("ListTaskPushNotificationConfigs", {"taskId": bobs["task"]}),
            ("GetTaskPushNotificationConfig", {"taskId": bobs["task"], "id": bobs["push config"]}),
            ("DeleteTaskPushNotificationConfig", {"taskId": bobs["task"], "id": bobs["push config"]}),
        ):
            call = {"jsonrpc": "2.0", "id": "1", "method": name, "params": params}
            answer = client.post("/agents/helper", json=call, headers={"A2A-Version": "1.0"})
            assert answer.json()["error"]["code"] == -32001, (name, answer.text)
            seen += 1
        hijacked = client.post("/agents/helper/message:send", json={"message": user("hello", taskId=bobs["task"])})
        assert hijacked.status_code == 404, hijacked.text
        listed = client.get("/agents/helper/tasks", params={"contextId": bobs["session"]})
        assert listed.json()["tasks"] == []
        seen += 2
    print(f"{seen} ways to another user's objects")
    with world.client(BOB) as owner:
        assert owner.get(f"/agents/helper/tasks/{bobs['task']}").status_code == 200


def test_a_store_that_is_only_searched_is_not_indexed(world: World) -> None:
    with world.client(SECRET) as admin:
        for store, expected in (("docs-red", 202), ("seen-red", 409), ("docs-blue", 404)):
            answer = admin.post(f"/admin/document-stores/{store}/index", params={"app_id": "red"}, json={})
            assert answer.status_code == expected, (store, answer.text)


@pytest.mark.proves("rag.index.tenants")
def test_indexes_of_apps_are_where_the_operator_keeps_them_from_the_start(world: World) -> None:
    folder = world.database.parent / "indexes" / "green"
    until = time.monotonic() + 60
    with world.client(SECRET) as admin:
        made = admin.post("/admin/apps", json={"id": "green", "name": "green", "config_json": config_of("green")})
        assert made.status_code == 201, made.text
        while not (folder / "docs-green" / "index.db").exists():
            assert time.monotonic() < until, "nothing is indexed before the app is used"
            time.sleep(0.05)
        assert admin.delete("/admin/apps/green").status_code in {200, 202, 204}
    assert not folder.exists()


def test_health_names_the_stores_of_the_servers_own_app_to_no_other(world: World) -> None:
    for key, told in ((SECRET, True), (KEYS[Role.USER, "red"], False), (KEYS[Role.OPERATOR, "red"], False)):
        with world.client(key) as client:
            assert ("document_stores" in client.get("/health").json()) is told
