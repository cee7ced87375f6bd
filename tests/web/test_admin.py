"""Who may use the admin pages while nobody can be authenticated: programs on this machine, and nothing in front."""

import socket
from pathlib import Path

import pytest

from tests.web.live import helper, live

pytestmark = pytest.mark.proves("approval.admin")


def test_a_public_address_means_a_proxy(folder: Path) -> None:
    config = {**helper({"text": "hi"}), "server": {"public_url": "https://agents.example"}}
    with live(config, folder) as server:
        refused = server.client.get("/admin/approvals")
        assert refused.status_code == 403
        assert "hector approve" in refused.text


@pytest.mark.parametrize(("version", "status"), [("1.0", b"403"), ("1.1", b"200")])
def test_a_proxy_that_says_nothing_is_known_by_its_version(folder: Path, version: str, status: bytes) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        host, port = server.client.base_url.host, server.client.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(
                f"GET /admin/approvals HTTP/{version}\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
            )
            assert connection.recv(4096).split()[1] == status


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Port", "X-Real-IP", "CF-Ray", "CDN-Loop"]
)
def test_what_was_forwarded_is_refused(folder: Path, header: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get("/admin/approvals", headers={header: "203.0.113.7"}).status_code == 403
        assert server.client.get("/admin/approvals", headers={"Host": "rebound.example"}).status_code == 403
        assert server.client.get("/admin/approvals", headers={"Host": "localhost"}).json() == {
            "approvals": [],
            "next": None,
        }


@pytest.mark.parametrize("key", ["0", "9" * 18, "9" * 19, "9" * 30, "9" * 5000, "-1", "1e3", "x", "\u0663", "%00"])
def test_a_key_that_is_none_is_not_found(folder: Path, key: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get(f"/admin/approvals/{key}").status_code == 404
        assert server.client.post(f"/admin/approvals/{key}", json={"decision": "approve"}).status_code == 404


@pytest.mark.parametrize(
    "name", ["[::1", "[bad", "localhost@evil.example", "evil.example#localhost", "127.0.0.1.evil.example"]
)
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        assert server.client.get("/admin/approvals", headers={"Host": name}).status_code == 403
        for origin in (f"http://{name}", "null", ""):
            assert server.client.get("/healthz", headers={"Origin": origin, "Host": name}).status_code == 403
