"""Planted secrets are found nowhere but where they have to be: tables, logs, streams, answers, exports, backups.

A server on PostgreSQL is given a secret of every kind; features are used, some of them so that they fail and quote what
they were given; then everything that was written or answered is searched, also for base64 and URL forms. The few places
where a secret has to stand, such as the one answer that shows a new token, are listed in ALLOWED.
"""

import base64
import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from tests.postgres import PASSWORD
from tests.smoke.frontdoor import FORMS, ROOT, Hector, Server
from tests.web.live import user

NAMES: Final = (
    *("provider_env", "provider_file", "provider_header", "admin_secret", "file_key_admin", "file_key_user"),
    *("signing_seed", "push_token", "push_credentials", "wrong_credential", "basic_password", "query_token"),
    *("cookie", "environment", "app_config_key", "failed_app_config_key", "wrong_code"),
)
CANARY: Final = {name: f"canary-{name.replace('_', '-')}-{at:02}-Zq7" for at, name in enumerate(NAMES)} | {
    "dsn_password": PASSWORD
}
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "push_token": frozenset({"table push_configs", "answer to the owner"}),
    "push_credentials": frozenset({"table push_configs", "answer to the owner"}),
    "app_config_key": frozenset({"table app_configs"}),
    "created_key": frozenset({"the answer that makes it"}),
    "app_token": frozenset({"the answer that makes it"}),
    "second_app_token": frozenset({"the answer that makes it"}),
}
"""Where a secret has to stand: what is sent on later, what a configuration needs, what is shown once."""


class _Echo(BaseHTTPRequestHandler):
    """A provider that refuses every call and quotes its headers, as some do."""

    def do_POST(self) -> None:
        text = json.dumps({"error": {"message": f"refused: {dict(self.headers)}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def echo() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def configuration(provider: str) -> dict[str, Any]:
    openai = {"provider": "openai", "model": "m", "base_url": provider, "retry": {"max_attempts": 1}}
    saved = {"name": "a.txt", "text": "x"}
    return {
        "llms": {
            "default": {
                "provider": "scripted",
                "rules": [
                    {"user": "save", "turn": 0, "tool_calls": [{"name": "save_artifact", "args": saved}]},
                    {"user": "ask", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "and?"}}]},
                    {"text": "hi"},
                ],
            },
            "env": {**openai, "api_key": "${PROVIDER_KEY}"},
            "file": {
                **openai,
                "api_key": CANARY["provider_file"],
                "headers": {"X-Gateway-Token": CANARY["provider_header"]},
            },
        },
        "tools": {"save_artifact": {"type": "function", "handler": "save_artifact", "require_approval": True}},
        "agents": {
            "helper": {"instruction": "Help.", "tools": ["save_artifact", "ask_user"]},
            "by_env": {"instruction": "Help.", "llm": "env"},
            "by_file": {"instruction": "Help.", "llm": "file"},
        },
        "server": {
            "auth": {
                "secret": CANARY["admin_secret"],
                "signing_seed": [CANARY["signing_seed"]],
                "api_keys": [
                    {"name": "root", "key": CANARY["file_key_admin"], "role": "admin"},
                    {"name": "ana", "key": CANARY["file_key_user"], "role": "user"},
                ],
            },
            "push_notifications": {"enabled": True, "allow_private": True},
        },
    }


