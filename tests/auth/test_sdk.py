"""The official client with every kind of credential, by its own interceptor and by headers."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from a2a.client import (
    AuthInterceptor,
    Client,
    ClientConfig,
    ClientFactory,
    InMemoryContextCredentialStore,
)
from a2a.client.client import ClientCallContext
from a2a.client.errors import A2AClientError
from a2a.types import a2a_pb2 as types
from a2a.utils.errors import A2AError

from tests.a2a.samples import strict
from tests.auth.issuer import Issuer, issuing
from tests.auth.test_http import FILE_KEY, add_key, config
from tests.web.live import ADMIN_SECRET, Live, live, user

BINDINGS = ("JSONRPC", "HTTP+JSON")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Live]:
    with live(config(issuer.url), tmp_path_factory.mktemp("sdk")) as made:
        yield made


async def app_token(server: Live) -> str:
    auth = server.app.routes[0].app.gate.authenticator  # type: ignore[attr-defined]
    token: str = auth.tokens.issue("default", 1)
    return token


CREDENTIALS: dict[str, Callable[[Live, Issuer], str]] = {
    "admin secret": lambda server, issuer: ADMIN_SECRET,
    "key of the file": lambda server, issuer: FILE_KEY,
    "key of the store": lambda server, issuer: add_key(server)[1],
    "token of the default app": lambda server, issuer: str(server.call(lambda: app_token(server))),
    "token of the provider": lambda server, issuer: issuer.token(),
}


def card(server: Live, binding: str) -> types.AgentCard:
    value = server.client.get("/agents/helper").json()
    value["supportedInterfaces"] = [one for one in value["supportedInterfaces"] if one["protocolBinding"] == binding]
    found: types.AgentCard = strict(value, "AgentCard")
    return found


async def answers(client: Client, context: ClientCallContext | None = None) -> list[str]:
    request = strict({"message": user()}, "SendMessageRequest")
    stream: AsyncIterator[types.StreamResponse] = client.send_message(request, context=context)
    return [str(event.WhichOneof("payload")) async for event in stream]


@pytest.mark.proves("auth.sdk", "a2a.sdk")
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_the_clients_own_interceptor_finds_the_scheme_in_the_card(
    server: Live, issuer: Issuer, kind: str, binding: str
) -> None:
    store = InMemoryContextCredentialStore()
    credential = CREDENTIALS[kind](server, issuer)
    await store.set_credentials("session", "bearer", credential)
    factory = ClientFactory(ClientConfig(streaming=True, supported_protocol_bindings=[binding]))
    client = factory.create(card(server, binding), interceptors=[AuthInterceptor(store)])
    found = await answers(client, ClientCallContext(state={"sessionId": "session"}))
    await client.close()
    assert (found[0], found[-1]) == ("task", "status_update")


@pytest.mark.proves("auth.sdk", "a2a.sdk")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_key_in_its_own_header(server: Live, issuer: Issuer, binding: str) -> None:
    async with httpx.AsyncClient(headers={"X-API-Key": FILE_KEY}) as http:
        factory = ClientFactory(ClientConfig(streaming=True, supported_protocol_bindings=[binding], httpx_client=http))
        client = factory.create(card(server, binding))
        assert (await answers(client))[-1] == "status_update"
        await client.close()


@pytest.mark.proves("auth.sdk", "a2a.sdk")
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("credential", [None, "wrong", "expired"])
async def test_a_client_without_a_good_credential_learns_why(
    server: Live, issuer: Issuer, binding: str, credential: str | None
) -> None:
    token = issuer.token(exp=1) if credential == "expired" else credential
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(headers=headers) as http:
        factory = ClientFactory(ClientConfig(streaming=False, supported_protocol_bindings=[binding], httpx_client=http))
        client = factory.create(card(server, binding))
        with pytest.raises((A2AClientError, A2AError), match="401|authentication|not valid|expired"):
            await answers(client)
        await client.close()


@pytest.mark.proves("auth.cards")
def test_the_cards_are_valid(server: Live, folder: Path) -> None:
    for binding in BINDINGS:
        assert set(card(server, binding).security_schemes) == {"bearer", "apiKey", "openIdConnect"}
