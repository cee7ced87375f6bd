"""Schemathesis against a running server, briefly; `make fuzz` does it at length."""

from pathlib import Path

import pytest

from tests.admin.fuzz import PROGRAM, serve_and_fuzz


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.proves("openapi.schemathesis")
def test_no_answer_breaks_the_description(folder: Path) -> None:
    if not PROGRAM.exists():
        pytest.skip("schemathesis has an environment of its own: make fuzz")
    done = serve_and_fuzz(folder, 5, 400)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
