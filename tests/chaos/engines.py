"""The databases under attack: a file, or a PostgreSQL server of our own that may be stopped."""

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from tests.postgres import INSTALL, Postgres, programs

EngineName: TypeAlias = Literal["sqlite", "postgres"]


@dataclass(slots=True)
class Engines:
    """Where fresh databases come from. PostgreSQL is started when it is first needed."""

    server: Postgres | None = None
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def fresh(self, engine: EngineName, folder: Path) -> str:
        """The address of an empty database; a file in `folder`."""
        if engine == "sqlite":
            return f"sqlite://{folder / f'chaos-{next(self._numbers)}.db'}"
        server = self.postgres()
        return server.dsn(server.create())

    def postgres(self) -> Postgres:
        """The running server. Raises RuntimeError where PostgreSQL is not installed."""
        if self.server is None:
            found = programs()
            if found is None:
                raise RuntimeError(INSTALL)
            self.server = Postgres(found)
            self.server.start()
        return self.server

    def discard(self, dsn: str) -> None:
        """Drop a database that is not needed any more."""
        if self.server is not None and not dsn.startswith("sqlite"):
            self.server.drop(dsn.rpartition("/")[2])


@contextmanager
def engines(server: Postgres | None = None) -> Iterator[Engines]:
    """`server` is somebody else's, who also stops it."""
    made = Engines(server)
    try:
        yield made
    finally:
        if made.server is not None and made.server is not server:
            made.server.remove()


def send_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and to its children."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            child, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
            if pid in (child, parent):
                os.kill(child, number)
