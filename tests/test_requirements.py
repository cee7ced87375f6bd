"""Holds the promise table: what is called built is proven by a test, what is proven is called built."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import REQUIREMENTS, marks, parse, proofs

PROVEN = proofs()


@pytest.mark.proves("house.requirements")
def test_every_built_row_has_a_proof() -> None:
    built = {row.id for row in REQUIREMENTS.values() if row.status == "built"}
    assert sorted(built - PROVEN.keys()) == []


@pytest.mark.proves("house.requirements")
def test_every_proven_row_is_called_built() -> None:
    planned = {row.id for row in REQUIREMENTS.values() if row.status == "planned"}
    assert sorted(planned & PROVEN.keys()) == []


@pytest.mark.proves("house.requirements")
def test_marks_name_known_rows() -> None:
    unknown = {name: sorted(where) for name, where in PROVEN.items() if name not in REQUIREMENTS}
    assert unknown == {}


def test_marks_are_found_wherever_pytest_takes_them() -> None:
    source = """
pytestmark = pytest.mark.proves("module")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.proves("param"))])
@pytest.mark.proves("one", "two")
def test_x(x): ...
"""
    assert set(marks(ast.parse(source))) == {"module", "param", "one", "two"}


def test_computed_ids_are_refused() -> None:
    with pytest.raises(TypeError, match="literal ids"):
        list(marks(ast.parse("pytest.mark.proves(name)")))


@pytest.mark.parametrize("block", ["x a | text", "p a |", "p a | one\np a | two"])
def test_unreadable_rows_are_refused(block: str) -> None:
    with pytest.raises(ValueError, match=r"cannot use|unpack"):
        parse({"section": block})


def test_the_table_prints() -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.requirements"], cwd=root, capture_output=True, text=True, check=True
    )
    assert f"{len(REQUIREMENTS)} in all" in done.stdout
