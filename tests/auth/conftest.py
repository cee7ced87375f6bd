"""What the tests of authentication share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server of this test keeps its database."""
    return tmp_path
