"""Stores on every engine, and receivers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.push.receiver import Receiver, receiving
from tests.store.conftest import dsn, store

__all__ = ["dsn", "store"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    with receiving() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server of this test keeps its database."""
    return tmp_path
