"""Apps over the admin API of a whole server: shapes, rights, tokens, versions, deletion."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.web.live import AS_ADMIN, Live, helper, live, user

RULES: Final = {"llms": {"m": {"provider": "scripted", "rules": [{"text": "I am acme."}]}}}
ACME: Final = {**RULES, "agents": {"helper": {"instruction": "x", "tools": []}}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Live]:
    with live(helper({"text": "I am the default."}), tmp_path) as running:
        yield running


def create(server: Live, name: str = "acme", status: int = 201, **body: Any) -> dict[str, Any]:
    body = {"id": name, "name": name.title(), "config_json": json.dumps(ACME), **body}
    answer = server.client.post("/admin/apps", json=body, headers=AS_ADMIN)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def admin(server: Live, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
    answer = server.client.request(method, f"/admin/apps{path}", headers=AS_ADMIN, **kwargs)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def bearer(created: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {created['access_token']}"}


def say(server: Live, headers: dict[str, str], text: str = "hi", **message: Any) -> dict[str, Any]:
    answer = server.client.post("/message:send", json={"message": user(text, **message)}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["task"])


def said(task: dict[str, Any]) -> str:
    return str(task["artifacts"][0]["parts"][0]["text"])


@pytest.mark.proves("admin.apps.list")
@pytest.mark.parametrize("size", [1, 2, 3, 4, 50])
@pytest.mark.parametrize("has_row", [False, True])
def test_the_app_of_the_file_is_listed_in_its_place(server: Live, size: int, has_row: bool) -> None:
    for name in ("acme", "beta", "zeta"):
        create(server, name)
    if has_row:
        admin(server, "POST", "/default/token")
    found, token = [], ""
    while True:
        page = admin(server, "GET", f"?page_size={size}&page_token={token}")
        assert 0 < len(page["apps"]) <= size
        found += [app["id"] for app in page["apps"]]
        if not (token := page["next_page_token"]):
            break
    assert found == ["acme", "beta", "default", "zeta"]


@pytest.mark.parametrize("text", ["{...}", "llms: {m: {rules: [{text: hi}]}}", "", "nope"])
def test_what_is_sent_as_json_has_to_be_json(server: Live, text: str) -> None:
    refused = create(server, status=400, config_json=text)["error"]["message"]
    assert "config_json is not JSON (line 1, column" in refused
    assert "`config`" in refused


@pytest.mark.parametrize("word", ["NaN", "-Infinity", "9" * 5000])
def test_a_number_that_json_does_not_know_is_refused(server: Live, word: str) -> None:
    text = json.dumps({**ACME, "name": 0}).replace('"name": 0', f'"name": {word}')
    assert "config_json is not JSON (a number)" in create(server, status=400, config_json=text)["error"]["message"]


def test_a_token_of_no_page_is_named_as_it_was_sent(server: Live) -> None:
    for path in ("apps", "keys", "usage"):
        answer = server.client.get(f"/admin/{path}?page_token=x", headers=AS_ADMIN)
        assert (answer.status_code, answer.json()["error"]["message"].split()[0]) == (400, "page_token")


def test_the_bound_of_bodies_is_no_setting_that_could_be_raised(server: Live) -> None:
    said = create(server, status=413, note="x" * 2**20)["error"]["message"]
    assert said == f"the request body is larger than {2**20} bytes"


def test_a_configuration_without_a_model_is_told_so(server: Live) -> None:
    refused = create(server, status=400, config_json="{}")["error"]["message"]
    assert "no model is named under llms, and the default one at localhost is not open to apps" in refused


@pytest.mark.proves(
    "admin.apps.create", "admin.apps.get", "admin.apps.list", "tenant.apps", "tenant.agents", "tenant.jwt"
)
def test_an_app_is_made_and_answers_those_with_its_token(server: Live) -> None:
    made = create(server)
    assert (made["app"]["id"], made["app"]["name"], made["token_type"]) == ("acme", "Acme", "bearer")
    assert json.loads(made["app"]["config_json"]) == ACME
    assert made["issuer"]
    assert made["expires_in"] > 0
    assert said(say(server, bearer(made))) == "I am acme."
    assert said(say(server, {})) == "I am the default."
    listed = admin(server, "GET", "")
    assert [(app["id"], app["status"], app["version"]) for app in listed["apps"]] == [
        ("acme", "active", 1),
        ("default", "active", 0),
    ]
    assert admin(server, "GET", "/acme")["config_json"] == made["app"]["config_json"]
    cards = server.client.get("/agents", headers=bearer(made)).json()["agents"]
    assert cards[0]["supportedInterfaces"][0]["tenant"] == "acme"
    assert "tenant" not in server.client.get("/agents").json()["agents"][0]["supportedInterfaces"][0]


def test_without_a_configuration_it_gets_one_that_works(server: Live) -> None:
    answer = server.client.post("/admin/apps", json={"name": "Plain"}, headers=AS_ADMIN)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["app"]["id"].startswith("a")
    assert "artifacts" in say(server, bearer(made), "hello")


@pytest.mark.proves("admin.apps.update", "tenant.versions")
def test_a_change_is_in_force_at_once_and_can_be_taken_back(server: Live) -> None:
    made = create(server)
    other = json.dumps(ACME).replace("I am acme.", "I am new.")
    changed = admin(server, "PUT", "/acme", json={"config": other, "note": "newer", "if_version": 1})
    assert (changed["version"], changed["format"]) == (2, "json")
    assert said(say(server, bearer(made))) == "I am new."
    admin(server, "PUT", "/acme", 409, json={"config": other, "if_version": 1})
    versions = admin(server, "GET", "/acme/versions")["versions"]
    assert [(one["version"], one["note"]) for one in versions] == [(2, "newer"), (1, "")]
    assert versions[0]["author"].startswith("admin ")
    assert "+" in admin(server, "GET", "/acme/diff?old=1")["diff"]
    newest = admin(server, "GET", "/acme/versions?page_size=1")
    assert newest["versions"] == versions[:1]
    following = f"/acme/versions?page_size=1&page_token={newest['next_page_token']}"
    assert admin(server, "GET", following)["versions"] == versions[1:2]
    assert admin(server, "GET", "/acme/versions/1")["config"] == json.dumps(ACME)
    assert admin(server, "POST", "/acme/rollback", json={"version": 1})["version"] == 3
    assert said(say(server, bearer(made))) == "I am acme."
    assert admin(server, "PUT", "/acme", json={"name": "Renamed"})["name"] == "Renamed"
    admin(server, "PUT", "/acme", 400, json={})
    admin(server, "GET", "/acme/versions/9", 404)


def test_a_wrong_configuration_is_refused_with_all_its_mistakes(server: Live) -> None:
    wrong = (
        "llms: {m: {provider: ollama, base_url: 'http://10.0.0.1'}}\nagents: {a: {instructon: x}}\nserver: {port: 1}\n"
    )
    answer = create(server, "acme", 400, config_json=None, config=wrong)["error"]
    fields = {one["field"] for one in answer["details"][1]["fieldViolations"]}
    assert fields == {"config.server", "config.llms.m.base_url", "config.agents.a.instructon"}
    assert "app acme:3:1: error: server: " in answer["message"]
    admin(server, "GET", "/acme", 404)
    create(server)
    admin(server, "PUT", "/acme", 400, json={"config": wrong})
    assert admin(server, "GET", "/acme")["version"] == 1


@pytest.mark.proves("tenant.secrets-hidden")
def test_secrets_are_never_read_back(server: Live) -> None:
    secret = {**ACME, "llms": {**RULES["llms"], "n": {"provider": "openai", "api_key": "sk-canary-99"}}}
    made = create(server, config_json=secret)
    shown = admin(server, "GET", "/acme")
    assert "canary" not in json.dumps([made["app"], shown, admin(server, "GET", "/acme/versions/1")])
    admin(server, "PUT", "/acme", json={"config_json": shown["config_json"].replace("I am acme.", "Still me.")})
    assert "canary" not in json.dumps(admin(server, "GET", "/acme/diff?old=1&new=2"))

    async def stored() -> str:
        return (await server.store.apps.load("acme"))[1].body

    assert "sk-canary-99" in server.call(stored)


@pytest.mark.proves("admin.apps.token", "tenant.jwt")
def test_a_new_token_ends_the_old_one(server: Live) -> None:
    made = create(server)
    say(server, bearer(made))
    fresh = admin(server, "POST", "/acme/token")
    assert server.client.get("/agents", headers=bearer(made)).status_code == 401
    assert said(say(server, bearer(fresh))) == "I am acme."


@pytest.mark.proves("admin.apps.delete")
def test_an_app_goes_with_everything_that_belongs_to_it(server: Live) -> None:
    made = create(server)
    task = say(server, bearer(made))
    assert server.client.get(f"/tasks/{task['id']}", headers=bearer(made)).status_code == 200
    admin(server, "DELETE", "/acme", 204)
    assert server.client.get("/agents", headers=bearer(made)).status_code == 401
    admin(server, "GET", "/acme", 404)
    again = create(server)
    assert server.client.get("/agents", headers=bearer(made)).status_code == 401
    assert server.client.get(f"/tasks/{task['id']}", headers=bearer(again)).status_code == 404
    assert server.client.get("/tasks", headers=bearer(again)).json()["tasks"] == []


def test_the_default_app_stays(server: Live) -> None:
    admin(server, "DELETE", "/default", 403)
    admin(server, "POST", "/default/status", 403, json={"status": "suspended"})
    create(server, "default", 400)


def test_a_suspended_app_refuses_everybody_until_it_goes_on(server: Live) -> None:
    made = create(server)
    assert admin(server, "POST", "/acme/status", json={"status": "suspended"})["status"] == "suspended"
    refused = server.client.post("/message:send", json={"message": user()}, headers=bearer(made))
    assert (refused.status_code, "suspended" in refused.text) == (403, True)
    rpc = server.rpc("SendMessage", {"message": user()}, **bearer(made))
    assert (rpc.status_code, rpc.json()["error"]["data"][0]["reason"]) == (403, "PERMISSION_DENIED")
    admin(server, "POST", "/acme/status", json={"status": "active"})
    assert said(say(server, bearer(made))) == "I am acme."


def test_the_app_of_the_file_can_be_changed_too(server: Live) -> None:
    assert admin(server, "GET", "/default")["version"] == 0
    changed = admin(server, "PUT", "/default", json={"config_json": ACME, "if_version": 0})
    assert changed["version"] == 2
    assert said(say(server, {})) == "I am acme."
    token = admin(server, "POST", "/default/token")
    assert said(say(server, bearer(token))) == "I am acme."


@pytest.mark.proves("security.tenant-isolation")
def test_a_token_opens_its_own_app_only(server: Live) -> None:
    """Also where the ids of agents, conversations and tasks are the same, or named by a tenant's own hand."""
    acme, zen = create(server), create(server, "zen")
    mine = say(server, bearer(acme), contextId="c-1")
    theirs = say(server, bearer(zen), contextId="c-1")
    assert mine["contextId"] == theirs["contextId"]
    listed = server.client.get("/tasks", headers=bearer(acme)).json()["tasks"]
    assert [task["id"] for task in listed] == [mine["id"]]
    for path in (f"/tasks/{theirs['id']}", f"/acme/tasks/{theirs['id']}", f"/zen/tasks/{theirs['id']}", "/zen/tasks"):
        assert server.client.get(path, headers=bearer(acme)).status_code == 404, path
    sent = server.client.post("/zen/message:send", json={"message": user()}, headers=bearer(acme))
    assert (sent.status_code, sent.json()["error"]["details"][0]["reason"]) == (404, "TENANT_NOT_FOUND")
    for path in ("/admin/apps/zen", "/admin/apps/zen/versions", "/admin/apps/zen/diff?old=1"):
        assert server.client.get(path, headers=bearer(acme)).status_code == 404, path
    assert server.client.get("/admin/apps", headers=bearer(acme)).status_code == 403
    assert server.client.get("/admin/apps/acme", headers=bearer(acme)).status_code == 200


