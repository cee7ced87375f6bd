"""Holds a running server against its own OpenAPI document: `python -m tests.admin.fuzz [--examples N] [--seconds N]`.

Schemathesis (its own environment, `make fuzz`) sends requests that fit the document and requests that do not, as an
admin; every answer must be one that the document allows. Two of its checks are left out: `positive_data_acceptance`,
because page tokens and ids of things that must exist have no description that only good ones fit, and `ignored_auth`,
whose wrong credentials are throttled as they ought to be (tests/admin/test_routes.py calls every route without any).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx

from tests.smoke.frontdoor import FORMS, ROOT, Hector, Server
from tests.web.live import user

PROGRAM: Final = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
SECRET: Final = "kL9-four-owls-read-maps-in-the-rain"
AS_ADMIN: Final = {"Authorization": f"Bearer {SECRET}"}
LEFT_OUT: Final = "ignored_auth,positive_data_acceptance"
CONFIG: Final = """
llms:
  default:
    provider: scripted
    rules:
      - {user: approve, turn: 0, tool_calls: [{name: save_artifact, args: {name: a, text: b}}]}
      - {text: hi}
agents:
  helper: {instruction: Help., tools: [save_artifact, ask_user]}
"""
_IDS: Final = """
[[operations]]
include-path-regex = "^/admin/sessions/"
include-method = "GET"
parameters = {{ "path.id" = "a-conversation" }}

[[operations]]
include-path-regex = "^/admin/apps/"
include-method = "GET"
parameters = {{ "path.id" = "{app}" }}

[[operations]]
include-path-regex = "^/agents/"
parameters = {{ "path.agent" = "helper" }}
"""


def serve_and_fuzz(folder: Path, examples: int, seconds: int) -> subprocess.CompletedProcess[str]:
    """Start a server that has something to show, and let schemathesis at it for so long at most."""
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    with hector.serve("--config", str(folder / "config.yaml"), "--auth-secret", SECRET) as server:
        ids = folder / "schemathesis.toml"
        ids.write_text(_IDS.format(app=fill(server)), encoding="utf-8")
        ran = command(server, ids, examples)
        done = subprocess.run(ran, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
        health = httpx.get(f"{server.url}/health", timeout=10)
        assert health.status_code == 200, "the server has survived"
    return done


def fill(server: Server) -> str:
    """Give the server a conversation and an app; the app's id."""
    with httpx.Client(base_url=server.url, headers=AS_ADMIN, timeout=30) as client:
        message = user("hello", contextId="a-conversation")
        client.post("/agents/helper/message:send", json={"message": message}).raise_for_status()
        made = client.post("/admin/apps", json={"name": "shop"})
        made.raise_for_status()
        return str(made.json()["app"]["id"])


def command(server: Server, ids: Path, examples: int) -> list[str]:
    """What is run."""
    return [
        *(str(PROGRAM), "--no-color", "--config-file", str(ids), "run", f"{server.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {SECRET}", "--exclude-checks", LEFT_OUT),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--generation-deterministic"),
        *("--request-timeout", "30", "--warnings", "off", "--continue-on-failure"),
    ]


def main() -> int:
    """The exit code of schemathesis, with its report."""
    parser = argparse.ArgumentParser(description="Hold a running server against its own OpenAPI document.")
    parser.add_argument("--examples", type=int, default=30, help="requests of each kind per operation (30)")
    parser.add_argument("--seconds", type=int, default=600, help="longest time (600)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hector-fuzz-") as folder:
        done = serve_and_fuzz(Path(folder), arguments.examples, arguments.seconds)
    print(done.stdout[-8000:], done.stderr[-2000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
