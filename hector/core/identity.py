"""Who asks: the principal behind a request, and what kind of right it holds."""

from enum import StrEnum
from typing import Final

from hector.core.record import dataclass
from hector.core.task import Caller

DEFAULT_APP: Final = "default"
"""The app that the configuration file feeds, and that requests without a token of another one belong to."""


class Role(StrEnum):
    """What a principal is, from all rights to few. `docs/guide` has the table of who may do what."""

    ADMIN = "admin"
    OPERATOR = "operator"
    APP = "app"
    USER = "user"


class Via(StrEnum):
    """How a principal has proved who it is; `open`: not at all, on a server that asks nobody."""

    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the word, not one
    APP_TOKEN = "app_token"  # noqa: S105 - likewise
    OIDC = "oidc"
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class Principal:
    """Taken from the credential alone, never from a message.

    `subject` names it in logs and the audit. `app` is the only app that it may touch; None: any, as admins and
    operators may. `user` is whose sessions and tasks it has within an app. `credential` is the id of the token or key.
    """

    subject: str
    role: Role
    via: Via
    app: str | None = DEFAULT_APP
    user: str = "default"
    credential: str = ""

    def caller(self, app: str | None = None) -> Caller:
        """Whose data it touches when it works in `app`, which must be one that it may touch."""
        return Caller(self.app or app or DEFAULT_APP, self.user)


OPEN: Final = Principal("anonymous", Role.USER, Via.OPEN)
"""Everybody, on a server without authentication; nobody in particular, where anonymous callers are let in."""
