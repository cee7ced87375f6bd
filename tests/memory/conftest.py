"""The engines that everything here must work on."""

from tests.store.conftest import dsn, store

__all__ = ["dsn", "store"]
