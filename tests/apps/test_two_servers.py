"""Apps on two server processes over one PostgreSQL: what one changes holds on the other."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.apps.test_precedence import ARGS, SECRET, config, eventually, write
from tests.smoke.frontdoor import FORMS, PATIENCE, Hector

ADMIN: Final = {"Authorization": f"Bearer {SECRET}"}
SLOW: Final = {"user": "slow", "text": "one two three four five six seven eight nine ten", "pace": "150ms"}


def slow(name: str) -> str:
    """A configuration that answers slowly where it is asked to."""
    value = json.loads(config(f"I am {name}"))
    value["llms"]["default"]["rules"].insert(0, SLOW)
    return json.dumps(value)


@contextmanager
def two(tmp_path: Path, dsn: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Two servers, and a client of each."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    # The keys of both must be the same, as --auth-signing-seed says.
    args = (*ARGS, "--database", dsn, "--auth-signing-seed", "a-seed-for-both-of-the-servers-of-this-test")
    first, second = Hector(FORMS["source"], tmp_path / "1"), Hector(FORMS["source"], tmp_path / "2")
    for one in (first, second):
        write(one, "file", tenants={"patterns": True})
    with (
        first.serve(*args) as left,
        second.serve(*args) as right,
        httpx.Client(base_url=left.url, timeout=PATIENCE) as a,
        httpx.Client(base_url=right.url, timeout=PATIENCE) as b,
    ):
        yield a, b


def send(client: httpx.Client, token: str, text: str = "hi") -> httpx.Response:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
    return client.post("/message:send", json={"message": message}, headers={"Authorization": f"Bearer {token}"})


def answer(client: httpx.Client, token: str) -> str:
    found: Any = send(client, token).json()
    return str(found["task"]["artifacts"][0]["parts"][0]["text"]) if "task" in found else ""


@pytest.mark.proves("tenant.apps", "tenant.swap", "tenant.jwt")
def test_what_one_server_changes_holds_on_the_other(tmp_path: Path, postgres_ready: str) -> None:
    with two(tmp_path, postgres_ready) as (one, other):
        made = one.post("/admin/apps", json={"id": "a", "name": "A", "config": slow("first")}, headers=ADMIN)
        assert made.status_code == 201, made.text
        token = made.json()["access_token"]
        assert answer(other, token) == answer(one, token) == "I am first"
        lines: list[str] = []
        reading = threading.Thread(target=stream, args=(other, token, lines))
        reading.start()
        eventually(lambda: bool(lines))
        one.put("/admin/apps/a", json={"config": slow("second")}, headers=ADMIN).raise_for_status()
        assert answer(one, token) == "I am second"
        eventually(lambda: answer(other, token) == "I am second")
        one.post("/admin/apps/a/status", json={"status": "suspended"}, headers=ADMIN).raise_for_status()
        eventually(lambda: send(other, token).status_code == 403)
        reading.join(PATIENCE)
        assert "ten" in "".join(lines[-3:])
        other.post("/admin/apps/a/status", json={"status": "active"}, headers=ADMIN).raise_for_status()
        eventually(lambda: send(one, token).status_code == 200)
        fresh = one.post("/admin/apps/a/token", headers=ADMIN).json()["access_token"]
        assert answer(one, fresh) == "I am second"
        eventually(lambda: send(other, token).status_code == 401)
        assert answer(other, fresh) == "I am second"
        assert other.delete("/admin/apps/a", headers=ADMIN).status_code == 204
        eventually(lambda: send(one, fresh).status_code == 401)
        assert one.get("/admin/apps/a", headers=ADMIN).status_code == 404
        assert send(one, SECRET).status_code == 200


def stream(client: httpx.Client, token: str, lines: list[str]) -> None:
    """Read a slow answer to its end."""
    message = {"messageId": "s", "role": "ROLE_USER", "parts": [{"text": "slow"}]}
    headers = {"Authorization": f"Bearer {token}"}
    with client.stream("POST", "/message:stream", json={"message": message}, headers=headers) as found:
        lines += [line for line in found.iter_lines() if line.startswith("data")]
