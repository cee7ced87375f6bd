"""SQLite without its JSON functions is refused at the start, not in the middle of a run."""

import sqlite3
from contextlib import closing

import pytest

from hector.core.errors import StartupError
from hector.store.sqlite import require_json, require_words

_FUNCTION = 31
"""SQLITE_FUNCTION, which Python has no name for before 3.12."""


@pytest.mark.proves("limits.exact")
def test_sqlite_without_json_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as raw:
        require_json(raw)
        raw.set_authorizer(
            lambda action, _, name, *__: (
                sqlite3.SQLITE_DENY if action == _FUNCTION and name == "json_extract" else sqlite3.SQLITE_OK
            )
        )
        with pytest.raises(StartupError, match="without its JSON functions"):
            require_json(raw)


@pytest.mark.proves("memory.found")
def test_sqlite_without_an_index_of_words_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as raw:
        require_words(raw)
        raw.set_authorizer(
            lambda action, _, name, *__: (
                sqlite3.SQLITE_DENY if action == _FUNCTION and name == "fts5_source_id" else sqlite3.SQLITE_OK
            )
        )
        with pytest.raises(StartupError, match="without FTS5"):
            require_words(raw)
