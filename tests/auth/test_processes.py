"""Whole servers: what the first start prints, what a restart keeps, and what two processes on one database agree on."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smoke.frontdoor import FORMS, Hector, Server, answer_text, request
from tests.smoke.test_frontdoor import SCRIPTED, write

SEED = "a seed that both instances share"
SECRET = "Xk3-ow9fGmn2-48sjA1qzVb0"


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    return Hector(FORMS["source"], tmp_path)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def shown(server: Server) -> tuple[str, str]:
    """The secret and the code that a first start has printed."""
    secret = re.search(r"admin secret +(\S+)", server.text())
    code = re.search(r"#unlock=(\S+)", server.text())
    assert secret is not None, server.text()
    assert code is not None, server.text()
    return secret[1], code[1]


def eventually_refused(url: str, token: str) -> None:
    """The server looks at credentials again after seconds."""
    deadline = time.monotonic() + 60
    while request(url, headers=bearer(token)).status != 401:
        assert time.monotonic() < deadline, "still let in"
        time.sleep(0.1)  # another process changed the database; nothing announces that


@pytest.mark.proves("auth.first-start", "auth.secret-rotate")
def test_the_secret_is_printed_once_and_kept_as_a_hash(hector: Hector, tmp_path: Path) -> None:
    config = write(tmp_path, SCRIPTED)
    with hector.serve("--config", config, "--log-level", "debug", "--log-file", "server.log") as server:
        secret, code = shown(server)
        admin = f"{server.url}/admin/approvals"
        assert request(admin).status == 401
        assert request(admin, headers=bearer(secret)).status == 200
        opened = request(f"{server.url}/admin/unlock", {"code": code})
        assert request(admin, headers=bearer(opened.json()["access_token"])).status == 200
        assert answer_text(server.say("parrot", "ping")) == "pong"
        server.stop()
    written = b"".join(path.read_bytes() for path in (tmp_path / ".hector").rglob("*") if path.is_file())
    assert secret.encode() not in written
    assert code.rpartition("_")[2].encode() not in written
    assert secret not in (tmp_path / "server.log").read_text()
    with hector.serve("--config", config) as server:
        assert "admin secret" not in server.text().partition("ready")[2]
        admin = f"{server.url}/admin/approvals"
        assert request(admin, headers=bearer(secret)).status == 200
        rotated = hector.run("secret", "rotate", "--config", config, "--json")
        new = re.search(r'"admin secret": "(\S+)"', rotated.stdout)
        assert new is not None, rotated.stderr
        eventually_refused(admin, secret)
        assert request(admin, headers=bearer(new[1])).status == 200
        assert "hector secret rotate" in hector.run("secret", "origin", "--config", config).stdout
        assert "#unlock=" in hector.run("secret", "link", "--config", config).stdout
        told = request(f"{server.url}/admin/audit", headers=bearer(new[1])).json()["entries"]
        assert [one["action"] for one in told if one["via"] == "cli"] == ["secret.link", "secret.rotate"]


@pytest.mark.proves("auth.first-start", "auth.keys", "auth.revoked")
def test_keys_are_made_and_revoked_beside_a_server(hector: Hector, tmp_path: Path) -> None:
    config = write(tmp_path, SCRIPTED)
    with hector.serve("--config", config, "--require-auth") as server:
        agents = f"{server.url}/agents"
        assert request(agents).status == 401
        made = hector.run("key", "create", "ci", "--config", config, "--expires", "1h")
        key = made.stdout.splitlines()[0]
        assert request(agents, headers=bearer(key)).status == 200
        chat = hector.run("chat", "--url", server.url, "--token", key, text="ping")
        assert (chat.returncode, chat.stdout.strip()) == (0, "pong")
        refused = hector.run("chat", "--url", server.url, text="ping")
        assert (refused.returncode, "--token" in refused.stderr) == (1, True)
        listed = hector.run("key", "list", "--config", config).stdout
        key_id = key.split("_")[1]
        assert key_id in listed
        assert key not in listed
        assert hector.run("key", "revoke", key_id, "--config", config).returncode == 0
        eventually_refused(agents, key)
        assert "revoked" in hector.run("key", "list", "--config", config).stdout
        assert hector.run("key", "revoke", "nothing", "--config", config).returncode == 1
        assert hector.run("secret", "link", "--config", config).returncode == 0
        noted = json.loads(hector.run("audit", "list", "--config", config, "--json").stdout)["entries"]
        found = {one["action"]: (one["actor"].split()[0], one["app"]) for one in noted if one["via"] == "cli"}
        assert found == {"key.create": ("cli", "default"), "key.revoke": ("cli", "default"), "secret.link": ("cli", "")}


@pytest.mark.proves("auth.weak-secret")
def test_a_weak_secret_is_warned_about_and_never_logged(tmp_path: Path) -> None:
    hector = Hector(FORMS["source"], tmp_path, {"HECTOR_AUTH_SECRET": "hunter2-hunter2"})
    with hector.serve("--config", write(tmp_path, SCRIPTED), "--log-level", "debug") as server:
        assert request(f"{server.url}/agents", headers=bearer("hunter2-hunter2")).status == 200
        assert request(f"{server.url}/agents").status == 401
        server.stop()
        assert "can be guessed" in server.text()
        assert "hunter2" not in server.text()
        assert "admin secret  " not in server.text()
    refused = hector.run("secret", "rotate", "--config", "agents.yaml")
    assert refused.returncode == 2
    assert "HECTOR_AUTH_SECRET" in refused.stderr


@pytest.fixture
def pair(tmp_path: Path, postgres_ready: str) -> Iterator[tuple[Hector, Server, Server]]:
    """Two servers on one database, each with a folder of its own, that share a seed and a secret."""
    shared = {"HECTOR_AUTH_SIGNING_SEED": SEED, "HECTOR_AUTH_SECRET": SECRET, "HECTOR_DATABASE": str(postgres_ready)}
    made = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, SCRIPTED)
        made.append(Hector(FORMS["source"], tmp_path / name, shared))
    config = str(tmp_path / "one" / "agents.yaml")
    with made[0].serve("--config", config) as one, made[1].serve("--config", config) as other:
        yield made[0], one, other


@pytest.mark.proves("cli.auth-signing-seed", "auth.revoked")
def test_two_processes_agree(pair: tuple[Hector, Server, Server]) -> None:
    hector, one, other = pair
    keys = [request(f"{server.url}/admin/jwks").json() for server in (one, other)]
    assert keys[0] == keys[1]
    admin = bearer(SECRET)
    body = {"name": "Shop", "id": "shop"}
    created = request(f"{one.url}/admin/apps", body, admin)
    assert created.status == 201, created.body
    token = created.json()["access_token"]
    for server in (one, other):
        assert request(f"{server.url}/agents", headers=bearer(token)).status == 200
    renewed = request(f"{one.url}/admin/apps/shop/token", {}, admin).json()["access_token"]
    for server in (one, other):
        eventually_refused(f"{server.url}/agents", token)
        assert request(f"{server.url}/agents", headers=bearer(renewed)).status == 200
    key = hector.run("key", "create", "both").stdout.splitlines()[0]
    for server in (one, other):
        assert request(f"{server.url}/agents", headers=bearer(key)).status == 200
    assert hector.run("key", "revoke", key.split("_")[1]).returncode == 0
    for server in (one, other):
        eventually_refused(f"{server.url}/agents", key)


@pytest.mark.proves("auth.jwks-away")
def test_a_server_says_at_its_start_that_the_provider_is_away(hector: Hector, tmp_path: Path) -> None:
    flags = ("--auth-issuer", "http://127.0.0.1:1/", "--auth-audience", "hector-api")
    with hector.serve("--config", write(tmp_path, SCRIPTED), *flags) as server:
        token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30.AAAA"
        away = request(f"{server.url}/agents", headers=bearer(token))
        assert (away.status, "127.0.0.1:1" in away.json()["error"]["message"]) == (503, True)
        assert request(f"{server.url}/agents").status == 401
        assert server.stop() == 0
        assert "cannot read the identity provider's keys" in server.text()
