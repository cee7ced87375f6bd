"""Filling a database from a backup. What was there before stays until the new one has been read back and compared."""

import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import hector.store.migrations as migrations
from hector.core.clock import Clock, milliseconds
from hector.core.errors import HectorError, SchemaTooNew, StartupError, StoreError
from hector.core.record import dataclass
from hector.store.archive import Archive, Digest, Manifest, lines
from hector.store.backup import Stoppable, Watcher
from hector.store.database import Connection
from hector.store.faults import translate
from hector.store.lock import FileLock
from hector.store.opening import connect, sqlite_of
from hector.store.queries import load
from hector.store.sqlite import SqliteConnection, complete, statements
from hector.store.sqlite_file import open_to_read
from hector.store.tables import Table, drop, follow, grant, insert, ours, own, pages, tables

_ALIVE: Final = 60_000
"""Milliseconds since its last sign of life for which a process counts as serving."""
_SIDES: Final = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """`former`: where the replaced file lies now; empty if there was none. `migrated`: migrations applied after it."""

    manifest: Manifest
    former: str
    migrated: int


async def restore(dsn: str, archive: Archive, clock: Clock, watcher: Watcher, *, replace: bool = False) -> Restored:
    """Fill the database at an address. Raises StartupError where it is in use or not empty, StoreError where it fails.

    With `replace`, one that is not empty is replaced: a file is set aside, tables of a server are exchanged in one
    transaction.
    """
    newest = migrations.known()[-1].number
    if archive.manifest.schema > newest:
        raise SchemaTooNew(
            f"backup {archive.path} has schema {archive.manifest.schema}, made by Hector {archive.manifest.hector}, "
            f"and this one knows schema {newest}\nRestore it with the newer Hector"
        )
    scheme = dsn.partition("://")[0]
    task = _Restoration(archive, milliseconds(clock.now()), Stoppable(watcher))
    if scheme == "sqlite":
        return _into_file(sqlite_of(dsn)[0], task, replace)
    return await _into_server(dsn, task, replace)


@dataclass(frozen=True, slots=True)
class _Restoration:
    archive: Archive
    now: int
    watcher: Watcher

    async def fill(self, con: Connection, dialect: str) -> int:
        """Make the tables of the backup's schema, fill them, compare, migrate; how many migrations followed."""
        manifest = self.archive.manifest
        known = migrations.known(dialect)
        await migrations.applied(con)
        for migration in (one for one in known if one.number <= manifest.schema):
            await self._apply(con, dialect, migration)
        found = {table.name: table for table in await tables(con, dialect)}
        if missing := [one.table for one in manifest.members if one.table not in found]:
            raise StoreError(f"backup {self.archive.path}: there is no place for its table {', '.join(missing)}")
        await self._load(con)
        await self._compare(con, dialect, found)
        later = [one for one in known if one.number > manifest.schema]
        for migration in later:
            await self._apply(con, dialect, migration)
        for table in found.values() if dialect == "postgres" else ():
            if table.key == ("key",):
                await con.all(follow(table))
        if "jobs" in found:
            await con.execute(load("backup", dialect)["release"])
        return len(later)

    async def _apply(self, con: Connection, dialect: str, migration: migrations.Migration) -> None:
        script = (migration.sql,) if dialect == "postgres" else statements(migration.sql)
        await migrations.apply(con, migration, script, self.now)

    async def _load(self, con: Connection) -> None:
        manifest = self.archive.manifest
        self.watcher.begin("restoring", manifest.rows, "rows")
        # What a migration puts into its tables by itself is in the backup, too.
        for member in manifest.members:
            await con.execute(f'DELETE FROM "{member.table}"')  # noqa: S608 - names of tables that are there
            statement = insert(member.table, member.columns)
            for rows in self.archive.rows(member):
                await con.many(statement, rows)
                self.watcher.advance(len(rows))

    async def _compare(self, con: Connection, dialect: str, found: dict[str, Table]) -> None:
        """Read everything back: the same text must come of it."""
        self.watcher.begin("verifying", self.archive.manifest.rows, "rows")
        for member in self.archive.manifest.members:
            table, digest = found[member.table], Digest()
            async for rows in pages(con, table._replace(columns=member.columns), dialect):
                digest.add(lines(rows), len(rows))
                self.watcher.advance(len(rows))
            if digest.member(member.table, member.columns) != member:
                raise StoreError(
                    f"table {member.table} was read back otherwise than it was written: {digest.rows} rows instead of "
                    f"{member.rows}\nNothing was replaced; check the disk, and take another backup"
                )


