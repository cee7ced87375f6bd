"""What went wrong in PostgreSQL, in words that name the remedy and show no secret."""

import ssl
from typing import Final

import asyncpg

from hector.core.errors import HectorError, InvalidRequest, StoreError, StoreUnavailable

_AWAY: Final = {
    "57P01": "it is shutting down: Hector goes on as soon as it is back",
    "57P02": "it has crashed and restarts: Hector goes on as soon as it is back",
    "57P03": "it is starting up or shutting down: Hector goes on as soon as it is back",
    "53300": "it has no connection left: raise its max_connections, or lower max_conns of Hector",
    "53100": "its disk is full: free some space there",
    "53200": "it is out of memory: give it more, or lower its work_mem",
    "58030": "its disk reports an error: check the disk there",
    "57014": "a statement took too long: look for locks and slow disks there, or raise statement_timeout",
    "55P03": "a lock could not be had in time: look for long transactions there",
    "40001": "too many others change the same rows: try again",
    "40P01": "too many others change the same rows: try again",
    "25006": "it is read-only, perhaps a standby: name the primary server in the address",
    "25P03": "it ended a transaction that had come to a halt: try again",
    "28P01": "it refuses this user and password: check both in the address",
    "28000": "it refuses this user: check the user name and sslmode, and pg_hba.conf there",
    "3D000": "there is no database of that name: create it (createdb), or correct the address",
    "42501": "this user lacks a right: grant it (GRANT ALL ON SCHEMA public, and on all tables in it)",
    "42P01": "a table is missing: restore the database from a backup, or restart Hector on an empty one",
}
"""By SQLSTATE; all but the last rows pass by themselves or once somebody has acted, so trying again makes sense."""

_CLASSES: Final = {
    "08": "the connection broke: Hector connects again",
    "53": "it has run out of something ({error}): look into its log",
    "57": "it has been interrupted ({error}): Hector goes on as soon as it is back",
    "58": "its system reports an error ({error}): check the machine that it runs on",
}
_POOLER: Final = (
    "what answers there refuses the settings of a connection, as PgBouncer does: name PostgreSQL itself, Hector has a "
    "pool of its own"
)
_BROKEN: Final = {"XX001", "XX002"}
_TEXT: Final = {"22021", "22P05"}
RERUN: Final = frozenset(("40001", "40P01", "55P03"))
"""The unit was undone because of others and may simply run again."""

PERMANENT: Final = frozenset(("28P01", "28000", "3D000", "25006"))
"""What no waiting mends."""

STARTING: Final = "57P03"


def translate(error: Exception, place: str) -> Exception:
    """A StoreError for an error of the driver; an error that speaks for itself stays as it is."""
    if isinstance(error, HectorError):
        return error.with_traceback(None)  # said on purpose: where is of no interest, and the frames hold much
    if type(error) is asyncpg.DataError:  # the driver's own: it could not encode an argument
        return _of_argument(error, place)
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error, place)
    if isinstance(error, OSError) and (of_tls := _of_tls(error)):
        return StoreUnavailable(f"PostgreSQL at {place}: {of_tls}")
    if isinstance(error, OSError | TimeoutError):
        return StoreUnavailable(f"PostgreSQL at {place} cannot be reached ({_reason(error)}): check that it runs, "
                                "and host and port of the address")  # fmt: skip
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return StoreUnavailable(f"PostgreSQL at {place}: {_CLASSES['08']}")
    return error


def _of_tls(error: OSError) -> str:
    """What is wrong with the encryption, if that is what is wrong: the server was reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", error)
        return (
            f"its certificate is not to be trusted ({why}): name its authority with sslrootcert, and the host as the "
            "certificate has it"
        )
    if "rejected SSL upgrade" in str(error):  # asyncpg's own words, in a plain ConnectionError
        return (
            "it has no TLS (rejected SSL upgrade), which sslmode asks for: switch it on there, or take another sslmode"
        )
    return ""


def _of_argument(error: Exception, place: str) -> Exception:
    if "surrogates" in str(error):
        return InvalidRequest("the text holds half a surrogate pair, which is not valid Unicode")
    if "out of int64 range" in str(error):
        return InvalidRequest("a number is larger than the database can hold: at most 9223372036854775807")
    return StoreError(f"PostgreSQL at {place}: a value is of the wrong kind (a defect of Hector: please report it)")


def _of_state(error: asyncpg.PostgresError, place: str) -> Exception:
    state = error.sqlstate or ""
    said = str(getattr(error, "message", "") or type(error).__name__)
    if state in _TEXT:
        return InvalidRequest("the text holds a NUL character, which PostgreSQL cannot store")
    if state == "54000":
        return InvalidRequest("an identifier is too long for the database's index: make it shorter than 2,000 bytes")
    if state in _BROKEN:
        return StoreError(f"PostgreSQL at {place}: it is damaged ({said}): restore it from a backup")
    if state in _AWAY:
        return StoreUnavailable(f"PostgreSQL at {place}: {_AWAY[state]}")
    if "startup parameter" in said:
        return StoreUnavailable(f"PostgreSQL at {place}: {_POOLER}")
    if state[:2] in _CLASSES:
        return StoreUnavailable(f"PostgreSQL at {place}: {_CLASSES[state[:2]].format(error=said)}")
    return StoreError(f"PostgreSQL at {place}: {said}")


def _reason(error: BaseException) -> str:
    """Short, and without the address, which stands before it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
