"""Secrets, and how often somebody may be wrong about them."""

import ast
import hmac
import inspect
import os
from pathlib import Path

import pytest

import hector.auth
from hector.auth.attempts import MOST, WINDOW, Attempts
from hector.auth.secrets import Key, chance, digest, matches, weakness
from hector.core.clock import FakeClock
from hector.core.errors import Throttled


@pytest.mark.proves("auth.secret")
def test_a_secret_matches_its_hash_and_no_other() -> None:
    secret = chance()
    assert len(secret) == 43
    assert matches(secret, digest(secret))
    assert not matches(secret[:-1], digest(secret))
    assert not matches("", digest(secret))
    assert matches("gehëim ☂", digest("gehëim ☂"))
    assert secret not in digest(secret)


@pytest.mark.proves("auth.constant-time")
def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    assert not matches("x", digest("y"))
    ((one, other),) = seen
    assert len(one) == len(other)


@pytest.mark.proves("auth.constant-time")
@pytest.mark.parametrize("path", sorted(Path(inspect.getfile(hector.auth)).parent.glob("*.py")), ids=lambda p: p.name)
def test_nothing_secret_is_compared_in_another_way(path: Path) -> None:
    """No == or `in` on anything that is called a secret, a hash, a credential, a token or a code."""
    told = {"secret", "hash", "credential", "token", "code", "text", "kept", "given"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            sides = [node.left, *node.comparators]
            names = {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in sides}
            assert not names & told, f"{path.name}:{node.lineno}"


@pytest.mark.proves("auth.keys")
def test_keys_name_their_row() -> None:
    made = Key.new("hk")
    assert Key.parse("hk", made.text) == made
    assert Key.new("hk").text != made.text
    for wrong in ("", "hk", "hk_", f"hk_{made.id}", f"hk_{made.id}_", f"hs_{made.id}_x", "hk_short_x", "a_b_c"):
        assert Key.parse("hk", wrong) is None


@pytest.mark.proves("auth.weak-secret")
@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("short", "5 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats"),
        ("my-admin-secret-of-the-year", "tried first"),
        ("Xk3-ow9fGmn2-48sjA1qzVb0", ""),
    ],
)
def test_secrets_that_can_be_guessed_are_known(secret: str, words: str) -> None:
    assert words in weakness(secret)
    assert bool(weakness(secret)) is bool(words)


def fail(attempts: Attempts, address: str, times: int) -> None:
    for _ in range(times):
        attempts.require(address)
        attempts.fail(address, os.urandom(8))


@pytest.mark.proves("auth.attempts")
def test_an_address_that_is_wrong_too_often_waits() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    fail(attempts, "10.0.0.1", MOST)
    with pytest.raises(Throttled) as caught:
        attempts.require("10.0.0.1")
    assert 0 < caught.value.retry_after <= WINDOW
    attempts.require("10.0.0.2")
    clock._now += WINDOW
    fail(attempts, "10.0.0.1", MOST)


@pytest.mark.proves("auth.attempts")
def test_a_network_of_ipv6_is_one_caller() -> None:
    attempts = Attempts(FakeClock())
    for number in range(MOST):
        fail(attempts, f"2001:db8:0:1::{number:x}", 1)
    with pytest.raises(Throttled):
        attempts.require("2001:db8:0:1:ffff::1")
    attempts.require("2001:db8:0:2::1")
    fail(attempts, "::ffff:10.0.0.1", MOST)
    attempts.require("::ffff:10.0.0.2")


@pytest.mark.proves("auth.attempts")
def test_a_crowd_of_addresses_takes_bounded_memory() -> None:
    attempts = Attempts(FakeClock())
    for number in range(12_000):
        attempts.fail(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", b"x")
    assert len(attempts._failed) <= 10_000
