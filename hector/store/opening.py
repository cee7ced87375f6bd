"""From an address to an open store."""

from hector.core.errors import StartupError
from hector.store.database import Database
from hector.store.jobs import Jobs
from hector.store.sessions import Sessions
from hector.store.sqlite import SqliteDatabase
from hector.store.tasks import Tasks


class Store:
    """All repositories over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.sessions = Sessions(database, self.jobs)
        self.tasks = Tasks(database, self.sessions, self.jobs)

    @property
    def dsn(self) -> str:
        """The address of the database."""
        return self.database.dsn

    def describe(self) -> str:
        """Engine, version and place, for a log line."""
        return self.database.describe()

    async def ping(self) -> None:
        """Return when the database takes writes. Raises StoreError."""
        await self.database.ping()

    async def aclose(self) -> None:
        """Finish what was handed over, then close."""
        await self.database.aclose()


async def open_store(dsn: str) -> Store:
    """Open (and create, and migrate) the database at `sqlite://<path>` or `sqlite://:memory:`.

    `sqlite://a/b.db` is relative to the working directory, `sqlite:///a/b.db` absolute. Must be closed on the event
    loop that opened it. Raises StartupError and SchemaTooNew, each with what to do.
    """
    return Store(_connect(dsn))


def _connect(dsn: str) -> Database:
    scheme, separator, rest = dsn.partition("://")
    if scheme == "sqlite" and rest:
        return SqliteDatabase(rest)
    if scheme in ("postgres", "postgresql"):
        raise StartupError("PostgreSQL is not available in this version of Hector: use --database sqlite://<path>")
    # The address may hold a password: only its scheme is shown.
    found = f"{scheme}://..." if separator else "an address without a scheme"
    raise StartupError(f"the database address must be sqlite://<path> or sqlite://:memory:, not {found}")
