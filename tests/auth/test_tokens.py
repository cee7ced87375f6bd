"""Tokens of apps: keys in files and from seeds, rotation, revocation, and every forgery."""

import stat
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest

from hector.auth.ring import FileRing
from hector.auth.tokens import AUDIENCE, ISSUER, Tokens
from hector.config.auth import Auth
from hector.core.clock import Clock, FakeClock, SystemClock
from hector.core.errors import Conflict, HectorError, StartupError, Unauthenticated
from tests.auth.forgeries import FORGERIES

SEEDS = ("a first seed of enough length", "another seed of enough length")
EPOCHS = {"shop": 3}


async def epoch_of(app: str) -> int | None:
    return EPOCHS.get(app)


def tokens(folder: Path, clock: Clock | None = None, **settings: Any) -> Tokens:
    return Tokens(Auth(**settings), folder / "keys", None, epoch_of, clock or SystemClock())


@pytest.mark.proves("tenant.jwt")
@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
async def test_a_token_is_made_and_checked(tmp_path: Path, algorithm: str) -> None:
    ours = tokens(tmp_path, signing_algorithm=algorithm, token_lifetime=3600)
    token = ours.issue("shop", 3)
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    assert header["alg"] == algorithm
    assert (claims["iss"], claims["aud"], claims["sub"], claims["tenant_id"]) == (ISSUER, AUDIENCE, "shop", "shop")
    assert (claims["role"], claims["epoch"], claims["exp"] - claims["iat"]) == ("app", 3, 3600)
    found = await ours.verify(token)
    assert (found.app, found.id, found.epoch, found.expires) == ("shop", claims["jti"], 3, claims["exp"])
    assert claims["jti"] != jwt.decode(ours.issue("shop", 3), options={"verify_signature": False})["jti"]
    (key,) = ours.jwks()["keys"]
    assert jwt.decode(token, jwt.PyJWK(key), [algorithm], audience=AUDIENCE)["sub"] == "shop"
    assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi"}


@pytest.mark.proves("auth.forged")
@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_is_refused(
    tmp_path_factory: pytest.TempPathFactory, forgery: str, algorithm: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"forged-{algorithm}"
    ours = tokens(folder, signing_algorithm=algorithm)
    good = ours.issue("shop", 3)
    claims = jwt.decode(good, options={"verify_signature": False})
    key = FileRing(folder / "keys", algorithm, 1e9, SystemClock()).signer()  # type: ignore[arg-type]
    forged = FORGERIES[forgery](algorithm, key.kid, key.private, claims)
    await ours.verify(good)
    with pytest.raises(Unauthenticated) as caught:
        await ours.verify(forged)
    assert claims["jti"] not in str(caught.value)


@pytest.mark.proves("auth.forged")
@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 2},
        {"epoch": 4},
        {"epoch": "3"},
        {"epoch": None},
        {"sub": "other"},
        {"tenant_id": "gone", "sub": "gone"},
        {"role": "admin"},
        {"role": None},
        {"jti": None},
        {"nbf": None},
    ],
    ids=str,
)
async def test_claims_of_an_app_must_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    ours = tokens(tmp_path)
    claims = jwt.decode(ours.issue("shop", 3), options={"verify_signature": False}) | changes
    key = FileRing(tmp_path / "keys", "EdDSA", 1e9, SystemClock()).signer()
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(Unauthenticated):
        await ours.verify(jwt.encode(claims, key.private, "EdDSA", {"kid": key.kid}))


@pytest.mark.proves("auth.revoked")
async def test_raising_the_epoch_revokes_what_was_issued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tokens(tmp_path)
    token = ours.issue("shop", 3)
    await ours.verify(token)
    monkeypatch.setitem(EPOCHS, "shop", 4)
    with pytest.raises(Unauthenticated, match="revoked"):
        await ours.verify(token)
    await ours.verify(ours.issue("shop", 4))
    monkeypatch.delitem(EPOCHS, "shop")
    with pytest.raises(Unauthenticated, match="revoked"):
        await ours.verify(ours.issue("shop", 4))


@pytest.mark.proves("auth.rotation")
async def test_an_old_key_checks_until_its_last_token_has_ended(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    ours = tokens(tmp_path, clock, token_lifetime=3600, leeway=30)
    old = ours.issue("shop", 3)
    first = jwt.get_unverified_header(old)["kid"]
    second = ours.rotate()
    assert [key["kid"] for key in ours.jwks()["keys"]] == [second, first]
    new = ours.issue("shop", 3)
    assert jwt.get_unverified_header(new)["kid"] == second != first
    await ours.verify(old)
    await ours.verify(new)
    clock._now += 3600 + 30 + 2
    assert [key["kid"] for key in ours.jwks()["keys"]] == [second]
    assert not ours.knows(first)
    third = ours.rotate()
    assert {path.name.rpartition(".")[0][-16:] for path in (tmp_path / "keys").iterdir()} == {second, third}


@pytest.mark.proves("auth.rotation")
async def test_another_process_sees_a_new_key(tmp_path: Path) -> None:
    ours, theirs = tokens(tmp_path), tokens(tmp_path)
    await theirs.verify(ours.issue("shop", 3))
    ours.rotate()
    await theirs.verify(ours.issue("shop", 3))
    assert theirs.jwks() == ours.jwks()


@pytest.mark.proves("auth.rotation")
async def test_another_algorithm_signs_while_old_tokens_stay_good(tmp_path: Path) -> None:
    old = tokens(tmp_path).issue("shop", 3)
    ours = tokens(tmp_path, signing_algorithm="RS256")
    assert jwt.get_unverified_header(ours.issue("shop", 3))["alg"] == "RS256"
    await ours.verify(old)


@pytest.mark.proves("cli.auth-signing-seed")
async def test_instances_with_the_same_seed_trust_each_other(tmp_path: Path) -> None:
    one, other = (tokens(tmp_path / name, signing_seed=SEEDS[:1]) for name in "ab")
    await other.verify(one.issue("shop", 3))
    assert not (tmp_path / "a").exists()
    changed = tokens(tmp_path, signing_seed=(SEEDS[1], SEEDS[0]))
    await changed.verify(one.issue("shop", 3))
    assert changed.jwks()["keys"][1] == one.jwks()["keys"][0]
    with pytest.raises(Unauthenticated):
        await one.verify(changed.issue("shop", 3))
    with pytest.raises(Conflict, match="signing_seed"):
        one.rotate()


@pytest.mark.proves("auth.key-files")
@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")
def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    ours = tokens(tmp_path)
    ours.issue("shop", 3)
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        tokens(tmp_path).issue("shop", 3)


@pytest.mark.proves("auth.key-files")
@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_named(tmp_path: Path, content: bytes) -> None:
    ours = tokens(tmp_path)
    ours.issue("shop", 3)
    (file,) = (tmp_path / "keys").iterdir()
    file.write_bytes(content)
    with pytest.raises(HectorError, match=file.name):
        tokens(tmp_path).issue("shop", 3)


@pytest.mark.proves("cli.auth-signing-seed")
@pytest.mark.parametrize(("several", "settings"), [(True, {}), (True, {"signing_seed": SEEDS}), (False, {})])
def test_servers_that_cannot_trust_each_other_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, several: bool, settings: dict[str, Any]
) -> None:
    ours = Tokens(Auth(**settings), tmp_path / "keys", None, epoch_of, SystemClock(), several=several)
    for _ in range(2):
        ours.issue("shop", 3)
    warned = [record for record in caplog.records if "signing_seed" in record.getMessage()]
    assert len(warned) == (1 if several and not settings else 0)
