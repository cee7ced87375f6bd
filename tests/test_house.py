"""The house itself: locks, targets, licence."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.smoke.frontdoor import Hector, answer_text
from tests.smoke.test_frontdoor import SCRIPTED, write

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "vendor").glob("requirements*.txt"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~ \[;]", text)[0].lower().replace("_", "-") for text in requirements}


def pinned(lock: Path) -> dict[str, str]:
    """Package -> its entry, with everything that belongs to it."""
    entries = re.split(r"^(?=\S)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {entry.partition("==")[0].lower(): entry for entry in entries if entry}


@pytest.mark.proves("house.locked")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_one_version_and_hashes(lock: Path) -> None:
    for name, entry in pinned(lock).items():
        assert re.match(rf"{re.escape(name)}==[^ ]+( ;[^\\]+)? \\\n", entry, re.IGNORECASE), entry
        assert "--hash=sha256:" in entry
    assert "://" not in lock.read_text(encoding="utf-8"), "where packages come from is the installer's business"


@pytest.mark.proves("house.locked")
def test_the_locks_hold_what_the_project_asks_for() -> None:
    groups, extras = PROJECT["dependency-groups"], PROJECT["project"]["optional-dependencies"]
    wanted = {
        "requirements.txt": PROJECT["project"]["dependencies"],
        "requirements-local.txt": extras["local"],
        "requirements-dev.txt": groups["dev"],
        "requirements-a2a03.txt": groups["a2a03"],
        "requirements-fuzz.txt": groups["fuzz"],
        "requirements-servers.txt": groups["servers"],
        "requirements-build.txt": groups["build"],
        "requirements-lock.txt": groups["lock"],
    }
    assert {lock.name for lock in LOCKS} == set(wanted)
    for file, requirements in wanted.items():
        assert names(requirements) <= pinned(ROOT / "vendor" / file).keys(), file


@pytest.mark.proves("house.locked")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_all_locks_agree_on_versions(lock: Path) -> None:
    runtime = pinned(ROOT / "vendor" / "requirements.txt")
    for name, entry in pinned(lock).items():
        if name in runtime:
            assert entry == runtime[name]


def planned_commands(target: str) -> str:
    outside = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "ARGS"}}
    done = subprocess.run(["make", "-n", target], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.proves("house.make-test")
def test_make_test_sets_itself_up_and_runs_the_suite() -> None:
    setup, old_client, run = planned_commands("test").splitlines()
    assert setup.endswith("requirements.txt requirements-dev.txt")
    assert old_client.endswith("requirements-a2a03.txt")
    assert "-m scripts.steady" in run
    assert PROJECT["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]


@pytest.mark.proves("house.make-serve")
def test_make_serve_sets_itself_up_finds_a_model_and_serves() -> None:
    setup, model, serve = planned_commands("serve").splitlines()
    assert "scripts/setup" in setup
    assert "fetch_local_model.py --if-needed" in model
    assert "-m hector serve" in serve


def test_setup_has_nothing_to_do_twice() -> None:
    command = [str(ROOT / "scripts" / "setup"), ".venv", "requirements.txt", "requirements-dev.txt"]
    if not (ROOT / ".venv" / ".locks" / "requirements-dev.txt").exists():
        pytest.skip("this environment was not made by scripts/setup")
    subprocess.run(command, check=True)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize("python", ["/nowhere/python", "true"], ids=["missing", "something else"])
def test_setup_names_the_python_that_it_cannot_use(python: str, tmp_path: Path) -> None:
    command = [str(ROOT / "scripts" / "setup"), str(tmp_path / "venv"), "requirements.txt"]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "PYTHON": python}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr


@pytest.mark.proves("sovereign.mit")
def test_the_licence_is_mit() -> None:
    assert PROJECT["project"]["license"] == "MIT"
    assert "Permission is hereby granted, free of charge" in (ROOT / "LICENSE").read_text(encoding="utf-8")


CALLS_OUT = """
import runpy, sys

def note(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open({output!r}, "a") as file:
            file.write(f"{{event}} {{args[1:]}}\\n")

sys.addaudithook(note)
sys.argv = ["hector", *sys.argv[1:]]
runpy.run_module("hector", run_name="__main__")
"""


@pytest.mark.proves("sovereign.no-telemetry")
def test_a_server_that_answers_calls_nobody(tmp_path: Path) -> None:
    output = tmp_path / "calls.txt"
    script = tmp_path / "hector.py"
    script.write_text(CALLS_OUT.format(output=str(output)), encoding="utf-8")
    with Hector((sys.executable, "-P", str(script)), tmp_path).serve("--config", write(tmp_path, SCRIPTED)) as server:
        assert answer_text(server.say("parrot", "ping")) == "pong"
        assert server.stop() == 0
    assert not output.exists() or output.read_text(encoding="utf-8") == ""
