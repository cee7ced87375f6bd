"""What commands must not see although it lies where they may look."""

import tempfile
from pathlib import Path

import pytest

from hector.tools import sandbox
from hector.tools.sandbox import Level
from tests.command.test_sandbox import KEPT, job, said


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_a_server_among_the_programs_is_not_shown(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "opt/app"
    for name in ("config.yaml", ".env", ".hector/hector.db", "work/a/hidden"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text("reached", encoding="utf-8")
    (tmp_path / "opt/other").write_text("shown", encoding="utf-8")
    monkeypatch.setattr(sandbox, "SYSTEM", (*sandbox.SYSTEM, str(tmp_path / "opt")))
    monkeypatch.chdir(here)
    words = ("../config.yaml", "../.env", "../.hector/hector.db", "a/hidden", "../../other")
    _, out = await said(job(here / "work", level, "/bin/cat", *words, hide=(str(here / "work/a/hidden"),)))
    assert "reached" not in out
    assert "shown" in out


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_what_is_hidden_cannot_be_renamed_into_sight(level: Level, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/hidden").write_text("reached", encoding="utf-8")
    hide = (str(tmp_path / "a/b/hidden"),)
    await said(job(tmp_path, level, "/bin/mv", "a/b", "a/c", hide=hide))
    await said(job(tmp_path, level, "/bin/mv", "a", "d", hide=hide))
    _, out = await said(job(tmp_path, level, "/bin/cat", "a/b/hidden", "a/c/hidden", "d/b/hidden", hide=hide))
    assert "reached" not in out
    assert (tmp_path / "a/b/hidden").exists()


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_shared_memory_of_others_is_not_shown(level: Level, tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(b"reached")
        file.flush()
        _, out = await said(job(tmp_path, level, "/bin/cat", file.name))
    assert "reached" not in out
