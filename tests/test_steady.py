"""What fails by accident is named and tried once more; what fails again, or in numbers, fails the run."""

import subprocess
import sys
from pathlib import Path

import pytest

STEADY = Path(__file__).parents[1] / "scripts" / "steady.py"
ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("name", ["a b", "c"])
def test_once(name):
    seen = Path(name)
    if name == "c" and not seen.exists():
        seen.touch()
        raise AssertionError
"""
ALWAYS = "def test_always():\n    assert False\n"
MANY = "import pytest\n\n@pytest.mark.parametrize('at', range(6))\ndef test_many(at):\n    assert False\n"


def run(folder: Path, *texts: str) -> tuple[int, str]:
    """Its exit code and what it says about tests of these texts."""
    for at, text in enumerate(texts):
        (folder / f"test_{at}.py").write_text(text, encoding="utf-8")
    command = (sys.executable, str(STEADY), "-q")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def test_an_accident_is_named(tmp_path: Path) -> None:
    code, said = run(tmp_path, ONCE)
    assert code == 0
    assert said.rstrip().endswith("unsteady, to be looked into:\n  test_0.py::test_once[c]")


def test_what_passes_is_run_once(tmp_path: Path) -> None:
    code, said = run(tmp_path, "def test_it():\n    pass\n")
    assert (code, "once more" in said) == (0, False)


@pytest.mark.parametrize(("texts", "again"), [((ONCE, ALWAYS), True), ((MANY,), False)])
def test_a_defect_fails_the_run(tmp_path: Path, texts: tuple[str, ...], *, again: bool) -> None:
    code, said = run(tmp_path, *texts)
    assert (code, "once more" in said) == (1, again)
    assert "unsteady" not in said


def test_where_nothing_is_selected_pytest_has_the_last_word(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == 5
