"""What the audit log is told: who did what to which object, and how it ended."""

from dataclasses import field
from typing import Final

from hector.core.content import JsonObject
from hector.core.identity import Principal
from hector.core.record import dataclass

SERVER: Final = "server"
"""Who acts where no request and no person does."""
ALL_APPS: Final = ""
"""The app of what concerns the whole server."""
OK: Final = "ok"
REFUSED: Final = "refused"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `action` is a noun and a verb, such as "session.delete"; `object` a kind and an id, "session:abc".

    `outcome` is ok, refused (had no right, or asked for something that cannot be) or failed. `request` is the id that
    the request carries in the log. `detail` holds no secret: what is known as one is hidden before it is stored.
    """

    action: str
    object: str
    outcome: str = OK
    actor: str = SERVER
    via: str = SERVER
    app: str = ALL_APPS
    request: str = ""
    detail: JsonObject = field(default_factory=dict)


def by(principal: Principal) -> tuple[str, str]:
    """`actor` and `via` of what a principal does: role, name and credential, so that each key is told from others."""
    credential = f" ({principal.credential})" if principal.credential else ""
    return f"{principal.role} {principal.subject}{credential}", principal.via.value
