"""Agent cards and what caches need."""

import json
from typing import Any

import pytest
from a2a.compat.v0_3 import types

from hector.a2a.card import agent_card, document
from hector.config.root import HectorConfig
from tests.a2a.samples import NOON, strict

BASE = "http://127.0.0.1:8080"


def config(**agent: Any) -> HectorConfig:
    return HectorConfig.model_validate({"agents": {"helper": agent}, "version": 3})


@pytest.mark.a2a("CARD-DISC-001", "CARD-STRUCT-001", "CARD-PROTO-001", "CARD-PROTO-002", "BIND-FIELD-001")
@pytest.mark.proves("a2a.cards")
def test_a_bare_agent_has_a_complete_card() -> None:
    card = agent_card(config(), "helper", BASE, legacy=False)
    read = strict(card, "AgentCard")
    assert [(i.url, i.protocol_binding, i.protocol_version) for i in read.supported_interfaces] == [
        (f"{BASE}/agents/helper", "JSONRPC", "1.0"),
        (f"{BASE}/agents/helper", "HTTP+JSON", "1.0"),
    ]
    assert card["capabilities"] == {"streaming": True, "pushNotifications": True, "extendedAgentCard": False}
    required = ("name", "description", "version", "skills", "defaultInputModes", "defaultOutputModes")
    assert all(card[key] for key in required)
    assert all(all(skill[key] for key in ("id", "name", "description", "tags")) for skill in card["skills"])


@pytest.mark.proves("a2a.cards")
def test_a_card_says_what_is_configured() -> None:
    card = agent_card(
        config(
            name="Helper",
            description="Helps.",
            input_modes=["text/plain", "image/png"],
            output_modes=["text/markdown"],
            skills=[{"id": "s", "examples": ["do it"], "tags": ["a"]}, {"id": "t", "name": "T", "description": "d"}],
        ),
        "helper",
        BASE,
        legacy=False,
    )
    strict(card, "AgentCard")
    assert (card["name"], card["description"], card["version"]) == ("Helper", "Helps.", "3")
    assert card["defaultInputModes"] == ["text/plain", "image/png"]
    assert card["defaultOutputModes"] == ["text/markdown"]
    assert card["skills"] == [
        {"id": "s", "name": "s", "description": "s", "tags": ["a"], "examples": ["do it"]},
        {"id": "t", "name": "T", "description": "d", "tags": ["general"]},
    ]


@pytest.mark.proves("a2a.v03")
def test_the_dual_card_reads_in_both_versions() -> None:
    card = agent_card(config(), "helper", BASE, legacy=True)
    old = types.AgentCard.model_validate(card)
    assert (old.url, old.preferred_transport, old.protocol_version) == (f"{BASE}/agents/helper", "JSONRPC", "0.3.0")
    new = {key: card[key] for key in agent_card(config(), "helper", BASE, legacy=False)}
    versions = [entry.protocol_version for entry in strict(new, "AgentCard").supported_interfaces]
    assert versions == ["1.0", "1.0", "0.3"]


@pytest.mark.a2a("CARD-CACHE-001", "CARD-CACHE-002", "CARD-CACHE-003")
@pytest.mark.proves("a2a.cards")
def test_what_caches_need() -> None:
    one, same, other = document({"a": 1}, NOON), document({"a": 1}, NOON + 9), document({"a": 2}, NOON)
    assert one.etag == same.etag != other.etag
    headers = dict(one.headers)
    assert b"max-age=" in headers[b"cache-control"]
    assert headers[b"last-modified"] == b"Tue, 28 Oct 2025 10:30:00 GMT"
    assert headers[b"etag"] == one.etag.encode()
    assert json.loads(one.body) == {"a": 1}


@pytest.mark.parametrize(
    ("if_none_match", "if_modified_since", "fresh"),
    [
        (None, None, False),
        ("{etag}", None, True),
        ('"other", W/{etag}', None, True),
        ("*", None, True),
        ('"other"', "Tue, 28 Oct 2025 10:30:00 GMT", False),
        (None, "Tue, 28 Oct 2025 10:30:00 GMT", True),
        (None, "Tue, 28 Oct 2025 10:29:59 GMT", False),
        (None, "not a date", False),
    ],
)
def test_conditional_requests(if_none_match: str | None, if_modified_since: str | None, fresh: bool) -> None:
    made = document({"a": 1}, NOON)
    tags = if_none_match.format(etag=made.etag) if if_none_match else None
    assert made.is_fresh(tags, if_modified_since) is fresh
