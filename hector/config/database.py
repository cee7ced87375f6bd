"""One block under `databases`."""

from typing import Literal

from pydantic import Field

from hector.config import sqlite
from hector.config.base import Duration, Section
from hector.config.postgres import LEAST_CONNS, MAX_CONNS, compose

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class Database(Section):
    """A database that other blocks refer to."""

    driver: Literal["sqlite", "postgres"] = Field("sqlite", description="Kind of database.")
    database: str = Field(
        min_length=1, description="sqlite: file, relative to the working directory, or :memory:. postgres: its name."
    )
    host: str | None = Field(
        None, min_length=1, description="postgres: host, several with commas, or the folder of its socket."
    )
    port: int | None = Field(None, ge=1, le=65535, description="postgres: port; 5432 where nothing else is said.")
    username: str | None = Field(None, min_length=1, description="postgres: user. Left out: PGUSER, or the system's.")
    password: str = Field("", repr=False, description="postgres: password. Left out: PGPASSWORD, or ~/.pgpass.")
    ssl_mode: SslMode = Field(
        "disable", description="postgres: require encrypts, verify-ca and verify-full also check who answers."
    )
    ssl_root_cert: str | None = Field(
        None, description="postgres: file with the authorities that verify-ca and verify-full trust, or system."
    )
    ssl_cert: str | None = Field(
        None, description="postgres: file with the certificate that we show; from ssl_mode require on."
    )
    ssl_key: str | None = Field(None, description="postgres: file with its key.")
    max_conns: int = Field(
        MAX_CONNS, ge=LEAST_CONNS, le=1000, description="postgres: connections of one process at most."
    )
    connect_timeout: Duration = Field(5.0, gt=0, description="postgres: how long a connection may take to be made.")
    statement_timeout: Duration = Field(30.0, gt=0, description="postgres: how long a statement may take.")
    synchronous: Literal["normal", "full"] = Field(
        "normal",
        description="sqlite: what was answered outlives the process (normal), or a power cut, too, at the price of a "
        "flush for each commit (full).",
    )

    @property
    def dsn(self) -> str:
        """As `--database` takes it."""
        if self.driver == "sqlite":
            return sqlite.compose(self.database, self.synchronous)
        options = {
            "sslmode": "" if self.ssl_mode == "disable" else self.ssl_mode,
            "sslrootcert": self.ssl_root_cert,
            "sslcert": self.ssl_cert,
            "sslkey": self.ssl_key,
            "max_conns": "" if self.max_conns == MAX_CONNS else str(self.max_conns),
            "connect_timeout": "" if self.connect_timeout == 5.0 else f"{self.connect_timeout:g}",
            "statement_timeout": "" if self.statement_timeout == 30.0 else f"{self.statement_timeout:g}s",
        }
        given = {key: value for key, value in options.items() if value}
        return compose(self.host or "localhost", self.port, self.database, self.username, self.password, given)
