"""Every route of the application, called without a credential: the public ones answer, all others do not."""

import re
from pathlib import Path
from typing import Any

import pytest

from hector.auth.access import Access
from hector.web.admin import Admin
from hector.web.identity import Guarded
from tests.web.live import Live, helper, live

FILLED = {"agent": "agents/helper/", "tenant": "", "end": "", "rest": "", "task": "t-1", "path": "x"}
"""What stands for a placeholder with a convertor."""
_PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
ASKING = {
    **helper({"text": "hi"}),
    "server": {"auth": {"require_auth": True}},
    "observability": {"metrics": {"enabled": True}},
}


def routes(server: Live) -> list[tuple[str, str, Access]]:
    """Method, path and right of all routes, those behind the entrance of the Admin API included."""
    found: list[tuple[str, str, Access]] = []
    for route in server.app.routes:
        assert isinstance(route, Guarded), f"{route} is guarded by nobody"
        rows = route.endpoint.rows() if isinstance(route.endpoint, Admin) else [route]
        found += [(method, filled(row.path), row.access) for row in rows for method in sorted(row.methods or ())]
    return list(dict.fromkeys(found))


def filled(path: str) -> str:
    return _PLACE.sub(lambda place: FILLED[place[2]] if place[2] else {"agent": "helper"}.get(place[1], "x"), path)


def call(server: Live, method: str, path: str, **head: str) -> Any:
    with server.client.stream(method, path, headers=head) as answer:
        return answer


@pytest.mark.proves("admin.routes")
def test_only_public_routes_answer_without_a_credential(folder: Path) -> None:
    with live(ASKING, folder) as server:
        found = routes(server)
        for method, path, access in found:
            status = call(server, method, path).status_code
            if access is Access.PUBLIC:
                assert status not in (401, 403), (method, path)
            else:
                assert status == 401, (method, path, status)
        public = sorted(path for method, path, access in found if access is Access.PUBLIC and method != "HEAD")
        print(f"{len(found)} methods of routes, {len(public)} of them public: {', '.join(public)}")
    assert len(found) > 60
    assert ("GET", "/metrics", Access.METRICS) in found
    assert {path for path in public if path.startswith("/admin")} == {"/admin/jwks", "/admin/unlock"}
    assert len(set(public)) <= 13, "what is public is a short list; whoever makes it longer says so here"


@pytest.mark.proves("admin.routes")
@pytest.mark.parametrize(
    "head",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"X-API-Key": ""},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-User": "admin"},
        {"Cookie": "token=admin"},
    ],
    ids=str,
)
def test_what_is_no_credential_opens_nothing(folder: Path, head: dict[str, str]) -> None:
    with live(ASKING, folder) as server:
        guarded = [(method, path) for method, path, access in routes(server) if access is not Access.PUBLIC]
        for method, path in guarded:
            answer = call(server, method, path, **head)
            assert answer.status_code in (401, 429), (method, path)  # wrong ones are throttled after a while
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.proves("admin.routes")
def test_the_admin_api_asks_also_where_agents_do_not(folder: Path) -> None:
    with live({**helper({"text": "hi"}), "observability": ASKING["observability"]}, folder) as server:
        for method, path, access in routes(server):
            if access not in (Access.PUBLIC, Access.AGENTS):
                assert call(server, method, path).status_code == 401, (method, path)
        assert server.send()["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.proves("admin.audited")
def test_every_change_has_a_name_in_the_audit_log(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        server.client.get("/openapi.json")
        (admin,) = {route.endpoint for route in server.app.routes if isinstance(route.endpoint, Admin)}  # type: ignore[attr-defined]
        rows = [row.declared for row in admin.rows()]
    unnamed = [f"{row.method} {row.path}" for row in rows if row.method != "GET" and not row.action]
    assert unnamed == []
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", row.action) for row in rows if row.action)
