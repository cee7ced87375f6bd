"""Databases that tests use one after the other: to empty one costs a sixth of what it costs to create and drop one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.postgres import Postgres

_ALONE: Final = """SET statement_timeout = '20s';
DO $$ BEGIN
    LOOP
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();
        EXIT WHEN NOT FOUND;
        PERFORM pg_sleep(0.002);
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
END $$;
"""
"""Ends every other connection: what it holds would be in the way, and what it sends belongs to nobody any more."""

NO_ROWS: Final = """DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migrations'
    LOOP EXECUTE format('DELETE FROM %s', name); END LOOP;
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
    LOOP PERFORM setval(name, 1, false); END LOOP;
    PERFORM pg_stat_reset();
END $$;
"""
"""Leaves the tables and what has been migrated; numbers begin at 1 again."""

NO_TABLES: Final = """DROP SCHEMA public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
"""Leaves nothing."""

_SHAPE: Final = """SELECT md5(concat_ws('|',
    (SELECT string_agg(concat_ws(' ', c.oid::regclass, c.relkind, c.relowner::regrole, c.relacl, c.reloptions,
            a.attname, a.atttypid::regtype, a.attnotnull, a.attacl), ',' ORDER BY c.oid::regclass::text, a.attnum)
        FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            AND c.relnamespace <> 'pg_toast'::regnamespace),
    (SELECT string_agg(concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)), ','
            ORDER BY conrelid::regclass::text, conname)
        FROM pg_constraint WHERE conrelid >= 16384),
    (SELECT string_agg(concat_ws(' ', nspname, nspowner::regrole, nspacl), ',' ORDER BY nspname) FROM pg_namespace),
    (SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE oid >= 16384),
    (SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension),
    (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger),
    (SELECT concat_ws(' ', datacl, datconnlimit, datallowconn) FROM pg_database WHERE datname = current_database()),
    (SELECT pg_database_size(current_database()) > 48000000),
    (SELECT string_agg(setconfig::text, ',' ORDER BY setrole) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
));
"""
"""A digest of all that a test can change but for rows: tables, rights, settings; and whether it left much to vacuum."""

_DONE: Final = "SELECT md5(string_agg(m::text, ',' ORDER BY number)) FROM migrations m;\n"


class Pool:
    """Databases that are alike: copies of `template`, else empty; `emptying` is the SQL that makes them so again."""

    def __init__(self, server: Postgres, emptying: str, template: str | None = None) -> None:
        self._server = server
        self._emptying = emptying
        self._template = template
        self._looking = _SHAPE + (_DONE if template else "")
        self._free: list[str] = []
        self._shape: str | None = None

    def take(self) -> str:
        """The name of one that nobody else has."""
        if self._free:
            return self._free.pop()
        name = self._server.create(self._template)
        if self._shape is None:
            self._shape = self._server.psql(self._looking, name)
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test; one that is not as it was, for what a test has done to it, is dropped."""
        try:
            shape = self._server.psql(_ALONE + self._emptying + self._looking, name)
        except RuntimeError:
            shape = ""
        if shape == self._shape:
            self._free.append(name)
        else:
            self._server.drop(name)
