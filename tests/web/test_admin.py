"""Who may use the admin pages, and under which names the server is reached."""

from pathlib import Path

import pytest

from tests.web.live import AS_ADMIN, helper, live


@pytest.mark.proves("approval.admin")
def test_the_inbox_of_approvals_takes_a_credential(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        refused = server.client.get("/admin/approvals")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert server.client.get("/admin/approvals", headers=AS_ADMIN).json() == {
            "approvals": [],
            "next_page_token": "",
            "next": None,
        }


@pytest.mark.proves("approval.admin")
@pytest.mark.parametrize("key", ["0", "9" * 18, "9" * 19, "9" * 30, "9" * 5000, "-1", "1e3", "x", "\u0663", "%00"])
def test_a_key_that_is_none_is_not_found(folder: Path, key: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get(f"/admin/approvals/{key}", headers=AS_ADMIN).status_code == 404
        decided = server.client.post(f"/admin/approvals/{key}", json={"decision": "approve"}, headers=AS_ADMIN)
        assert decided.status_code == 404


@pytest.mark.proves("auth.host")
@pytest.mark.parametrize(
    "name",
    ["[::1", "[bad", "localhost@evil.example", "evil.example#localhost", "127.0.0.1.evil.example", "rebound.example"],
)
def test_a_name_that_is_not_ours_is_refused_on_loopback(folder: Path, name: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        for path in ("/agents", "/health", "/admin/approvals"):
            assert server.client.get(path, headers={"Host": name, **AS_ADMIN}).status_code == 403
        for origin in (f"http://{name}", "null", ""):
            assert server.client.get("/healthz", headers={"Origin": origin, "Host": name}).status_code == 403


@pytest.mark.proves("auth.host")
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:1", "[::1]:8080"])
def test_names_of_this_machine_are_ours(folder: Path, name: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get("/agents", headers={"Host": name}).status_code == 200


@pytest.mark.proves("auth.host")
@pytest.mark.parametrize(
    "settings", [{"public_url": "https://agents.example"}, {"allowed_hosts": ["Agents.Example", "other.example"]}]
)
def test_names_that_are_configured_are_ours(folder: Path, settings: dict[str, object]) -> None:
    with live({**helper({"text": "hi"}), "server": settings}, folder) as server:
        for name in ("agents.example", "AGENTS.example:443", "localhost"):
            assert server.client.get("/agents", headers={"Host": name}).status_code == 200
        page = {"Host": "agents.example", "Origin": "https://agents.example"}
        assert server.client.get("/agents", headers=page).status_code == 200
        assert server.client.get("/agents", headers={"Host": "evil.example"}).status_code == 403
