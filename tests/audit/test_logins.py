"""Who came in with which credential from where, and what was refused: once an hour each."""

from pathlib import Path

import pytest

from tests.web.live import AS_ADMIN, helper, live

CONFIG = {
    **helper({"text": "hi"}),
    "server": {"auth": {"api_keys": [{"name": "ana", "key": "key-of-ana-0123456789", "role": "user"}]}},
}


@pytest.mark.proves("audit.logins")
def test_uses_of_credentials_are_noted_once(tmp_path: Path) -> None:
    with live(CONFIG, tmp_path) as server:
        ana = {"X-API-Key": "key-of-ana-0123456789"}
        for _ in range(3):
            assert server.client.get("/agents/helper/tasks", headers=ana).status_code == 200
            assert server.client.get("/agents/helper/tasks", headers={"X-API-Key": "wrong"}).status_code in (401, 429)
            assert server.client.get("/admin/audit", headers=ana).status_code == 403
        entries = server.client.get("/admin/audit?action=credential.use", headers=AS_ADMIN).json()["entries"]
    told = [(one["outcome"], one["actor"], one["object"]) for one in reversed(entries)]
    assert told == [
        ("ok", "user key:ana (ana)", "credential:ana"),
        ("refused", "unknown", "address:127.0.0.1"),
        ("refused", "user key:ana (ana)", "credential:ana"),
        ("ok", "admin admin (admin)", "credential:admin"),
    ]
    assert entries[1]["detail"] == {"right": "admin", "path": "/admin/audit", "method": "GET", "address": "127.0.0.1"}
    assert "wrong" not in str(entries)
