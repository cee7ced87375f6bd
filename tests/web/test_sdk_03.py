"""The official client of A2A 0.3, in an environment of its own: it cannot be installed beside the one of 1.0."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from hector.config.load import load_config
from hector.config.server import Server
from tests.smoke.frontdoor import ROOT
from tests.web.live import live

PYTHON = ROOT / ".venv-a2a03" / "bin" / "python"


@pytest.mark.proves("a2a.v03", "a2a.sdk")
def test_the_client_of_0_3(folder: Path) -> None:
    if not PYTHON.exists():
        reason = f"{PYTHON.parent.parent.name} is missing: run `make setup`"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    config = load_config(ROOT / "examples" / "a2a-conformance.yaml", {}).config
    with live(config.with_changes(server=Server(legacy_card=True)), folder) as server:
        done = subprocess.run(
            [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("client_03.py")), server.url],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        url = f"{server.url}/agents/conformance"
    error = seen.pop("error")
    assert "nobody" in error or "not found" in error
    assert seen == {
        "protocol": "0.3.0",
        "url": url,
        "streaming": ["completed", "Stream hello from TCK"],
        "blocking": ["completed", "Stream hello from TCK"],
        "streaming-message": "Direct message response",
        "blocking-message": "Direct message response",
        "streaming-asked": "input-required",
        "blocking-asked": "input-required",
        "streaming-done": "completed",
        "blocking-done": "completed",
        "history": ["user"],
        "resubscribed": "input-required",
        "canceled": "canceled",
    }
