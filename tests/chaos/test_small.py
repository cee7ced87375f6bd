"""The deterministic part of the proofs that every run of the tests goes through."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import crowds
from tests.chaos.catalog import named
from tests.chaos.engines import Engines, engines
from tests.chaos.report import Cell
from tests.postgres import Postgres


@pytest.fixture
def made() -> Iterator[Engines]:
    """SQLite only."""
    with engines() as made:
        yield made


@pytest.mark.proves("proof.crash-matrix", "durability.fault-recovery")
@pytest.mark.parametrize("point", ["store.accepted", "tool.effect", "run.written"])
async def test_a_kill_at_this_point_loses_and_repeats_nothing(point: str, made: Engines, tmp_path: Path) -> None:
    cell = await named(f"crash:{point}/sqlite/1").perform(made, tmp_path)
    assert cell.findings == []
    assert cell.deaths == 1


@pytest.mark.proves("proof.kill", "durability.fault-recovery")
async def test_runs_go_on_after_a_kill_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    cell = Cell("kill", "postgres", 1)
    with engines(postgres) as made:
        await crowds.massacre(cell, made, tmp_path, count=20)
    assert cell.findings == []
    assert len(cell.recovery) == 20