async def _into_server(dsn: str, task: _Restoration, replace: bool) -> Restored:
    database = await connect(dsn)
    sql = load("backup", database.dialect)

    async def work(con: Connection) -> int:
        await con.all(sql["exclusive"])
        if serving := await con.all(sql["alive"], (_ALIVE,)):
            host, pid = serving[0]
            raise StartupError(
                f"database {_named(database.dsn)} is in use by a Hector process on {host} (pid {pid})\n"
                "Stop every server that works on it; one that was killed counts as stopped after a minute"
            )
        rows = await con.one(sql["in_use"]) or (0,)
        _check_empty(_named(database.dsn), rows[0], replace)
        mine = ours(database.dialect)
        allowed = [*map(grant, await con.all(sql["grants"])), *map(own, await con.all(sql["owners"]))]
        for table in sorted(mine):
            await con.execute(drop(table))
        migrated = await task.fill(con, database.dialect)
        for table, statement in allowed:  # a table that is made anew belongs to, and is for, whoever restores
            if table in mine:
                await con.execute(statement)
        return migrated

    try:
        migrated = await database.write(work)
    finally:
        await database.aclose()
    return Restored(task.archive.manifest, "", migrated)


def _named(dsn: str) -> str:
    return dsn.partition("://")[2]


def _check_empty(place: str, rows: int | None, replace: bool) -> None:
    """`rows` None: nobody can tell. Raises StartupError."""
    if rows == 0 or replace:
        return
    held = "is not empty" if rows is None else f"holds {rows:,} sessions and jobs"
    raise StartupError(
        f"database {place} {held}\nAdd --replace to put the backup in its place, or name another with --database"
    )


def _into_file(place: str, task: _Restoration, replace: bool) -> Restored:
    path = Path(place).absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path.resolve())
    except OSError as error:
        raise StartupError(
            f"database {path}: {error.strerror or error}\nGive this user write permission on the folder"
        ) from None
    try:
        _check_empty(str(path), _rows_in(path), replace)
        for left in path.parent.glob(f".{path.name}.restore-*"):
            left.unlink(missing_ok=True)  # of one that was killed: the lock is ours
        scratch = path.with_name(f".{path.name}.restore-{os.getpid()}")
        try:
            migrated = _build(scratch, task)
            return Restored(task.archive.manifest, _exchange(path, scratch, task.now), migrated)
        except (sqlite3.Error, OSError) as error:
            raise _in_words(error, scratch) from None
        finally:
            for side in (*_SIDES, "-journal"):
                with suppress(OSError):
                    Path(f"{scratch}{side}").unlink(missing_ok=True)
    finally:
        lock.release()


def _in_words(error: Exception, path: Path) -> HectorError:
    found = translate(error, str(path))
    if isinstance(found, HectorError):
        return found
    return StoreError(f"database {path}: {getattr(error, 'strerror', None) or error}\nNothing was replaced")


def _rows_in(path: Path) -> int | None:
    """Sessions and jobs of a file that is there; None for one that holds something else, or is damaged."""
    if not path.exists() or not path.stat().st_size:
        return 0
    try:
        raw = open_to_read(path)
        try:
            row = raw.execute(load("backup", "sqlite")["in_use"]).fetchone()
        finally:
            raw.close()
    except sqlite3.Error:
        return None
    return int(row[0])


def _build(scratch: Path, task: _Restoration) -> int:
    """A new file; how many migrations followed the backup's own."""
    os.close(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    raw = sqlite3.connect(scratch, isolation_level=None)
    try:
        raw.execute("PRAGMA journal_mode = OFF")
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("BEGIN")
        migrated = complete(task.fill(SqliteConnection(raw), "sqlite"))
        raw.execute("COMMIT")
        task.watcher.begin("checking the file", 0, "")
        if (found := raw.execute("PRAGMA integrity_check(1)").fetchone()) != ("ok",):
            raise StoreError(f"the restored file is damaged ({found[0]})\nNothing was replaced; check the disk")
    finally:
        raw.close()
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    return migrated


def _exchange(path: Path, scratch: Path, now: int) -> str:
    """Put the new file in its place; where the old one lies now, if there was one."""
    former = ""
    if path.exists() and path.stat().st_size:
        former = f"{path}.before-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}"
        _fold(path)
        for side in _SIDES:
            with suppress(FileNotFoundError):
                os.rename(f"{path}{side}", f"{former}{side}")
    os.replace(scratch, path)
    return former


def _fold(path: Path) -> None:
    """Move the write-ahead log into the old file, so that one file is enough; a damaged one keeps it beside it."""
    with suppress(sqlite3.Error):
        raw = sqlite3.connect(path, isolation_level=None)
        try:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            raw.close()
