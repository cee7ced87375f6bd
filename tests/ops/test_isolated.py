"""A server without a way out starts and answers, and does not even try to reach anything beyond this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ALONE = ("unshare", "--map-root-user", "--net")
INSIDE = Path(__file__).with_name("isolated.py")


def allowed() -> bool:
    try:
        return not subprocess.run([*ALONE, "true"], capture_output=True, timeout=60).returncode
    except FileNotFoundError:
        return False


ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "hector/config/demo.yaml"
ELSEWHERE = """
llms:
  default:
    {provider: openai, model: m, api_key: k-0123456789, base_url: "http://192.0.2.1/v1", retry: {max_attempts: 1}}
agents:
  assistant: {llm: default}
"""
"""A model where no route leads: each attempt to connect is counted."""
QUICK = "{llms: {default: {provider: scripted, rules: [{text: hi}]}}, agents: {assistant: {llm: default}}}"
"""As the demonstration, but answers at once."""


def alone(folder: Path, *command: str) -> dict[str, Any]:
    """What happened, as `isolated.py` tells it."""
    if not allowed():
        pytest.skip("this system does not let the test make a network namespace (unshare --map-root-user --net)")
    (folder / "elsewhere.yaml").write_text(ELSEWHERE, encoding="utf-8")
    inside = [*ALONE, sys.executable, str(INSIDE), sys.executable, "-m", "hector", *command]
    done = subprocess.run(
        [*inside, "--port", "0", "--database", f"sqlite://{folder}/hector.db"],
        cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["control"]["no_route"] >= 1  # one for each family that this system speaks
    return found


@pytest.mark.proves("sovereign.offline")
@pytest.mark.parametrize("flags", [(), ("--egress", "none")], ids=["open", "none"])
def test_serves_without_a_route_and_attempts_no_connection(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "quick.yaml").write_text(QUICK, encoding="utf-8")
    found = alone(tmp_path, "serve", "--config", "quick.yaml", *flags)
    assert found["state"] == "TASK_STATE_COMPLETED"
    assert found["after"] == found["before"] == {"no_route": 0, "datagrams": 0}


@pytest.mark.proves("egress.enforced")
@pytest.mark.parametrize(
    "flags", [pytest.param((), marks=pytest.mark.slow), ("--egress", "none")], ids=["open", "none"]
)
def test_what_the_policy_forbids_is_not_even_tried(tmp_path: Path, flags: tuple[str, ...]) -> None:
    found = alone(tmp_path, "serve", "--config", "elsewhere.yaml", *flags)
    assert found["state"] == "TASK_STATE_FAILED"
    assert (found["after"]["no_route"] > 0) is not bool(flags)
    assert found["after"]["datagrams"] == 0


@pytest.mark.proves("doctor.offline")
@pytest.mark.parametrize(("config", "code"), [(str(DEMO), "0"), ("elsewhere.yaml", "1")])
def test_the_doctor_offline_attempts_no_connection(tmp_path: Path, config: str, code: str) -> None:
    found = alone(tmp_path, "doctor", "--offline", "--config", config)
    assert found["state"].split(" ")[0] == code, found["state"]
    assert found["after"] == {"no_route": 0, "datagrams": 0}
