"""What a path means. Pure: the same table answers "where does this go" and "what exists"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from hector.a2a.jsonrpc import Operation


class Page(Enum):
    """Everything that is not one of A2A's HTTP+JSON operations."""

    RPC = auto()
    INDEX = auto()
    AGENTS = auto()
    CARD = auto()
    OLD_CARD = auto()
    HEALTH = auto()
    LIVE = auto()
    READY = auto()
    SCHEMA = auto()


Verbs: TypeAlias = Mapping[str, Operation | Page]


@dataclass(frozen=True, slots=True)
class Target:
    """What a path leads to, by HTTP method. `agent` None is the default agent."""

    verbs: Verbs
    agent: str | None = None
    tenant: str | None = None
    task_id: str | None = None


PATHS: Final = (
    "/agents",
    "/agents/{agent} (GET: card, POST: JSON-RPC)",
    "/agents/{agent}/message:send",
    "/agents/{agent}/message:stream",
    "/agents/{agent}/tasks",
    "/agents/{agent}/.well-known/agent-card.json",
    "/.well-known/agent-card.json",
    "/schema",
    "/health",
    "/livez",
    "/readyz",
)
"""What a lost client is told."""

_FIXED: Final[Mapping[str, Page]] = {
    "agents": Page.AGENTS,
    ".well-known/agent-card.json": Page.CARD,
    ".well-known/agent.json": Page.OLD_CARD,
    "health": Page.HEALTH,
    "livez": Page.LIVE,
    "readyz": Page.READY,
    "schema": Page.SCHEMA,
}
_ROOT: Final[Verbs] = {"POST": Page.RPC, "GET": Page.INDEX}
_AGENT: Final[Verbs] = {"POST": Page.RPC, "GET": Page.CARD}
_SIMPLE: Final[Mapping[str, Verbs]] = {
    "message:send": {"POST": Operation.SEND},
    "message:stream": {"POST": Operation.STREAM},
    "tasks": {"GET": Operation.LIST},
    "extendedAgentCard": {"GET": Operation.EXTENDED_CARD},
}
_TASK: Final[Mapping[str, Verbs]] = {
    "": {"GET": Operation.GET},
    "cancel": {"POST": Operation.CANCEL},
    "subscribe": {"GET": Operation.SUBSCRIBE, "POST": Operation.SUBSCRIBE},
}
_CONFIGS: Final = "pushNotificationConfigs"
_CONFIG_LIST: Final[Verbs] = {"GET": Operation.PUSH_CONFIG, "POST": Operation.PUSH_CONFIG}
_CONFIG: Final[Verbs] = {"GET": Operation.PUSH_CONFIG, "DELETE": Operation.PUSH_CONFIG}


def resolve(path: str) -> Target | None:
    """The target of a path, with or without a slash at its end; None where nothing is."""
    segments = path.strip("/").split("/")
    if segments[0] == "agents" and len(segments) > 1:
        return _below(segments[1], segments[2:])
    if segments == [""]:
        return Target(_ROOT)
    page = _FIXED.get("/".join(segments))
    return Target({"GET": page}) if page else _operation(None, segments)


def _below(agent: str, rest: Sequence[str]) -> Target | None:
    if not rest:
        return Target(_AGENT, agent)
    page = _FIXED.get("/".join(rest)) if rest[0] == ".well-known" else None
    return Target({"GET": page}, agent) if page else _operation(agent, rest)


def _operation(agent: str | None, segments: Sequence[str]) -> Target | None:
    """One of A2A's paths, or the same after a tenant."""
    for tenant, rest in ((None, segments), (segments[0], segments[1:])):
        found = _match(rest)
        if found is not None:
            verbs, task_id = found
            return Target(verbs, agent, tenant, task_id)
    return None


def _match(segments: Sequence[str]) -> tuple[Verbs, str | None] | None:
    match segments:
        case [name] if name in _SIMPLE:
            return _SIMPLE[name], None
        case ["tasks", name] if name:
            task_id, _, verb = name.rpartition(":")
            return (_TASK[verb], task_id) if task_id and verb in _TASK else (_TASK[""], name)
        case ["tasks", task_id, "pushNotificationConfigs"] if task_id:
            return _CONFIG_LIST, task_id
        case ["tasks", task_id, "pushNotificationConfigs", config_id] if task_id and config_id:
            return _CONFIG, task_id
        case _:
            return None
