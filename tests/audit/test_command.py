"""`hector audit` beside or without a server."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.smoke.frontdoor import FORMS, ROOT, Hector
from tests.web.live import AS_ADMIN, helper, live


@pytest.mark.proves("audit.command")
def test_the_log_is_listed_exported_and_verified(tmp_path: Path) -> None:
    with live(helper({"text": "hi"}), tmp_path) as server:
        for at in range(3):
            server.send(contextId=f"c-{at}", messageId=f"m-{at}")
            server.client.delete(f"/admin/sessions/c-{at}", headers=AS_ADMIN)
    hector = Hector(FORMS["source"], tmp_path, {"PYTHONPATH": str(ROOT)})
    place = ("--database", f"sqlite://{tmp_path / 'hector.db'}")

    def audit(*arguments: str, code: int = 0) -> str:
        done = hector.run("audit", *arguments, *place)
        assert done.returncode == code, done.stderr
        return done.stdout

    listed = json.loads(audit("list", "--json", "--action", "session.delete"))["entries"]
    assert [one["object"] for one in listed] == ["session:c-2", "session:c-1", "session:c-0"]
    assert "session.delete" in audit("list", "--outcome", "ok", "--limit", "2")
    rows = [json.loads(line) for line in audit("export").splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    export = tmp_path / "export.jsonl"
    audit("export", "-o", str(export))
    assert export.stat().st_mode & 0o777 == 0o600
    anchor = f"{rows[-1]['seq']}:{rows[-1]['hash']}"
    assert f"anchor: {anchor}" in audit("verify", "--anchor", anchor, "--anchors", str(export))
    with sqlite3.connect(tmp_path / "hector.db") as con:
        con.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    con.close()
    verdict = json.loads(audit("verify", "--json", code=1))
    assert (verdict["holds"], verdict["flaw"]["seq"], verdict["flaw"]["kind"]) == (False, 2, "changed")
    assert "row 2 was changed" in audit("verify", code=1)
    assert hector.run("audit", "verify", "--anchor", "x", *place).returncode == 2
    assert hector.run("audit", "list", "--limit", "0", *place).returncode == 2
