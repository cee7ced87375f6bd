"""Where one kind of state is kept."""

from typing import Literal

from pydantic import Field

from hector.config.base import Section


class Backend(Section):
    """Where one kind of state is kept."""

    backend: Literal["inmemory", "sql"] = Field("sql", description="inmemory: gone after a stop; sql: a database.")
    database: str | None = Field(None, description="An id under `databases`. Left out: the default database.")
