"""Tokens of an identity provider: its keys over real HTTP, every forgery, floods, outages, and what claims mean."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hector.auth import provider as providers
from hector.auth.claims import principal_of_claims
from hector.auth.provider import AGAIN, Provider, public_keys
from hector.config.auth import Auth
from hector.core.clock import FakeClock, SystemClock
from hector.core.errors import IdentityUnavailable, Unauthenticated
from hector.core.identity import Principal, Role, Via
from tests.auth.forgeries import FORGERIES
from tests.auth.issuer import AUDIENCE, Issuer, issuing


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


def provider(issuer: Issuer, clock: FakeClock | SystemClock | None = None, **settings: Any) -> Provider:
    found = {"issuer": issuer.url, "jwks_url": f"{issuer.url}/keys", "audience": (AUDIENCE,), **settings}
    return Provider(Auth(**found), clock or SystemClock())


@pytest.mark.proves("security.jwks-oidc")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("discover", [False, True])
async def test_a_good_token_is_taken(issuer: Issuer, algorithm: str, discover: bool) -> None:
    issuer.add("mine", algorithm)
    checks = provider(issuer, jwks_url=None) if discover else provider(issuer)
    assert (await checks.verify(issuer.token("mine")))["sub"] == "ada"
    assert (await checks.verify(issuer.token("mine", aud=["other", AUDIENCE])))["sub"] == "ada"
    assert (await checks.verify(issuer.token("mine", header={"typ": "at+jwt"})))["sub"] == "ada"
    assert issuer.asked == 1


@pytest.mark.proves("security.jwks-oidc", "auth.forged")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_every_forged_token_is_refused(issuer: Issuer, algorithm: str) -> None:
    issuer.add("mine", algorithm)
    checks = provider(issuer)
    await checks.verify(issuer.token("mine"))
    taken: list[str] = []
    for name, make in FORGERIES.items():
        try:
            await checks.verify(make(algorithm, "mine", issuer.keys["mine"][1], issuer.claims()))
        except Unauthenticated:
            continue
        taken.append(name)
    assert taken == []


@pytest.mark.proves("auth.jwks-flood")
async def test_a_flood_of_unknown_keys_asks_the_provider_once(issuer: Issuer) -> None:
    clock = FakeClock(SystemClock().now())
    checks = provider(issuer, clock)
    await checks.verify(issuer.token())
    clock._now += AGAIN
    forged = [issuer.token(header={"kid": f"k{number}"}) for number in range(50)]
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(refused(checks, token)) for token in forged]
    assert all(one.result() for one in tries)
    assert issuer.asked == 2
    await checks.verify(issuer.token())


async def refused(checks: Provider, token: str) -> bool:
    try:
        await checks.verify(token)
    except Unauthenticated:
        return True
    return False


@pytest.mark.proves("auth.rotation")
@pytest.mark.parametrize(("settings", "kept"), [({}, 900), ({"refresh_interval": 60}, 60)])
async def test_a_new_key_of_the_provider_is_found_and_an_old_one_goes(
    issuer: Issuer, settings: dict[str, Any], kept: int
) -> None:
    clock = FakeClock(SystemClock().now())
    checks = provider(issuer, clock, **settings)
    old = issuer.token()
    await checks.verify(old)
    issuer.add("two", "ES256")
    clock._now += AGAIN
    await checks.verify(issuer.token("two"))
    del issuer.keys["one"]
    await checks.verify(old)
    clock._now += kept
    assert await refused(checks, old)
    await checks.verify(issuer.token("two", exp=int(clock.now()) + 60))


@pytest.mark.proves("auth.jwks-away")
async def test_a_provider_that_is_away_is_waited_for_and_its_keys_stay(issuer: Issuer) -> None:
    clock = FakeClock(SystemClock().now())
    checks = provider(issuer, clock)
    issuer.down = True
    for _ in range(20):
        with pytest.raises(IdentityUnavailable, match="HTTP 503"):
            await checks.verify(issuer.token())
    assert issuer.asked == 1
    issuer.down = False
    clock._now += AGAIN
    await checks.verify(issuer.token())
    issuer.down = True
    clock._now += 3600
    await checks.verify(issuer.token(exp=int(SystemClock().now()) + 9000))
    assert issuer.asked == 3


@pytest.mark.proves("auth.jwks-away")
@pytest.mark.parametrize("says", ["https://evil.example", ""])
async def test_a_discovery_document_of_somebody_else_is_no_use(issuer: Issuer, says: str) -> None:
    issuer.says = says or f"{issuer.url}/"
    with pytest.raises(IdentityUnavailable, match="another issuer"):
        await provider(issuer, jwks_url=None).verify(issuer.token())


async def test_nobody_listens_there(issuer: Issuer) -> None:
    checks = provider(issuer, jwks_url="http://127.0.0.1:1/keys")
    with pytest.raises(IdentityUnavailable, match="keys of the identity provider cannot be read"):
        await checks.verify(issuer.token())


async def test_a_token_without_kid_fits_the_only_key(issuer: Issuer) -> None:
    import jwt

    token = jwt.encode(issuer.claims(), issuer.keys["one"][1], "RS256")
    await provider(issuer).verify(token)
    issuer.add("two", "RS256")
    assert await refused(provider(issuer), token)


@pytest.mark.proves("auth.forged")
def test_keys_for_other_ends_are_left_out(issuer: Issuer) -> None:
    (good,) = issuer.document()["keys"]
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    weak = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)
    bad: list[Any] = [
        {**good, "use": "enc"},
        {**good, "key_ops": ["encrypt"]},
        {**good, "alg": "HS256"},
        {**good, "alg": "none"},
        {**good, "kty": "oct", "k": "AAAA"},
        {**good, "kty": "EC"},
        {**good, "n": "!"},
        weak,
        {},
        "text",
        None,
    ]
    assert public_keys({"keys": bad}) == ()
    (found,) = public_keys({"keys": [*bad, good]})
    assert found.algorithms == ("RS256",)
    (wider,) = public_keys({"keys": [{name: value for name, value in good.items() if name != "alg"}]})
    assert wider.algorithms == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    broken: tuple[object, ...] = ([], {}, {"keys": 1}, None)
    for wrong in broken:
        with pytest.raises(ValueError, match="no list of keys"):
            public_keys(wrong)
    assert providers._algorithms({"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519"}) == ("EdDSA",)


def person(role: Role = Role.USER, app: str | None = "default", user: str = "ada") -> Principal:
    return Principal("oidc:ada", role, Via.OIDC, app, user)


@pytest.mark.proves("auth.claims")
@pytest.mark.parametrize(
    ("settings", "claims", "expected"),
    [
        ({}, {}, person()),
        ({}, {"role": "app", "tenant_id": "shop"}, person(Role.APP, "shop")),
        ({}, {"role": ["user", "operator"]}, person(Role.OPERATOR, None)),
        ({}, {"role": "admin", "tenant_id": "shop"}, person(Role.ADMIN, "shop")),
        ({}, {"role": "Admin"}, person()),
        ({}, {"role": {"admin": True}}, person()),
        (
            {"role_claim": "realm.roles", "roles": {"boss": "admin"}},
            {"realm": {"roles": ["boss"]}},
            person(Role.ADMIN, None),
        ),
        (
            {"role_claim": "https://x.example/roles"},
            {"https://x.example/roles": ["operator"]},
            person(Role.OPERATOR, None),
        ),
        ({"roles": {"boss": "admin"}}, {"role": "admin"}, person()),
        ({"tenant_claim": "org.id"}, {"org": {"id": "shop"}}, person(app="shop")),
        ({"tenant_claim": "org.id"}, {"org": "shop"}, person()),
    ],
)
def test_what_claims_mean(settings: dict[str, Any], claims: dict[str, Any], expected: Principal) -> None:
    assert principal_of_claims(Auth(**settings), {"sub": "ada", **claims}) == expected


@pytest.mark.proves("auth.claims")
@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({}, {"sub": ""}),
        ({}, {"sub": "x" * 300}),
        ({}, {"sub": 7}),
        ({}, {"sub": "a\0b"}),
        ({}, {"sub": "ada\nadmin"}),
        ({}, {"sub": "ada\u202enimda"}),
        ({}, {"tenant_id": "shop\0"}),
        ({}, {"tenant_id": ["shop"]}),
        ({}, {"tenant_id": ""}),
        ({"default_role": "none"}, {}),
        ({"default_role": "none"}, {"role": "guest"}),
    ],
)
def test_claims_that_name_nobody_are_refused(settings: dict[str, Any], claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        principal_of_claims(Auth(**settings), {"sub": "ada", **claims})


@pytest.mark.proves("auth.claims")
@pytest.mark.parametrize("subject", ["default", "@admin", "oidc:ada", "oidc:default"])
def test_nobody_can_be_named_like_a_user_of_ours(subject: str) -> None:
    found = principal_of_claims(Auth(), {"sub": subject})
    assert found.user == f"oidc:{subject}"
