"""Wiring of agents of type `remote`."""

import base64
import json
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from hector.a2a.client import Client, Place
from hector.a2a.offered import WELL_KNOWN
from hector.agents.remote import Remote
from hector.apps.parts import Parts, limits_of
from hector.config.agentbase import AgentBase
from hector.config.remote import Credentials, RemoteAgent
from hector.core.errors import ConfigError
from hector.net.call import CallerOptions
from hector.observe.redact import remember

FOREVER = 24 * 3600.0


def remote(agent_id: str, section: AgentBase, parts: Parts) -> Remote:
    """An agent elsewhere; nothing is connected yet. Raises ConfigError for a card that cannot be read."""
    agent = cast("RemoteAgent", section)
    client = Client(_place(agent_id, agent), _options(agent))
    parts.clients.append(client)
    return Remote(
        agent_id,
        parts.team,
        description=agent.description,
        output_key=agent.output_key,
        limits=limits_of(agent),
        client=client,
        streaming=agent.streaming,
        resend=agent.on_unknown == "retry",
    )


def _options(agent: RemoteAgent) -> CallerOptions:
    headers = {**agent.headers, **(_proof(agent.credentials) if agent.credentials else {})}
    silence = agent.timeout or FOREVER
    return CallerOptions(
        "", headers, agent.proxy, agent.ca_bundle, min(silence, 10.0), silence, silence, purpose="agent"
    )


def _proof(found: Credentials) -> dict[str, str]:
    remember(found.token or found.api_key or found.password)
    if found.type == "bearer":
        return {"authorization": f"Bearer {found.token}"}
    if found.type == "api_key":
        return {found.api_key_header: found.api_key}
    pair = base64.b64encode(f"{found.username}:{found.password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def _place(agent_id: str, agent: RemoteAgent) -> Place:
    hosts = frozenset(urlsplit(url).netloc for url in (agent.url, agent.agent_card_url) if url)
    if agent.agent_card_file:
        return Place(card=_card(agent_id, agent.agent_card_file), hosts=hosts)
    return Place(agent.agent_card_url or f"{agent.url}{WELL_KNOWN}", hosts=hosts)


def _card(agent_id: str, path: str) -> dict[str, Any]:
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"agents.{agent_id}.agent_card_file: {error}") from None
    if not isinstance(card, dict):
        raise ConfigError(f"agents.{agent_id}.agent_card_file: this is no agent card")
    return card
