"""`hector doctor` on real servers and files: what it finds, what it says to do, how it ends."""

import asyncio
import base64
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hector.cli.main import run
from hector.store import open_store
from tests.net.authority import make

KEY = "sk-test-0123456789"
GIT = f"Basic {base64.b64encode(f'x-access-token:{KEY}'.encode()).decode()}"


class Provider(BaseHTTPRequestHandler):
    """Lists a model to whoever has the key, and the keys of an issuer to everybody."""

    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        here = f"http://{self.headers['host']}"
        documents: dict[str, Any] = {
            "/v1/models": {"data": [{"id": "good"}]},
            "/api/tags": {"models": [{"name": "llama3.2:latest"}]},
            "/.well-known/openid-configuration": {"issuer": here, "jwks_uri": f"{here}/keys"},
            "/keys": {"keys": [{"kty": "OKP"}]},
            "/empty": {"keys": []},
            "/docs.git/info/refs?service=git-upload-pack": {"refs": 1},
        }
        given = self.headers["authorization"]
        refused = self.path == "/v1/models" and given != f"Bearer {KEY}"
        refused |= self.path.startswith("/docs.git") and given != GIT
        found = documents.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(401 if refused else 200 if found else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error belongs to the command."""


@contextmanager
def provider(context: ssl.SSLContext | None = None) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.asked = []  # type: ignore[attr-defined]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Doctor:
    """Runs the command in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.folder = folder

    def __call__(self, config: dict[str, Any], *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Exit code, and the checks by name (the first of each)."""
        file = self.folder / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        file.chmod(0o600)
        code = run(["doctor", "--config", str(file), "--database", f"sqlite://{self.folder}/state/hector.db",
                    "--port", "0", "--json", *flags])  # fmt: skip
        said = self._capsys.readouterr()
        assert KEY not in said.out + said.err
        found = json.loads(said.out)
        assert found["exit_code"] == code
        names: dict[str, dict[str, Any]] = {}
        for check in found["checks"]:
            names.setdefault(check["name"].split(" ")[0], check)
        return code, names


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.chdir(tmp_path)
    return Doctor(tmp_path, capsys)


def config(port: int, *, model: str = "good", key: str = KEY, scheme: str = "http", **server: Any) -> dict[str, Any]:
    llm = {"provider": "openai", "model": model, "api_key": key, "base_url": f"{scheme}://127.0.0.1:{port}/v1"}
    return {"llms": {"main": llm}, "agents": {"helper": {"llm": "main"}}, "server": server}


@pytest.mark.proves("doctor.probes")
def test_a_model_that_answers(doctor: Doctor) -> None:
    with provider() as server:
        code, found = doctor(config(server.server_port))
        assert server.asked == ["/v1/models"]  # type: ignore[attr-defined]
    assert code == 0
    check = found["llms.main"]
    assert (check["state"], check["text"]) == ("ok", "accepts the credential")
    assert check["destination"] == f"http://127.0.0.1:{server.server_port}"
    assert {"dns", "tcp", "http"} == set(check["milliseconds"])


@pytest.mark.proves("doctor.probes")
@pytest.mark.parametrize(
    ("changes", "state", "text", "remedy"),
    [
        ({"key": "sk-wrong-000000"}, "fail", "HTTP 401: the credential is not accepted", "llms.main.api_key"),
        ({"model": "bad"}, "warn", "does not list the model 'bad'", "llms.main.base_url"),
        ({"scheme": "https"}, "fail", "TLS failed", "SSL_CERT_FILE"),
    ],
)
def test_what_is_wrong_with_a_model(
    doctor: Doctor, changes: dict[str, Any], state: str, text: str, remedy: str
) -> None:
    with provider() as server:
        code, found = doctor(config(server.server_port, **changes))
    assert found["llms.main"]["state"] == state
    assert text in found["llms.main"]["text"]
    assert remedy in found["llms.main"]["remedy"]
    assert code == (state == "fail")


@pytest.mark.proves("doctor.probes")
def test_nobody_listens(doctor: Doctor) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, found = doctor(config(unused.getsockname()[1]))
    assert code == 1
    assert found["llms.main"]["text"] == "no connection: connection refused"
    assert "llms.main.base_url" in found["llms.main"]["remedy"]


@pytest.mark.proves("doctor.probes")
def test_certificates(doctor: Doctor, tmp_path: Path) -> None:
    bundle, context = make(tmp_path)
    with provider(context) as server:
        block = config(server.server_port, scheme="https")
        code, found = doctor(block)
        assert code == 1
        assert "the certificate is not trusted" in found["llms.main"]["text"]
        block["llms"]["main"]["ca_bundle"] = str(bundle)
        code, found = doctor(block)
    assert code == 0
    assert found["llms.main"]["state"] == "warn"
    assert "its certificate ends in" in found["llms.main"]["text"]
    assert "tls" in found["llms.main"]["milliseconds"]


@pytest.mark.proves("doctor.probes")
def test_an_identity_provider(doctor: Doctor) -> None:
    with provider() as server:
        here = f"http://127.0.0.1:{server.server_port}"
        code, found = doctor(config(server.server_port, auth={"issuer": here, "audience": "x"}))
        assert code == 0
        assert found["issuer,"]["state"] == "ok"
        assert found["keys"]["state"] == "ok"
        auth = {"issuer": here, "audience": "x", "jwks_url": f"{here}/empty"}
        code, found = doctor(config(server.server_port, auth=auth))
    assert code == 1
    assert "holds no keys" in found["keys"]["text"]


@pytest.mark.proves("doctor.probes")
def test_a_proxy_is_tried_too(doctor: Doctor) -> None:
    with provider() as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        block = config(server.server_port)
        port = unused.getsockname()[1]
        block["llms"]["main"]["proxy"] = f"http://me:{KEY}@127.0.0.1:{port}"
        code, found = doctor(block)
    assert code == 1
    assert found["llms.main"]["via"] == f"http://127.0.0.1:{port}"
    assert found["for"]["group"] == "proxies"
    assert "connection refused" in found["for"]["text"]


@pytest.mark.proves("doctor.offline")
def test_offline_contacts_nothing(doctor: Doctor) -> None:
    with provider() as server:
        assert doctor(config(server.server_port), "--offline")[0] == 0
        assert server.asked == []  # type: ignore[attr-defined]
    elsewhere = config(443)
    elsewhere["llms"]["main"]["base_url"] = "https://models.example.com/v1"
    elsewhere["llms"]["spare"] = {"provider": "anthropic", "api_key": KEY}
    code, found = doctor(elsewhere, "--offline")
    assert code == 1
    assert (found["llms.main"]["state"], found["llms.spare"]["state"]) == ("fail", "skip")
    assert "needs a network" in found["llms.main"]["text"]


@pytest.mark.proves("doctor.offline")
def test_the_policy_is_asked_first(doctor: Doctor) -> None:
    with provider() as server:
        block = config(server.server_port, egress={"mode": "listed", "allow": ["models.example.com"]})
        for flags in ((), ("--offline",)):
            code, found = doctor(block, *flags)
            assert code == 1
            assert "forbids the connection" in found["llms.main"]["text"]
        assert doctor(config(server.server_port), "--egress", "none")[0] == 0
        assert server.asked == ["/v1/models"]  # type: ignore[attr-defined]


@pytest.mark.proves("doctor.local")
@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_this_machine(doctor: Doctor) -> None:
    (doctor.folder / ".env").write_text(f"OTHER={KEY}\n", encoding="utf-8")
    (doctor.folder / ".env").chmod(0o644)
    (doctor.folder / "state").mkdir(mode=0o755)
    with provider() as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        block = config(server.server_port, auth={"secret": "password"})
        code, found = doctor(block, "--port", port)
    assert code == 0
    states = {name: check["state"] for name, check in found.items()}
    assert states["executable"] == states["clock"] == states["disk"] == "ok"
    assert (states["port"], states["admin"], states["secrets"]) == ("warn", "warn", "warn")
    assert "already in use" in found["port"]["text"]
    assert found["database"]["remedy"] == f"chmod 700 {doctor.folder}/state"
    assert "api_key" in found["secrets"]["text"]


@pytest.mark.proves("doctor.local")
def test_the_database(doctor: Doctor) -> None:
    with provider() as server:
        block = config(server.server_port)
        assert "not there yet" in doctor(block)[1]["SQLite"]["text"]

        async def prepare() -> None:
            await (await open_store(f"sqlite://{doctor.folder}/state/hector.db")).aclose()

        asyncio.run(prepare())
        assert "up to date" in doctor(block)[1]["state"]["text"]
        (doctor.folder / "state/hector.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
        for name in ("hector.db-wal", "hector.db-shm"):
            (doctor.folder / "state" / name).unlink(missing_ok=True)
        code, found = doctor(block)
    assert code == 1
    assert found["state"]["state"] == "fail"


@pytest.mark.proves("doctor.probes")
def test_postgresql(doctor: Doctor, postgres_dsn: str) -> None:
    with provider() as server:
        block = config(server.server_port)
        code, found = doctor(block, "--database", postgres_dsn)
        assert (found["PostgreSQL"]["state"], found["state"]["group"]) == ("ok", "database")
        assert found["PostgreSQL"]["destination"].startswith("postgres://127.0.0.1:")

        async def prepare() -> None:
            await (await open_store(postgres_dsn)).aclose()

        asyncio.run(prepare())
        code, found = doctor(block, "--database", postgres_dsn)
        assert (code, found["state"]["text"].endswith(", up to date")) == (0, True)
        block["server"]["egress"] = {"deny": ["127.0.0.1"]}
        code, found = doctor(block, "--database", postgres_dsn)
        assert code == 1
        assert "(purpose database)" in found["PostgreSQL"]["text"]
        assert "forbids the connection" in found["state"]["text"]
        del block["server"]["egress"]
        code, found = doctor(block, "--database", "postgres://u:p@127.0.0.1:1/d")
    assert code == 1
    assert found["PostgreSQL"]["text"] == "no connection: connection refused"


@pytest.mark.proves("doctor.local")
def test_a_model_file(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(doctor.folder))
    monkeypatch.delenv("HECTOR_MODEL_PATH", raising=False)
    code, found = doctor({"llms": {"main": {"provider": "local"}}, "agents": {"helper": {"llm": "main"}}}, "--offline")
    assert code == 1
    assert "no model file was found" in found["llms.main"]["text"]
    assert "GGUF" in found["llms.main"]["remedy"]


@pytest.mark.proves("doctor.local")
def test_folders_of_documents(doctor: Doctor) -> None:
    block = {"llms": {"main": {"provider": "scripted", "rules": [{"text": "hi"}]}}, "embedders": {}}
    stores = {"here": {"source": {"path": "."}}, "gone": {"source": {"path": "no-such-folder"}}}
    code, found = doctor({**block, "document_stores": stores})
    assert (code, found["document_stores.here"]["state"], found["document_stores.gone"]["state"]) == (0, "ok", "warn")
    assert "document_stores.gone.source.path" in found["document_stores.gone"]["remedy"]


@pytest.mark.proves("doctor.probes", "rag.git")
@pytest.mark.parametrize(
    ("repository", "token", "state", "said"),
    [
        ("docs.git", KEY, "ok", "accepts the credential"),
        ("docs.git", "wrong-token", "warn", "check document_stores.docs.source.git.token"),
        ("docs.git", "", "warn", "set a credential (document_stores.docs.source.git.token)"),
        ("gone.git", KEY, "warn", "HTTP 404"),
    ],
)
def test_repositories_of_documents(doctor: Doctor, repository: str, token: str, state: str, said: str) -> None:
    block = {"llms": {"main": {"provider": "scripted", "rules": [{"text": "hi"}]}}, "embedders": {}}
    with provider() as server:
        git = {"url": f"http://127.0.0.1:{server.server_port}/{repository}", "token": token}
        code, found = doctor({**block, "document_stores": {"docs": {"source": {"type": "git", "git": git}}}})
    check = found["document_stores.docs"]
    assert (code, check["state"]) == (0, state)
    assert said in f"{check['text']} {check.get('remedy', '')}"


@pytest.mark.proves("doctor.local")
def test_programs_of_mcp_servers(doctor: Doctor) -> None:
    block = {"llms": {"main": {"provider": "scripted", "rules": [{"text": "hi"}]}}}
    tools = {"here": {"type": "mcp", "command": sys.executable}, "gone": {"type": "mcp", "command": "no-such-program"}}
    code, found = doctor({**block, "tools": tools})
    assert code == 1
    assert (found["tools.here"]["text"], found["tools.gone"]["state"]) == (sys.executable, "fail")
    assert "tools.gone.command" in found["tools.gone"]["remedy"]
    assert doctor({**block, "tools": {"gone": {**tools["gone"], "enabled": False}}})[0] == 0
    code, found = doctor({**block, "tools": {"here": {**tools["here"], "cwd": "no-such-folder"}}})
    assert (code, found["tools.here"]["text"]) == (1, "the folder 'no-such-folder' is not there")


def test_for_people(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    with provider() as server:
        file = doctor.folder / "config.json"
        file.write_text(json.dumps(config(server.server_port, key="sk-wrong-000000")), encoding="utf-8")
        assert run(["doctor", "--config", str(file), "--database", "sqlite://:memory:", "--port", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    at = next(at for at, line in enumerate(lines) if "llms.main" in line)
    assert lines[at].startswith("  FAIL  llms.main (openai good)  http://127.0.0.1:")
    assert lines[at + 1].strip() == "-> check llms.main.api_key"
    assert lines[-1].startswith("1 failure, ")
    assert lines[-1].endswith("(exit code 1)")


def test_a_wrong_configuration_ends_with_2(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--config", str(doctor.folder / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
