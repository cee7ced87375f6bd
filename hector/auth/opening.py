"""Setting authentication up at the start of a server: what checks credentials, and the first admin secret."""

import logging
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hector.auth.authenticator import CODE, Authenticator
from hector.auth.secrets import Key, chance, digest, weakness
from hector.auth.tokens import Tokens
from hector.config.auth import Auth
from hector.config.flags import DEFAULT_DATABASE
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.identity import DEFAULT_APP, Role
from hector.core.record import dataclass
from hector.store import Store
from hector.store.apps import AppStatus
from hector.store.credentials import ADMIN_ID, Aside, Credential, Credentials, Kind
from hector.store.opening import sqlite_of

log = logging.getLogger("hector.auth")
LINK_SECONDS: Final = 15 * 60.0
"""How long a one-time link may be used."""
_FIRST_EPOCH: Final = 1
_HERE: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An admin secret and the code of a one-time link, to be shown once and kept nowhere."""

    secret: str
    code: str


def open_authenticator(server: Server, store: Store, clock: Clock) -> Authenticator:
    """What checks credentials, over an open store. To be closed before that."""

    async def epoch_of(app: str) -> int | None:
        found = (await store.apps.standing((app,))).get(app)
        if found is None:
            return _FIRST_EPOCH if app == DEFAULT_APP else None
        return None if found.status is AppStatus.DELETING else found.epoch

    folder = keys_folder(server.auth, store.dsn)
    several = store.database.dialect == "postgres"
    tokens = Tokens(server.auth, folder, server.public_url, epoch_of, clock, several=several)
    return Authenticator(server.auth, store.database, store.credentials, tokens, clock)


def warn(auth: Auth) -> None:
    """Say in the log what is set up in a way that lets others in; nothing of the secrets themselves."""
    if auth.secret and (why := weakness(auth.secret)):
        log.warning("the admin secret can be guessed: %s; leave it out, and one is made", why)
    for address in _insecure(auth.issuer, auth.jwks_url):
        log.warning("tokens are checked with keys that are read without TLS", extra={"from": address})


def _insecure(*urls: str | None) -> list[str]:
    """Those that are read without TLS from another machine: whoever stands in between says who is let in."""
    parsed = [urlsplit(url) for url in urls if url]
    return [one.geturl() for one in parsed if one.scheme == "http" and one.hostname not in _HERE]


def keys_folder(auth: Auth, dsn: str) -> Path:
    """Where signing keys are kept: as configured, else beside the database file, else where that would be."""
    if auth.keys_folder:
        return Path(auth.keys_folder)
    place = sqlite_of(dsn)[0] if dsn.startswith("sqlite://") else ""
    file = sqlite_of(DEFAULT_DATABASE)[0] if place in ("", ":memory:") else place
    return Path(file).parent / "keys"


async def first_secret(auth: Auth, credentials: Credentials, clock: Clock) -> NewSecret | None:
    """Make the admin secret where none was made or given yet; None where there is one.

    Of several processes that start at once, one makes it.
    """
    if auth.secret is not None or await credentials.find(ADMIN_ID) is not None:
        return None
    secret = chance()
    if not await credentials.add(_admin(secret, "the first start", clock)):
        return None
    return NewSecret(secret, await one_time_code(credentials, clock))


async def new_secret(credentials: Credentials, clock: Clock, author: str, aside: Aside | None = None) -> NewSecret:
    """Put a new admin secret in the place of the old one, which ends with all its sessions and links."""
    secret = chance()
    await credentials.replace(_admin(secret, author, clock), aside)
    return NewSecret(secret, await one_time_code(credentials, clock))


async def one_time_code(credentials: Credentials, clock: Clock, aside: Aside | None = None) -> str:
    """What a one-time link carries. `aside` is written with it."""
    code, now = Key.new(CODE), clock.now()
    row = Credential(
        code.id, Kind.UNLOCK, "one-time link", code.hash, Role.ADMIN, None, "", "", now, now + LINK_SECONDS
    )
    await credentials.add(row, aside)
    return code.text


def _admin(secret: str, author: str, clock: Clock) -> Credential:
    return Credential(ADMIN_ID, Kind.ADMIN, "admin", digest(secret), Role.ADMIN, None, "", author, clock.now())
