"""From source on each Python that this machine has beside the one that the other tests run on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.smoke.frontdoor import ROOT, Hector, answer_text
from tests.smoke.test_frontdoor import SCRIPTED, write

VERSIONS = [(3, minor) for minor in range(11, 16) if (3, minor) != sys.version_info[:2]]
ASK = "import ensurepip, sys, venv; print(*sys.version_info[:2])"


def interpreters(version: str) -> Iterator[str]:
    """Where one may be: on PATH, or among those of pyenv."""
    named = shutil.which(f"python{version}")
    installed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob(f"versions/{version}.*/bin/python3")
    yield from chain([named] if named else [], map(str, sorted(installed)))


def works(interpreter: str, version: tuple[int, int]) -> bool:
    asked = subprocess.run([interpreter, "-c", ASK], capture_output=True, text=True, timeout=60, check=False)
    return asked.stdout.split() == [str(number) for number in version]


@pytest.fixture(params=VERSIONS, ids=lambda version: f"python{version[0]}.{version[1]}")
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Hector:
    name = "{}.{}".format(*request.param)
    interpreter = next((found for found in interpreters(name) if works(found, request.param)), None)
    if interpreter is None:
        pytest.skip(f"no Python {name} with venv on this machine")
    environment = os.path.relpath(tmp_path / "venv", ROOT)  # as the script wants it
    subprocess.run(
        [ROOT / "scripts/setup", environment, "requirements.txt"],
        env={**os.environ, "PYTHON": interpreter},
        timeout=600,
        check=True,
    )
    return Hector((str(tmp_path / "venv/bin/python"), "-m", "hector"), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.proves("house.pythons")
def test_a_conversation(other: Hector) -> None:
    file = write(other.folder, SCRIPTED)
    checked = other.run("validate", file)
    assert (checked.returncode, checked.stderr) == (0, "")
    with other.serve("--config", file) as server:
        assert answer_text(server.say("parrot", "ping")) == "pong"
        assert answer_text(server.say("parrot", "remember the milk")).endswith("kept")
        chatted = other.run("chat", "--url", server.url, "--agent", "parrot", text="ping")
        assert (chatted.returncode, chatted.stdout) == (0, "pong\n")
        assert server.stop() == 0
