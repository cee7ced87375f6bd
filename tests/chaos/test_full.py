"""Every scenario as a test: `make chaos` runs them all and prints the table; `pytest -m chaos -k zombie` runs one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.catalog import ENTRIES, Entry
from tests.chaos.engines import Engines, engines
from tests.postgres import Postgres

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.fixture
def made(postgres_programs: Path) -> Iterator[Engines]:
    """With a PostgreSQL server of the test's own, which it may stop."""
    server = Postgres(postgres_programs)
    try:
        server.start()
        with engines(server) as made:
            yield made
    finally:
        server.remove()


@pytest.mark.proves("proof.crash-matrix", "proof.kill", "proof.hostile")
@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if not entry.skip], ids=lambda entry: entry.id)
async def test_nothing_is_lost_doubled_stuck_or_repeated(entry: Entry, made: Engines, tmp_path: Path) -> None:
    cell = await entry.perform(made, tmp_path)
    assert cell.findings == []