class Finds:
    """Everything that was seen, by place."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}
        self.secrets = dict(CANARY)

    def add(self, place: str, text: str) -> None:
        self.seen.setdefault(place, []).append(text)

    def leaks(self) -> list[str]:
        """Secret and place, of each that stands where it must not."""
        found = []
        for name, secret in self.secrets.items():
            forms = {secret, quote(secret, ""), base64.b64encode(secret.encode()).decode().rstrip("=")}
            for place, texts in self.seen.items():
                if place in ALLOWED.get(name, ()):
                    continue
                if any(form in text for form in forms for text in texts):
                    found.append(f"{name} in {place}")
        return found


def use(server: Server, finds: Finds) -> None:
    """Use everything, also wrongly."""
    for label, head in (("user", CANARY["file_key_user"]), ("admin", CANARY["admin_secret"])):
        with httpx.Client(base_url=server.url, headers={"X-API-Key": head}, timeout=30) as client:
            _talk(client, finds)
            if label == "admin":
                _administer(client, finds)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        heads: tuple[dict[str, str], ...] = (
            {"X-API-Key": CANARY["wrong_credential"]},
            {"Authorization": f"Bearer {CANARY['wrong_credential']}"},
            {"Authorization": "Basic " + base64.b64encode(f"a:{CANARY['basic_password']}".encode()).decode()},
            {"Cookie": f"token={CANARY['cookie']}"},
        )
        for wrong in heads:
            finds.add("answer to nobody", client.get("/admin/audit", headers=wrong).text)
        url = f"/admin/sessions?access_token={CANARY['query_token']}"
        finds.add("answer to nobody", client.get(url).text)
        finds.add("answer to nobody", client.post("/admin/unlock", json={"code": CANARY["wrong_code"]}).text)


def _talk(client: httpx.Client, finds: Finds) -> None:
    waiting = []
    for agent in ("helper", "by_env", "by_file"):
        for text in ("hello", "save", "ask"):
            sent = client.post(f"/agents/{agent}/message:send", json={"message": user(text)})
            assert sent.status_code == 200, sent.text
            finds.add("answer of an agent", sent.text)
            waiting.append((agent, sent.json()["task"]))
        with client.stream("POST", f"/agents/{agent}/message:stream", json={"message": user("hello")}) as stream:
            finds.add("stream", "".join(stream.iter_text()))
    agent, task = next(one for one in reversed(waiting) if "INPUT" in one[1]["status"]["state"])
    place = f"/agents/{agent}/tasks/{task['id']}/pushNotificationConfigs"
    push = {
        "url": "http://127.0.0.1:9/away",
        "token": CANARY["push_token"],
        "authentication": {"scheme": "Bearer", "credentials": CANARY["push_credentials"]},
    }
    made = client.post(place, json=push)
    assert made.status_code == 200, made.text
    finds.add("answer to the owner", made.text + client.get(place).text)
    client.post(f"/agents/{agent}/tasks/{task['id']}:cancel")
    finds.add("answer of an agent", client.get(f"/agents/{agent}/tasks").text)


def _administer(client: httpx.Client, finds: Finds) -> None:
    config = {
        "llms": {"default": {"provider": "openai", "model": "m", "api_key": CANARY["app_config_key"]}},
        "agents": {"helper": {"instruction": "Help."}},
    }
    made = client.post("/admin/apps", json={"id": "shop", "name": "shop", "config_json": json.dumps(config)})
    assert made.status_code == 201, made.text
    again = client.post("/admin/apps/shop/token")
    key = client.post("/admin/keys", json={"name": "fresh", "role": "user"})
    finds.secrets |= {
        "app_token": made.json()["access_token"],
        "second_app_token": again.json()["access_token"],
        "created_key": key.json()["key"],
    }
    finds.add("the answer that makes it", made.text + again.text + key.text)
    wrong = json.dumps(config).replace(CANARY["app_config_key"], CANARY["failed_app_config_key"])
    refused = client.post("/admin/apps", json={"name": "bad", "config_json": wrong.replace("agents", "agent")})
    assert refused.status_code == 400
    finds.add("refused configuration", refused.text)
    for approval in client.get("/admin/approvals").json()["approvals"]:
        finds.add("admin answer", client.post(f"/admin/approvals/{approval['key']}", json={"decision": "approve"}).text)
    finds.add("admin answer", client.post("/admin/reload").text)
    sessions = client.get("/admin/sessions").json()["sessions"]
    for one in sessions:
        finds.add("admin answer", client.get(f"/admin/sessions/{one['id']}", params={"user_id": one["user_id"]}).text)
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if "get" in methods and "{agent}" not in path:
            where = path.replace("{id}", "shop").replace("{version}", "1")
            finds.add(f"answer {path}", client.get(where).text)


def outside(hector: Hector, folder: Path, arguments: tuple[str, ...], finds: Finds) -> None:
    """What commands print, and what they write."""
    for command in (
        ("status",), ("status", "--json"), ("dlq", "list", "--json"), ("approve", "--list", "--json"),
        ("audit", "list", "--json"), ("audit", "verify"), ("audit", "export"),
    ):  # fmt: skip
        done: subprocess.CompletedProcess[str] = hector.run(*command, *arguments)
        assert done.returncode == 0, (command, done.stderr)
        finds.add(f"hector {' '.join(command)}", done.stdout + done.stderr)
    shown = hector.run("validate", *arguments[:2], "--print-config")
    finds.add("hector validate", shown.stdout + shown.stderr)
    archive = folder / "backup.zip"
    done = hector.run("backup", str(archive), *arguments)
    assert done.returncode == 0, done.stderr
    finds.add("hector backup", done.stdout + done.stderr)
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            table = name.removeprefix("data/").removesuffix(".jsonl")
            finds.add(f"table {table}", packed.read(name).decode())


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.proves("admin.canaries")
def test_planted_secrets_are_found_nowhere(tmp_path: Path, postgres_dsn: str) -> None:
    finds = Finds()
    environment = {
        "PYTHONPATH": str(ROOT),
        "PROVIDER_KEY": CANARY["provider_env"],
        "SOMEBODYS_SECRET": CANARY["environment"],
    }
    hector = Hector(FORMS["source"], tmp_path, environment)
    with echo() as provider:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(configuration(provider)), encoding="utf-8")
        arguments = ("--config", str(file), "--database", postgres_dsn)
        with hector.serve(*arguments, "--log-level", "debug") as server:
            use(server, finds)
            outside(hector, tmp_path, arguments, finds)
            assert server.stop() == 0
            finds.add("log", server.text())
    texts = sum(len(texts) for texts in finds.seen.values())
    print(f"{len(finds.secrets)} secrets, {len(finds.seen)} places, {texts} texts")
    assert len(finds.secrets) >= 20
    assert {"table events", "table tasks", "table audit", "table credentials", "log", "stream"} <= finds.seen.keys()
    assert finds.leaks() == []
