"""What each role may do: one table, which routes, the documentation and the tests all read."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from hector.core.identity import Principal, Role, Via


class Access(StrEnum):
    """The right that a route takes. Whose data it then shows is a matter of the principal's app and user."""

    PUBLIC = "public"
    AGENTS = "agents"
    METRICS = "metrics"
    APP = "app"
    OPERATOR = "operator"
    ADMIN = "admin"


WORDS: Final[Mapping[Access, str]] = {
    Access.PUBLIC: "health, agent cards of public agents, schema, public keys",
    Access.AGENTS: "talk to agents, and see and steer one's own tasks",
    Access.METRICS: "figures for Prometheus: of one's own app, or of the server for those bound to none",
    Access.APP: "look after an app: its configuration, sessions, approvals, usage",
    Access.OPERATOR: "look after the server: queue, dead letters, switches, the list of apps",
    Access.ADMIN: "everything: apps and their tokens, keys, the audit log, reload",
}
"""What a right is for, as the documentation says it."""

_EVERYBODY: Final = frozenset({Access.PUBLIC, Access.AGENTS})
_MAY: Final[Mapping[Role, frozenset[Access]]] = {
    Role.USER: _EVERYBODY,
    Role.APP: _EVERYBODY | {Access.APP, Access.METRICS},
    Role.OPERATOR: _EVERYBODY | {Access.APP, Access.METRICS, Access.OPERATOR},
    Role.ADMIN: frozenset(Access),
}

_OF_THE_SERVER: Final = frozenset({Access.OPERATOR, Access.ADMIN})


def may(role: Role, access: Access) -> bool:
    """Whether a role has a right. Of APP it is: for its own app, unless it belongs to none in particular."""
    return access in _MAY[role]


def allows(principal: Principal, access: Access) -> bool:
    """Whether somebody has a right. Whoever is bound to one app has none over the server, whatever their role."""
    return may(principal.role, access) and (principal.app is None or access not in _OF_THE_SERVER)


def sees(principal: Principal, visibility: str) -> bool:
    """Whether an agent exists for somebody: internal ones do for those who have proved who they are."""
    return visibility == "public" or (visibility == "internal" and principal.via is not Via.OPEN)


def table() -> Iterator[tuple[str, ...]]:
    """The table for the documentation, the header first: a right, what it is for, then yes or nothing for each role."""
    yield ("right", "for", *Role)
    for access in Access:
        yield (access, WORDS[access], *("yes" if may(role, access) else "" for role in Role))