def test_admins_name_the_app_that_they_mean(server: Live) -> None:
    create(server)
    answer = server.client.post("/acme/message:send", json={"message": user()}, headers=AS_ADMIN)
    assert said(answer.json()["task"]) == "I am acme."
    rpc = server.rpc("SendMessage", {"message": user(), "tenant": "acme"}, **AS_ADMIN)
    assert said(rpc.json()["result"]["task"]) == "I am acme."
    assert server.rpc("SendMessage", {"message": user(), "tenant": "none"}, **AS_ADMIN).status_code == 404


def test_cards_of_an_app_are_for_those_who_may_touch_it(server: Live) -> None:
    made = create(server)
    path = "/agents/helper/acme/.well-known/agent-card.json"
    for headers in (AS_ADMIN, bearer(made)):
        card = server.client.get(path, headers=headers)
        assert card.json()["supportedInterfaces"][0]["tenant"] == "acme"
        assert card.headers["cache-control"].startswith("private")
    assert server.client.get(path).status_code == 404
    default = server.client.get("/agents/helper/.well-known/agent-card.json")
    assert default.headers["cache-control"].startswith("public")
    assert default.json()["supportedInterfaces"][0].get("tenant") is None
    assert server.client.get("/agents?tenant=acme").status_code == 404
    assert server.client.get("/agents?tenant=acme", headers=AS_ADMIN).json()["total"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"id": "UPPER", "name": "x"},
        {"id": "agents", "name": "x"},
        {"id": "a/b", "name": "x"},
        {"id": "", "name": "x"},
        {"id": "ok", "name": " "},
        {"id": "ok", "name": "a\nb"},
        {"id": "ok", "name": "x", "config": "a: 1", "config_json": "{}"},
        {"id": "ok", "name": "x", "config": "\u0000"},
        {"id": "ok", "name": "x", "config": "[1]"},
        {"id": "ok"},
        {"id": "ok", "name": "x", "nonsense": 1},
    ],
)
def test_what_can_be_no_app(server: Live, body: dict[str, Any]) -> None:
    answer = server.client.post("/admin/apps", json=body, headers=AS_ADMIN)
    assert answer.status_code == 400, answer.text
    listed = server.client.get("/admin/apps", headers=AS_ADMIN).json()["apps"]
    assert [app["id"] for app in listed] == ["default"]
