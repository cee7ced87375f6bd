"""What the egress policy allows, as a table: nothing is looked up and nothing is connected to."""

from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from hector.config.destinations import parse
from hector.config.egress import Egress
from hector.net.policy import EgressPolicy

OPEN: dict[str, Any] = {}
CLOSED = {"mode": "none"}
LIST = {"mode": "listed", "allow": ["api.example.com:443", "*.corp.example", "10.1.0.0/16:8000-8999", "[fd00::5]:8443"]}
BARRED = {"deny": ["evil.example", "*.ads.example", "192.168.0.0/16"]}
PARTS = {"mode": "none", "purposes": {"model": {"mode": "listed", "allow": ["10.9.9.9"]}}}
GO, LOOK, NO = "go", "look", "no"

NAMES = [
    (OPEN, "model", "api.example.com", 443, GO),
    (OPEN, "push", "10.0.0.1", 80, GO),
    (CLOSED, "model", "api.example.com", 443, NO),
    (CLOSED, "model", "localhost", 11434, LOOK),
    (CLOSED, "model", "sub.localhost", 80, LOOK),
    (CLOSED, "model", "localhost.example.com", 80, NO),
    (CLOSED, "model", "127.0.0.1", 11434, GO),
    (CLOSED, "model", "127.9.9.9", 1, GO),
    (CLOSED, "model", "::1", 1, GO),
    (CLOSED, "model", "::ffff:127.0.0.1", 1, GO),
    (CLOSED, "model", "0.0.0.0", 1, NO),
    (CLOSED, "model", "10.0.0.1", 1, NO),
    (CLOSED, "model", "fe80::1%eth0", 1, NO),
    (CLOSED, "child", "10.0.0.1", 1, GO),
    (CLOSED, "console", "hector.example.com", 443, GO),
    (CLOSED, "other", "hector.example.com", 443, NO),
    (LIST, "model", "api.example.com", 443, GO),
    (LIST, "model", "API.Example.com.", 443, GO),
    (LIST, "model", "api.example.com", 80, NO),
    (LIST, "model", "xapi.example.com", 443, NO),
    (LIST, "model", "a.corp.example", 1, GO),
    (LIST, "model", "a.b.corp.example", 1, GO),
    (LIST, "model", "corp.example", 1, NO),
    (LIST, "model", "badcorp.example", 1, NO),
    (LIST, "model", "unlisted.example", 8080, LOOK),
    (LIST, "model", "unlisted.example", 80, NO),
    (LIST, "model", "10.1.2.3", 8080, GO),
    (LIST, "model", "10.1.2.3", 9000, NO),
    (LIST, "model", "10.2.2.3", 8080, NO),
    (LIST, "model", "::ffff:10.1.2.3", 8080, GO),
    (LIST, "model", "64:ff9b::10.1.2.3", 8080, GO),
    (LIST, "model", "fd00::5", 8443, GO),
    (LIST, "model", "fd00::6", 8443, NO),
    (LIST, "model", "127.0.0.1", 80, NO),
    (BARRED, "model", "evil.example", 443, NO),
    (BARRED, "model", "x.ads.example", 443, NO),
    (BARRED, "model", "good.example", 443, LOOK),
    (BARRED, "model", "192.168.1.1", 443, NO),
    (BARRED, "model", "::ffff:192.168.1.1", 443, NO),
    (BARRED, "model", "8.8.8.8", 443, GO),
    (PARTS, "model", "10.9.9.9", 80, GO),
    (PARTS, "model", "10.9.9.8", 80, NO),
    (PARTS, "push", "10.9.9.9", 80, NO),
    (PARTS, "model", "127.0.0.1", 80, NO),
    (PARTS, "push", "127.0.0.1", 80, GO),
]


@pytest.mark.proves("egress.policy")
@pytest.mark.parametrize(("settings", "purpose", "host", "port", "wanted"), NAMES)
def test_names(settings: dict[str, Any], purpose: Any, host: str, port: int, wanted: str) -> None:
    decision = EgressPolicy(Egress.model_validate(settings)).rules(purpose).judge_name(host, port)
    assert (NO if decision.refusal else LOOK if decision.looks else GO) == wanted


@pytest.mark.proves("egress.policy")
@pytest.mark.parametrize(
    ("settings", "host", "address", "wanted"),
    [
        (CLOSED, "localhost", "127.0.0.1", GO),
        (CLOSED, "localhost", "10.0.0.1", NO),
        (LIST, "unlisted.example", "10.1.0.1", GO),
        (LIST, "unlisted.example", "10.2.0.1", NO),
        (LIST, "a.corp.example", "8.8.8.8", GO),
        (BARRED, "good.example", "8.8.8.8", GO),
        (BARRED, "good.example", "192.168.7.7", NO),
        (BARRED, "good.example", "::ffff:192.168.7.7", NO),
    ],
)
def test_addresses_of_names(settings: dict[str, Any], host: str, address: str, wanted: str) -> None:
    why = EgressPolicy(Egress.model_validate(settings)).rules("model").judge_address(host, 8080, ip_address(address))
    assert (NO if why else GO) == wanted


@pytest.mark.proves("egress.policy")
def test_a_refusal_says_where_why_and_what_to_change() -> None:
    rules = EgressPolicy(Egress.model_validate(LIST)).rules("model")
    text = rules.judge_name("api.openai.com", 443).refusal
    assert "api.openai.com:443" in text
    assert "purpose model" in text
    assert "server.egress.allow" in text
    assert "server.egress.purposes.model.allow" in text
    assert "mode none" in EgressPolicy(Egress(mode="none")).rules("tool").judge_name("a.example", 1).refusal


@pytest.mark.parametrize(
    "entry",
    ["", "http://a.example", "a.example/path", "a.example:0", "a.example:70000", "a.example:9-8", "1.2.3", "*", "a b",
     "*.", "10.0.0.0/33", "[::1", "a.example:x", "user@a.example", "exa*mple.com"],
)  # fmt: skip
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        parse(entry)
    with pytest.raises(ValidationError):
        Egress(mode="listed", allow=(entry,))


@pytest.mark.parametrize(
    "settings",
    [
        {"allow": ["a.example"]},
        {"mode": "none", "allow": ["a.example"]},
        {"purposes": {"tool": {"allow": ["a.example"]}}},
        {"mode": "listed", "purposes": {"tool": {"mode": "none", "allow": ["a.example"]}}},
        {"purposes": {"mail": {}}},
    ],
)
def test_lists_without_effect_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Egress.model_validate(settings)
