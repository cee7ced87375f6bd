"""Stores on every engine, and receivers."""

from collections.abc import Iterator

import pytest

from tests.push.receiver import Receiver, receiving
from tests.store.conftest import dsn, store

__all__ = ["dsn", "store"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    with receiving() as found:
        yield found
