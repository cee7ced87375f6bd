"""Agent cards: who an agent is and how to reach it, with what caches need."""

import hashlib
from typing import Final

from hector.a2a import wire
from hector.a2a.version import CURRENT, OLD
from hector.config.agents import Agent
from hector.config.root import HectorConfig
from hector.core.content import JsonObject
from hector.core.httpdate import http_date
from hector.core.record import dataclass

MAX_AGE: Final = 60
"""Seconds that a card may be cached: a changed configuration is in force at once."""
_OLD_FULL: Final = "0.3.0"
_TEXT: Final = ("text/plain",)


def agent_card(
    config: HectorConfig, agent_id: str, base: str, *, legacy: bool, push: bool = True, tenant: str | None = None
) -> JsonObject:
    """The card of one agent. `base` is the server's address without a slash at the end; `tenant` is its app, if named.

    `legacy` adds the keys that clients of 0.3 need; strict validators of 1.0 refuse such a card. `push` says
    whether the server sends push notifications.
    """
    agent = config.agents[agent_id]
    url = f"{base}/agents/{agent_id}"
    card: JsonObject = {
        "name": agent.name or agent_id,
        "description": agent.description or agent.name or agent_id,
        "version": config.version or "1",
        "supportedInterfaces": [_interface(url, binding, CURRENT, tenant) for binding in ("JSONRPC", "HTTP+JSON")],
        "capabilities": {"streaming": True, "pushNotifications": push, "extendedAgentCard": False},
        "defaultInputModes": list(agent.input_modes or _TEXT),
        "defaultOutputModes": list(agent.output_modes or _TEXT),
        "skills": _skills(agent_id, agent),
    }
    return _with_old_keys(card, url) if legacy else card


def _interface(url: str, binding: str, version: str, tenant: str | None = None) -> JsonObject:
    plain: JsonObject = {"url": url, "protocolBinding": binding, "protocolVersion": version}
    return {**plain, "tenant": tenant} if tenant else plain


def _skills(agent_id: str, agent: Agent) -> list[JsonObject]:
    """What is configured, else one entry for the whole agent: a card without skills is not valid."""
    if not agent.skills:
        name = agent.name or agent_id
        return [{"id": agent_id, "name": name, "description": agent.description or name, "tags": ["general"]}]
    found: list[JsonObject] = []
    for skill in agent.skills:
        name = skill.name or skill.id
        entry: JsonObject = {
            "id": skill.id,
            "name": name,
            "description": skill.description or name,
            "tags": list(skill.tags or ("general",)),
        }
        if skill.examples:
            entry["examples"] = list(skill.examples)
        found.append(entry)
    return found


def _with_old_keys(card: JsonObject, url: str) -> JsonObject:
    return {
        **card,
        "supportedInterfaces": [*card["supportedInterfaces"], _interface(url, "JSONRPC", OLD)],
        "url": url,
        "preferredTransport": "JSONRPC",
        "additionalInterfaces": [{"url": url, "transport": "JSONRPC"}],
        "protocolVersion": _OLD_FULL,
        "supportsAuthenticatedExtendedCard": False,
    }


@dataclass(frozen=True, slots=True)
class Document:
    """A body with its validators: `etag` in quotes, `modified` in seconds since the epoch."""

    body: bytes
    etag: str
    modified: float

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What tells caches how long and how to ask again."""
        return [
            (b"cache-control", f"public, max-age={MAX_AGE}".encode()),
            (b"etag", self.etag.encode()),
            (b"last-modified", http_date(self.modified).encode()),
        ]

    def is_fresh(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        """Whether the client's copy is still good (RFC 9110: the date counts only without an entity tag)."""
        if if_none_match is not None:
            tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
            return "*" in tags or self.etag in tags
        if if_modified_since is None:
            return False
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few ask so, and it drags in much of email

        try:
            return int(self.modified) <= parsedate_to_datetime(if_modified_since).timestamp()
        except (ValueError, OverflowError):
            return False


def document(value: JsonObject, modified: float) -> Document:
    """JSON with its validators."""
    body = wire.dumps(value).encode("ascii")
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', modified)
