"""Rate limits by flags and variables, and limits that a reload changes."""

import argparse
import json
from pathlib import Path

import pytest

from hector.config.environment import Environment
from hector.config.findings import InvalidConfig
from hector.config.load import parse_config
from hector.config.root import HectorConfig
from hector.config.startup import Startup, add_serve_arguments, merge
from hector.core.task import Caller, TaskState
from hector.limits.ledger import MemoryLedger
from tests.limits.conftest import process, settings

MODEL = "llms: {default: {provider: scripted}}\n"
RULES = '[{"type": "token", "window": "hour", "limit": 5}]'


def settle(text: str, env: dict[str, str], *flags: str) -> Startup:
    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    return merge(parser.parse_args(flags), Environment(env), parse_config(MODEL + text).config)


@pytest.mark.proves("limits.flags")
def test_flags_and_variables_stand_above_the_file() -> None:
    assert settle("", {}).rate_limiting is None
    found = settle("", {"HECTOR_RATE_LIMIT_SCOPE": "app"}, "--rate-limit-enabled", "--rate-limit-limits", RULES)
    block = found.rate_limiting
    assert block is not None
    assert (block.enabled, block.scope, [rule.limit for rule in block.rules]) == (True, "app", [5])
    file = "rate_limiting: {enabled: true, scope: user, backend: sql}\n"
    changed = settle(file, {"HECTOR_RATE_LIMIT_LIMITS": RULES}).rate_limiting
    assert changed is not None
    assert (changed.scope, changed.backend, changed.limits[0].window) == ("user", "sql", "hour")
    off = settle(file, {"HECTOR_RATE_LIMIT_ENABLED": "false"}).rate_limiting
    assert off is not None
    assert off.rules == ()


@pytest.mark.proves("limits.flags", "limits.address")
def test_flags_are_judged_together_with_the_file() -> None:
    file = "rate_limiting: {enabled: true, limits: [{type: token, limit: 5}]}\n"
    with pytest.raises(InvalidConfig, match="tokens cannot be counted by address"):
        settle(file, {}, "--rate-limit-scope", "address")


@pytest.mark.proves("limits.flags", "limits.address")
def test_headers_of_proxies_want_a_proxy() -> None:
    flag = ("--rate-limit-ip-headers", "CF-Connecting-IP, X-Real-IP")
    with pytest.raises(InvalidConfig, match="no proxy is trusted"):
        settle("", {}, *flag)
    found = settle("server: {trusted_proxies: {networks: [10.0.0.0/8]}}\n", {}, *flag).trusted_proxies
    assert found is not None
    assert found.headers == ("CF-Connecting-IP", "X-Real-IP")


@pytest.mark.proves("limits.flags")
@pytest.mark.parametrize(
    "flags",
    [
        ("--rate-limit-limits", "sixty"),
        ("--rate-limit-limits", json.dumps([{"type": "count", "limit": 0}])),
        ("--rate-limit-scope", "planet"),
        ("--rate-limit-enabled", "maybe"),
    ],
)
def test_what_is_wrong_is_named(flags: tuple[str, str]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        settle("", {}, *flags)
    assert flags[0] in str(caught.value)


@pytest.mark.proves("limits.reload")
async def test_other_limits_are_taken_up_while_the_server_runs(tmp_path: Path) -> None:
    answer = {"text": "hi"}
    async with process(f"sqlite://{tmp_path}/hector.db", settings(answer)) as server:
        assert (await server.send()).status.state is TaskState.COMPLETED
        server.limits.configure(settings(answer, budgets=[{"per": "user", "tokens": 1}]))
        states = [(await server.send()).status.state for _ in range(2)]
        assert states == [TaskState.COMPLETED, TaskState.FAILED]
        server.limits.configure(settings(answer, budgets=[{"per": "user", "tokens": 1000}]))
        assert (await server.send()).status.state is TaskState.COMPLETED
        server.limits.configure(settings(answer))
        assert (await server.send()).status.state is TaskState.COMPLETED


@pytest.mark.proves("limits.reload")
async def test_a_reload_bounds_the_counters_anew(tmp_path: Path) -> None:
    def block(most: int) -> HectorConfig:
        rules = [{"limit": 5, "scope": "user"}]
        return settings({"text": "hi"}, rate_limiting={"enabled": True, "limits": rules, "most_subjects": most})

    async with process(f"sqlite://{tmp_path}/hector.db", block(1500)) as server:
        for most, expected in ((1500, 1200), (1000, 1000)):
            server.limits.configure(block(most))
            rates = server.limits.rates
            assert rates is not None
            assert isinstance(rates.ledger, MemoryLedger)
            for number in range(1200):
                await rates.request(Caller("default", f"user-{number}"), "")
            assert len(rates.ledger) == expected


@pytest.mark.proves("limits.flags")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budgets: [{per: run, window: hour, tokens: 5}]", "a run has no window"),
        ("rate_limiting: {limits: [{type: token, limit: 5, scope: address}]}", "tokens cannot be counted by address"),
        ("rate_limiting: {scope: address, limits: [{type: token, limit: 5}]}", "tokens cannot be counted by address"),
    ],
)
def test_what_would_do_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        parse_config(MODEL + text + "\n")
