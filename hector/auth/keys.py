"""Making API keys."""

from hector.auth.authenticator import KEY
from hector.auth.secrets import Key
from hector.core.identity import DEFAULT_APP, Role
from hector.core.record import dataclass
from hector.store.credentials import Credential, Kind

_EVERYWHERE = (Role.ADMIN, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a key is to be. Without an app it is for the default one, or for all where the role looks after all."""

    name: str
    role: Role = Role.USER
    app: str | None = None
    user: str | None = None
    expires: float | None = None


def new_api_key(wish: Wish, author: str, now: float) -> tuple[Credential, str]:
    """The row to be kept, and the key itself, which nobody sees again. Without a user it stands for its name."""
    made = Key.new(KEY)
    row = Credential(
        id=made.id,
        kind=Kind.KEY,
        name=wish.name,
        hash=made.hash,
        role=wish.role,
        app=wish.app or (None if wish.role in _EVERYWHERE else DEFAULT_APP),
        user=wish.user or wish.name,
        author=author,
        created=now,
        expires=wish.expires,
    )
    return row, made.text
