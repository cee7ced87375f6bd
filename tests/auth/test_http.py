"""Credentials of every kind over HTTP: who is let in where, and what the others are told."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.auth.access import Access
from hector.auth.attempts import MOST
from hector.auth.authenticator import ADMIN, KEPT
from hector.auth.opening import new_secret, one_time_code
from hector.auth.secrets import Key, digest
from hector.core.clock import SystemClock
from hector.core.errors import HectorError
from hector.core.identity import Principal, Role
from hector.store.credentials import Credential, Kind
from hector.web.identity import Guarded
from tests.auth.issuer import AUDIENCE, Issuer, issuing
from tests.web.live import AS_ADMIN, Live, helper, live, user

AGENT = "/agents/helper"
SEND = {"message": user()}
FILE_KEY = "a-key-of-the-file-0123"


def config(issuer: str | None = None, **auth: Any) -> dict[str, Any]:
    made = helper({"text": "hi"})
    made["agents"] |= {"inner": {"visibility": "internal"}, "hidden": {"visibility": "private"}}
    oidc = {"issuer": issuer, "audience": [AUDIENCE]} if issuer else {}
    keys = [
        {"name": "file", "key": FILE_KEY},
        {"name": "ops", "hash": digest("a-key-for-operators"), "role": "operator", "user": "olga"},
    ]
    return {**made, "server": {"auth": {"require_auth": True, "api_keys": keys, **oidc, **auth}}}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Live]:
    with live(config(issuer.url), tmp_path_factory.mktemp("auth")) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def add_key(server: Live, role: Role = Role.USER, app: str | None = "default", **fields: Any) -> tuple[Key, str]:
    key, now = Key.new("hk"), SystemClock().now()
    row = Credential(key.id, Kind.KEY, "made", key.hash, role, app, "made", "test", now, **fields)

    async def add() -> None:
        await server.store.credentials.add(row)

    server.call(add)
    return key, key.text


def status(server: Live, headers: Mapping[str, str], path: str = "/agents") -> int:
    return server.client.get(path, headers=dict(headers)).status_code


def filled(path: str) -> str:
    """A path of this route, with something in its places."""
    found = path.replace("{end:end}", "").replace("{agent:agent}", "agents/helper/").replace("{tenant:tenant}", "")
    return found.replace("{agent}", "helper").replace("{id:task}", "t").replace("{id}", "t").replace("{config}", "c")


def guarded(server: Live) -> list[tuple[Access, str, str]]:
    """Right, method and path of every route of the application, those of the Admin API included."""
    found: list[tuple[Access, str, str]] = []
    for route in server.app.routes:
        assert isinstance(route, Guarded), f"{route} says no right"
        below = getattr(route, "_admin", None)
        for one in below.rows() if below is not None else [route]:
            methods = sorted((one.methods or set()) - {"HEAD"})
            found += [(one.access, method, filled(one.path.replace("{end:end}", ""))) for method in methods]
    return list(dict.fromkeys(found))


@pytest.mark.proves("auth.routes")
def test_every_route_takes_a_credential_but_for_the_public_ones(server: Live) -> None:
    rows = guarded(server)
    assert len(rows) > 25
    for access, method, path in rows:
        answer = server.client.request(method, path, json={} if method in ("POST", "PUT") else None)
        if access is Access.PUBLIC:
            assert answer.status_code != 403, path
            assert path in ("/admin/unlock",) or answer.status_code != 401, path
        else:
            assert (answer.status_code, "helper" in answer.text) == (401, False), (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.proves("auth.routes")
def test_public_is_what_the_list_says(server: Live) -> None:
    public = {path for access, _, path in guarded(server) if access is Access.PUBLIC}
    cards = {"/agents/helper", "/agents/helper/.well-known/agent-card.json", "/agents/helper/.well-known/agent.json"}
    assert public - cards <= {
        "/", "/livez", "/readyz", "/health", "/schema", "/openapi.json", "/admin/jwks", "/admin/unlock",
            "/webhooks/{path:path}", "/apps/{app}/webhooks/{path:path}",  # each judges its requests itself
    }  # fmt: skip


@pytest.mark.proves("auth.roles")
@pytest.mark.parametrize("role", Role)
def test_rights_follow_the_role(server: Live, role: Role) -> None:
    _, token = add_key(server, role, None if role in (Role.ADMIN, Role.OPERATOR) else "default")
    allowed = {Role.USER: {Access.AGENTS}, Role.APP: {Access.AGENTS, Access.APP}}.get(role)
    allowed = allowed or {Access.AGENTS, Access.APP, Access.OPERATOR, *({Access.ADMIN} if role is Role.ADMIN else ())}
    seen: set[Access] = set()
    for access, method, path in guarded(server):
        if access is Access.PUBLIC or (method != "GET" and access in allowed):
            continue
        answer = server.client.request(method, path, headers=bearer(token))
        seen.add(access)
        assert (answer.status_code != 403) is (access in allowed), (method, path, answer.text)
    assert {Access.AGENTS, Access.OPERATOR} <= seen


@pytest.mark.proves("auth.keys", "auth.secret")
def test_credentials_of_every_kind_are_let_in(server: Live, issuer: Issuer) -> None:
    _, made = add_key(server)
    heads: list[Mapping[str, str]] = [
        AS_ADMIN, bearer(made), bearer(FILE_KEY), bearer("a-key-for-operators"), bearer(issuer.token()),
        {"X-API-Key": made}, {"X-API-Key": FILE_KEY}, {"Authorization": made}, {"Authorization": f"bEaReR  {made}"},
    ]  # fmt: skip
    assert [status(server, head) for head in heads] == [200] * len(heads)
    assert [status(server, head) for head in heads] == [200] * len(heads)


@pytest.mark.proves("auth.forged")
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"X-API-Key": ""},
        {"Authorization": "Basic YTpi"}, {"Authorization": "Digest username=x"}, {"Cookie": f"token={FILE_KEY}"},
        {"X-Forwarded-User": "admin"}, {"X-User-ID": "admin"}, {"X-API-Key": "eyJhbGciOiJub25lIn0.e30."},
        {"Authorization": "Bearer " + "x" * 20_000}, {"Authorization": "Bearer h\u00e9\u00e9"},
    ],
    ids=lambda head: str(head)[:40],
)  # fmt: skip
def test_what_is_no_credential_lets_nobody_in(folder: Path, headers: dict[str, str]) -> None:
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    with live(config(), folder) as server:
        answer = server.client.get("/agents", headers=raw)
        assert answer.status_code == 401
        assert "helper" not in answer.text
        assert server.client.get(f"/agents?token={FILE_KEY}&api_key={FILE_KEY}").status_code == 401


@pytest.mark.proves("auth.forged")
def test_two_credentials_in_one_header_are_one_too_many(server: Live) -> None:
    good, other = f"Bearer {FILE_KEY}", "Bearer a-key-for-operators"

    def answer(*heads: tuple[str, str], path: str = "/agents") -> int:
        return server.client.get(path, headers=httpx.Headers(heads)).status_code

    assert answer(("Authorization", good), ("Authorization", other)) == 401
    assert answer(("Authorization", other), ("Authorization", good)) == 401
    assert answer(("X-API-Key", FILE_KEY), ("X-API-Key", "a-key-for-operators")) == 401
    assert answer(("Authorization", good), ("Authorization", good)) == 200
    assert answer(("Authorization", "Basic YTpi"), ("Authorization", good)) == 200
    assert answer(("X-API-Key", "of-a-gateway-in-front"), ("Authorization", good)) == 200
    assert answer(("Authorization", good), ("Authorization", other), path="/health") == 200


@pytest.mark.proves("auth.attempts")
def test_guesses_are_counted_and_who_is_known_stays_in(folder: Path) -> None:
    with live(config(), folder) as server:
        assert status(server, bearer(FILE_KEY)) == 200
        answers = [server.client.get("/agents", headers=bearer(f"guess-{number}")) for number in range(MOST + 3)]
        assert [one.status_code for one in answers] == [401] * MOST + [429] * 3
        assert len({one.json()["error"]["message"] for one in answers[:MOST]}) == 1
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert status(server, bearer("a-key-for-operators")) == 429
        assert status(server, bearer(FILE_KEY)) == 200
        assert server.client.get("/agents/helper", headers=bearer("guess")).status_code == 200
        unlock = server.client.post("/admin/unlock", json={"code": "guess"})
        assert unlock.status_code == 429


@pytest.mark.proves("auth.revoked")
def test_a_revoked_key_is_refused_at_once(server: Live) -> None:
    key, token = add_key(server)
    assert status(server, bearer(token)) == 200

    async def revoke() -> None:
        await server.store.credentials.revoke(key.id)

    server.call(revoke)
    assert status(server, bearer(token)) == 401
    _, over = add_key(server, expires=SystemClock().now() - 1)
    assert status(server, bearer(over)) == 401
    other, _ = add_key(server)
    assert status(server, bearer(f"hk_{other.id}_{'x' * 43}")) == 401


@pytest.mark.proves("auth.unlock", "auth.secret-rotate")
def test_a_link_opens_once_and_a_new_secret_ends_all_of_it(folder: Path) -> None:
    clock = SystemClock()
    with live(config(), folder) as server:
        made = server.call(lambda: new_secret(server.store.credentials, clock, "test"))
        assert status(server, bearer(made.secret), "/admin/approvals") == 200
        opened = server.client.post("/admin/unlock", json={"code": made.code})
        assert opened.status_code == 200
        session = opened.json()["access_token"]
        assert status(server, bearer(session), "/admin/approvals") == 200
        assert server.client.post("/admin/unlock", json={"code": made.code}).status_code == 401
        later = server.call(lambda: one_time_code(server.store.credentials, clock))
        renewed = server.call(lambda: new_secret(server.store.credentials, clock, "test"))
        assert server.client.post("/admin/unlock", json={"code": later}).status_code == 401
        assert status(server, bearer(made.secret), "/admin/approvals") == 401
        assert status(server, bearer(session), "/admin/approvals") == 401
        assert status(server, bearer(renewed.secret), "/admin/approvals") == 200


@pytest.mark.proves("auth.unlock")
def test_a_session_is_ended_by_the_id_that_the_audit_log_names(folder: Path) -> None:
    with live(config(), folder) as server:

        async def code() -> str:
            return await one_time_code(server.store.credentials, SystemClock())

        opened = server.client.post("/admin/unlock", json={"code": server.call(code)}).json()["access_token"]
        assert status(server, bearer(opened), "/admin/keys") == 200
        told = server.client.get("/admin/audit?action=credential.use", headers=AS_ADMIN).json()["entries"]
        session = next(one["object"] for one in told if one["object"].removeprefix("credential:") in opened)
        path = f"/admin/keys/{session.removeprefix('credential:')}"
        assert server.client.delete(path, headers=AS_ADMIN).status_code == 204
        assert status(server, bearer(opened), "/admin/keys") == 401


@pytest.mark.proves("auth.secret")
def test_a_given_secret_is_the_only_one(folder: Path) -> None:
    with live(config(secret="given by the operator"), folder) as server:
        made = server.call(lambda: new_secret(server.store.credentials, SystemClock(), "an earlier start"))
        assert status(server, bearer("given by the operator"), "/admin/approvals") == 200
        assert status(server, bearer(made.secret), "/admin/approvals") == 401


@pytest.mark.proves("auth.visibility")
def test_internal_agents_exist_for_those_who_are_known(folder: Path) -> None:
    with live(config(require_auth=False), folder) as server:
        for headers, names in (({}, ["helper"]), (bearer(FILE_KEY), ["helper", "inner"])):
            cards = server.client.get("/agents", headers=headers).json()["agents"]
            assert [card["name"] for card in cards] == names
            for agent in ("inner", "hidden"):
                seen = agent in names
                assert status(server, headers, f"/agents/{agent}") == (200 if seen else 404)
                sent = server.client.post(f"/agents/{agent}/message:send", json=SEND, headers=headers)
                assert sent.status_code == (200 if seen else 404)
                assert server.rpc("SendMessage", SEND, agent, **headers).status_code == (200 if seen else 404)
        assert server.client.get("/agents", headers=bearer("wrong")).status_code == 401


@pytest.mark.proves("auth.visibility")
def test_anonymous_callers_and_users_have_their_own_tasks(folder: Path) -> None:
    with live(config(require_auth=False), folder) as server:
        mine = server.client.post(f"{AGENT}/message:send", json=SEND, headers=bearer(FILE_KEY)).json()["task"]
        assert status(server, bearer(FILE_KEY), f"/tasks/{mine['id']}") == 200
        for headers in ({}, bearer("a-key-for-operators")):
            assert status(server, headers, f"/tasks/{mine['id']}") == 404
            body = {"message": user(contextId=mine["contextId"], taskId=mine["id"])}
            assert server.client.post(f"{AGENT}/message:send", json=body, headers=headers).status_code == 404


@pytest.mark.proves("auth.excluded")
def test_excluded_paths_take_no_credential(folder: Path) -> None:
    with live(config(excluded_paths=["/agents/helper/*", "/agents"]), folder) as server:
        assert server.client.post(f"{AGENT}/message:send", json=SEND).status_code == 200
        assert status(server, {}) == 200
        assert server.client.post("/message:send", json=SEND).status_code == 401
        for path in (AGENT, f"{AGENT}/"):  # one endpoint, as its card names it and as some clients write it
            assert server.client.post(path, json={}).status_code == 200
        assert server.client.post("/agents/helpers", json={}).status_code == 401
        assert status(server, {}, "/admin/approvals") == 401
        assert server.client.post("/agents/helper/../inner/message:send", json=SEND).status_code in (401, 404)
        assert server.client.post("/agents/inner/message:send", json=SEND).status_code == 401


@pytest.mark.proves("auth.jwks-away")
def test_a_server_starts_without_its_provider_and_heals(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hector.auth.provider.AGAIN", 0.0)
    with issuing() as issuer:
        issuer.down = True
        with live(config(issuer.url), folder) as server:
            away = server.client.get("/agents", headers=bearer(issuer.token()))
            assert away.status_code == 503
            assert "identity provider" in away.json()["error"]["message"]
            assert status(server, {}, "/readyz") == 200
            assert status(server, bearer(FILE_KEY)) == 200
            issuer.down = False
            assert status(server, bearer(issuer.token())) == 200


@pytest.mark.proves("auth.claims")
def test_the_user_is_the_subject_whatever_the_message_says(server: Live, issuer: Issuer) -> None:
    ada, eve = bearer(issuer.token()), bearer(issuer.token(sub="eve"))
    body = {"message": user(metadata={"user_id": "eve", "user": "eve", "role": "admin"}), "metadata": {"user": "eve"}}
    task = server.client.post(f"{AGENT}/message:send", json=body, headers=ada).json()["task"]
    assert status(server, ada, f"/tasks/{task['id']}") == 200
    assert status(server, eve, f"/tasks/{task['id']}") == 404
    assert status(server, {**eve, "X-User-ID": "ada"}, f"/tasks/{task['id']}") == 404


@pytest.mark.proves("auth.cards")
def test_cards_and_health_say_how_to_authenticate(server: Live, issuer: Issuer) -> None:
    card = server.client.get("/agents/helper").json()
    assert set(card["securitySchemes"]) == {"bearer", "apiKey", "openIdConnect"}
    assert card["securityRequirements"][0] == {"schemes": {"bearer": {"list": []}}}
    old = server.client.get("/agents/helper/.well-known/agent.json").json()
    assert old["security"][0] == {"bearer": []}
    assert old["securitySchemes"]["bearer"]["type"] == "http"
    health = server.client.get("/health").json()
    assert health == {
        "status": "ok",
        "auth": {"enabled": True, "admin": True, "type": "jwt", "issuer": issuer.url, "audience": AUDIENCE},
    }
    assert server.client.get("/health", headers=bearer(FILE_KEY)).json()["agents"] == 2


@pytest.mark.proves("admin.jwks", "auth.rotation")
def test_public_keys_are_public_and_rotated_by_admins(server: Live, tmp_path: Path) -> None:
    first = server.client.get("/admin/jwks").json()["keys"]
    rotated = server.client.post("/admin/jwks/rotate", headers=AS_ADMIN)
    assert rotated.status_code == 201
    keys = server.client.get("/admin/jwks").json()["keys"]
    assert [key["kid"] for key in keys] == [rotated.json()["kid"], *(key["kid"] for key in first)]


def test_who_is_known_is_not_looked_up_again(server: Live) -> None:
    auth = server.app.routes[0].app.gate.authenticator  # type: ignore[attr-defined]
    _, token = add_key(server)

    async def principal() -> Principal:
        found: Principal = await auth.check(token, "127.0.0.1")
        assert auth.known(token) == found
        assert all(token.encode() not in name for name in auth._known)
        return found

    found = server.call(principal)
    assert (found.subject, found.role, found.app, found.user) == ("key:made", Role.USER, "default", "made")
    assert KEPT <= 10
    assert ADMIN.app is None


def test_errors_name_no_secret(server: Live) -> None:
    async def tries() -> list[str]:
        auth = server.app.routes[0].app.gate.authenticator  # type: ignore[attr-defined]
        said: list[str] = []
        for wrong in ("geheim-1", "hk_0123456789abcdef_geheim-1", "eyJnZWhlaW0tMQ.e30.x"):
            try:
                await auth.check(wrong, "10.9.8.7")
            except HectorError as error:
                said.append(str(error))
        return said

    said = server.call(tries)
    assert len(said) == 3
    assert not [text for text in said if "geheim" in text]


@pytest.mark.proves("auth.keys", "auth.revoked")
def test_keys_are_made_listed_and_revoked_over_http(server: Live) -> None:
    body = {"name": "nightly", "role": "operator", "user_id": "robot", "expires_in": 3600}
    made = server.client.post("/admin/keys", json=body, headers=AS_ADMIN)
    assert made.status_code == 201, made.text
    key = made.json()
    assert (key["name"], key["role"], key["app_id"], key["user_id"]) == ("nightly", "operator", None, "robot")
    assert status(server, bearer(key["key"]), "/admin/approvals") == 200
    assert status(server, bearer(key["key"]), "/admin/keys") == 403
    listed: list[dict[str, Any]] = []
    token = ""
    while token or not listed:
        query: dict[str, str | int] = {"page_size": 1, **({"page_token": token} if token else {})}
        page = server.client.get("/admin/keys", params=query, headers=AS_ADMIN).json()
        listed += page["keys"]
        token = page["next_page_token"]
    assert key["id"] in {one["id"] for one in listed}
    assert not [one for one in listed if {"key", "hash"} & one.keys()]
    assert server.client.delete(f"/admin/keys/{key['id']}", headers=AS_ADMIN).status_code == 204
    assert status(server, bearer(key["key"]), "/admin/approvals") == 401
    assert server.client.delete("/admin/keys/none", headers=AS_ADMIN).status_code == 404
    for wrong in (
        {},
        {"name": ""},
        {"name": "x", "role": "root"},
        {"name": "x", "app_id": "a b"},
        {"name": "x", "hash": "y"},
    ):
        assert server.client.post("/admin/keys", json=wrong, headers=AS_ADMIN).status_code == 400


@pytest.mark.proves("auth.roles")
def test_an_admin_of_one_app_has_no_right_over_the_server(server: Live, issuer: Issuer) -> None:
    everywhere, bound = (bearer(issuer.token(role="admin", tenant_id=app)) for app in (None, "default"))
    assert status(server, everywhere, "/admin/keys") == 200
    assert status(server, bound, "/admin/keys") == 403
    assert status(server, bound, "/admin/sessions") == 200


@pytest.mark.proves("auth.attempts")
def test_behind_a_trusted_proxy_the_client_is_counted(folder: Path) -> None:
    made = config()
    made["server"] |= {"trusted_proxies": {"networks": ["127.0.0.1"]}}
    with live(made, folder) as server:
        for number in range(MOST + 1):
            head = {**bearer(f"guess-{number}"), "X-Forwarded-For": "203.0.113.7"}
            expected = 429 if number == MOST else 401
            assert status(server, head) == expected
        assert status(server, {**bearer("guess"), "X-Forwarded-For": "203.0.113.8"}) == 401
