"""A server without a way out starts and answers, and does not even try to reach anything beyond this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ("unshare", "--map-root-user", "--net")
INSIDE = Path(__file__).with_name("isolated.py")


def allowed() -> bool:
    try:
        return not subprocess.run([*ALONE, "true"], capture_output=True, timeout=10).returncode
    except FileNotFoundError:
        return False


@pytest.mark.proves("sovereign.offline")
def test_serves_without_a_route_and_attempts_no_connection(tmp_path: Path) -> None:
    if not allowed():
        pytest.skip("this system does not let the test make a network namespace (unshare --map-root-user --net)")
    root = Path(__file__).resolve().parents[2]
    serve = (sys.executable, "-m", "hector", "serve", "--port", "0", "--config", str(root / "hector/config/demo.yaml"))
    command = [*ALONE, sys.executable, str(INSIDE), *serve, "--database", f"sqlite://{tmp_path}/hector.db"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert found["state"] == "TASK_STATE_COMPLETED"
    assert found["after"] == found["before"] == {"no_route": 0, "datagrams": 0}
    assert found["control"]["no_route"] >= 1  # one for each family that this system speaks
