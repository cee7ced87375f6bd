"""TLS with an authority of our own."""

import asyncio
import ssl
from pathlib import Path

import pytest

from hector.core.errors import ConfigError
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.client import open_client
from hector.net.errors import ConnectFailed, TlsFailed
from hector.net.tls import context_for
from tests.net import authority
from tests.net.hostile import CHUNKED, Peer, echo, replies, serving


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's PEM file and a server context that it vouches for."""
    return authority.make(tmp_path_factory.mktemp("tls"))


@pytest.mark.proves("models.proxy")
async def test_a_ca_bundle_makes_a_server_trusted(trust: tuple[Path, ssl.SSLContext]) -> None:
    bundle, context = trust
    async with serving(echo(), tls=context) as server:
        caller = open_caller(CallerOptions(server.url, ca_bundle=str(bundle)))
        for _ in range(3):
            assert await (await caller.send("POST", "/", body=b"x" * 100_000)).read() == b"x" * 100_000
        assert server.connections == 1
        await caller.aclose()
        async with open_client(base_url=server.url, ca_bundle=str(bundle)) as client:
            assert (await client.post("/", content=b"hello")).text == "hello"


@pytest.mark.proves("models.proxy")
async def test_so_does_ssl_cert_file(trust: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, context = trust
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    async with serving(echo(), tls=context) as server:
        caller = open_caller(CallerOptions(server.url))
        assert await (await caller.send("POST", "/", body=b"hello")).read() == b"hello"
        await caller.aclose()


async def test_an_unknown_authority_is_refused_with_advice(trust: tuple[Path, ssl.SSLContext]) -> None:
    _, context = trust
    async with serving(echo(), tls=context) as server:
        caller = open_caller(CallerOptions(server.url))
        with pytest.raises(TlsFailed, match="is not trusted: .* set ca_bundle") as caught:
            await caller.send("POST", "/", body=b"hello")
        assert not caught.value.retryable
        assert server.requests == []


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    bundle, context = authority.make(tmp_path, host="127.0.0.2")
    async with serving(echo(), tls=context) as server:
        caller = open_caller(CallerOptions(server.url, ca_bundle=str(bundle)))
        with pytest.raises(TlsFailed, match="is not trusted"):
            await caller.send("POST", "/", body=b"hello")


async def test_no_tls_on_the_other_side(trust: tuple[Path, ssl.SSLContext]) -> None:
    bundle, _ = trust

    async def plain(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as server:
        caller = open_caller(CallerOptions(f"https://127.0.0.1:{server.port}", ca_bundle=str(bundle)))
        with pytest.raises(ConnectFailed):
            await caller.send("POST", "/", body=b"hello")


@pytest.mark.proves("models.cancel")
async def test_cancelling_hangs_up_over_tls_too(trust: tuple[Path, ssl.SSLContext]) -> None:
    bundle, context = trust
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()
        hung_up.set()

    async with serving(script, tls=context) as server:
        caller = open_caller(CallerOptions(server.url, ca_bundle=str(bundle)))
        answer = await caller.send("POST", "/", body=b"")
        assert await anext(answer) == b"hello"
        await answer.aclose()
        await asyncio.wait_for(hung_up.wait(), 60)
        await caller.aclose()


async def test_a_stale_connection_over_tls_is_replaced(trust: tuple[Path, ssl.SSLContext]) -> None:
    bundle, context = trust
    first = replies(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    async with serving(first, echo(), tls=context) as server:
        caller = open_caller(CallerOptions(server.url, ca_bundle=str(bundle)))
        assert await (await caller.send("POST", "/", body=b"1")).read() == b"ok"
        assert await (await caller.send("POST", "/", body=b"2")).read() == b"2"
        await caller.aclose()


@pytest.mark.proves("models.proxy")
def test_a_bundle_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="ca_bundle points to .*nothing.pem, which does not exist"):
        context_for(str(tmp_path / "nothing.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE points to .*none.pem, which does not exist"):
        open_caller(CallerOptions("https://x.example"))


def test_a_bundle_without_certificates_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("not a certificate", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no readable PEM certificate"):
        context_for(str(empty))


def test_the_default_context_verifies() -> None:
    context = context_for()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context is context_for()
