"""Connections: TLS by the server itself, and what happens to clients that send too much or too slowly."""

import json
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from tests.net import authority
from tests.smoke.frontdoor import FORMS, PATIENCE, Hector, Server

PASSWORD = "of the key"
AGENT = {
    "llms": {"default": {"provider": "scripted", "rules": [{"text": "hello"}]}},
    "agents": {"helper": {"instruction": "Help."}},
}


def write(folder: Path, **server: Any) -> None:
    (folder / "c.yaml").write_text(json.dumps({**AGENT, "server": server}), encoding="utf-8")


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bounded")
    write(folder, request_headers={"max_bytes": "4 KiB", "max_count": 20, "timeout": "500ms"})
    with Hector(FORMS["source"], folder).serve("--config", "c.yaml") as server:
        yield server


def talk(server: Server, *pieces: bytes) -> bytes:
    """Everything that the server says to these bytes until it closes."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


HEAD = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.proves("ops.request-heads")
@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-Long: " + b"x" * 5000 + b"\r\n\r\n",
        HEAD + b"X-Endless: " + b"x" * 9000,
        HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(30)) + b"\r\n",
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["long header", "header without an end", "many headers", "long path"],
)
def test_too_large_a_head_is_refused(bounded: Server, head: bytes) -> None:
    assert talk(bounded, head).startswith(b"HTTP/1.1 431 ")
    assert httpx.get(f"{bounded.url}/livez").status_code == 200


@pytest.mark.proves("ops.request-heads")
def test_too_large_a_head_behind_a_good_request_never_answers_that_one(bounded: Server) -> None:
    too_large = HEAD + b"X-Long: " + b"x" * 5000 + b"\r\n\r\n"
    assert not talk(bounded, HEAD + b"\r\n" + too_large).startswith(b"HTTP/1.1 431 ")
    url = httpx.URL(bounded.url)
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        connection.sendall(HEAD + b"\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        connection.sendall(too_large)
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


@pytest.mark.proves("ops.request-heads")
def test_a_head_that_never_ends_is_ended(bounded: Server) -> None:
    assert talk(bounded, HEAD).startswith(b"HTTP/1.1 408 ")


@pytest.mark.proves("ops.request-heads")
def test_a_silent_connection_is_closed(bounded: Server) -> None:
    assert talk(bounded) == b""


@pytest.mark.proves("ops.request-heads")
def test_a_head_in_pieces_is_fine_as_long_as_it_arrives_in_time(bounded: Server) -> None:
    answer = talk(bounded, HEAD[:10], HEAD[10:], b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.proves("ops.request-heads")
def test_heads_in_one_packet_are_each_judged_by_their_own_size(bounded: Server) -> None:
    url = httpx.URL(bounded.url)
    two_at_once = 2 * (HEAD + b"X-Long: " + b"x" * 3000 + b"\r\n\r\n")
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        connection.sendall(two_at_once)
        answer = b""
        while answer.count(b"HTTP/1.1 200 ") < 2:
            answer += connection.recv(65536)
    split = HEAD + b"\r\n" + HEAD + b"X-Long: " + b"x" * 3000, b"y" * 3000 + b"\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        connection.sendall(split[0])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(split[1])
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_an_answer_without_a_body_leaves_at_once(bounded: Server) -> None:
    url = httpx.URL(bounded.url)
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        for _ in range(2):
            connection.sendall(HEAD.replace(b"GET", b"HEAD") + b"\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\ncontent-length: " in answer, "a head that is held until its body comes"


def test_a_client_may_wait_to_be_told_to_go_on(bounded: Server) -> None:
    url = httpx.URL(bounded.url)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "none"}}).encode()
    head = b"POST /agents/helper HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nA2A-Version: 1.0\r\n"
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.proves("ops.request-heads")
def test_a_kept_connection_may_rest_longer_than_a_head_may_take(bounded: Server) -> None:
    with httpx.Client(base_url=bounded.url) as client:
        first = client.get("/livez")
        time.sleep(0.8)  # longer than a head may take: that is what is tested
        assert (first.status_code, client.get("/livez").status_code) == (200, 200)


@pytest.mark.proves("ops.request-heads")
@pytest.mark.parametrize("path", ["/livez", "/nothing-there"])
def test_who_asks_for_the_head_alone_gets_it_at_once(bounded: Server, path: str) -> None:
    with httpx.Client(base_url=bounded.url, timeout=PATIENCE) as client:
        for _ in range(2):  # over one connection
            whole, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b"")
            assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.proves("ops.security-headers")
@pytest.mark.parametrize("path", ["/", "/livez", "/agents", "/nothing-there", "/agents/helper"])
def test_answers_are_data_to_browsers(bounded: Server, path: str) -> None:
    answer = httpx.get(f"{bounded.url}{path}")
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "strict-transport-security" not in answer.headers


def certificate(folder: Path, password: str = "") -> Path:
    """A new authority in `folder`, and its certificate for 127.0.0.1 as `server.pem`; the authority's file.

    With a password, the key is encrypted.
    """
    found, _ = authority.make(folder)
    if password:
        pem = folder / "server.pem"
        key = serialization.load_pem_private_key(pem.read_bytes(), None)
        lock = serialization.BestAvailableEncryption(password.encode())
        locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        pem.write_bytes(locked + pem.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    return found


def subject_key(server: Server) -> bytes:
    """The certificate that the server shows."""
    url = httpx.URL(server.url)
    return ssl.get_server_certificate((url.host, url.port or 0), timeout=PATIENCE).encode()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server that speaks TLS, and the file of the authority that vouches for it."""
    trusted = certificate(tmp_path, PASSWORD)
    with securely(tmp_path, trusted, ssl.create_default_context(cafile=str(trusted))) as server:
        yield server, trusted


@contextmanager
def securely(folder: Path, trusted: Path, context: ssl.SSLContext, **tls: str) -> Iterator[Server]:
    """A server with the certificate in a folder, once clients with this context reach it."""
    write(folder, tls={"cert_file": "server.pem", "key_password": PASSWORD, **tls})
    hector = Hector(FORMS["source"], folder, {"SSL_CERT_FILE": str(trusted)})
    with hector.serve("--config", "c.yaml", ready=False) as server:
        server.url = server.url.replace("http://", "https://")
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                assert httpx.get(f"{server.url}/readyz", verify=context).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, server.text()
                time.sleep(0.05)  # nothing announces that a port begins to listen
        yield server


@pytest.mark.proves("ops.tls")
def test_only_clients_of_an_authority_come_in_and_none_with_an_older_version(tmp_path: Path) -> None:
    trusted = certificate(tmp_path, PASSWORD)
    ours, strange, old = (ssl.create_default_context(cafile=str(trusted)) for _ in range(3))
    for context in (ours, old):
        context.load_cert_chain(tmp_path / "server.pem", password=PASSWORD)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with securely(tmp_path, trusted, ours, client_ca_file=str(trusted), min_version="1.3") as server:
        for context in (strange, old):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{server.url}/livez", verify=context)
        assert httpx.get(f"{server.url}/livez", verify=ours).status_code == 200


@pytest.mark.proves("ops.tls")
def test_https_is_spoken_and_says_so(secure: tuple[Server, Path]) -> None:
    server, trusted = secure
    context = ssl.create_default_context(cafile=str(trusted))
    card = httpx.get(f"{server.url}/.well-known/agent-card.json", verify=context)
    assert card.json()["supportedInterfaces"][0]["url"].startswith("https://")
    assert card.headers["strict-transport-security"].startswith("max-age=")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{server.url.replace('https', 'http')}/livez")


@pytest.mark.proves("ops.tls")
def test_old_versions_of_tls_are_not_spoken(secure: tuple[Server, Path]) -> None:
    server, _ = secure
    url = httpx.URL(server.url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((url.host, url.port or 0), PATIENCE) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain)


@pytest.mark.proves("ops.tls")
def test_a_renewed_certificate_counts_without_a_restart_and_half_of_one_does_not(
    secure: tuple[Server, Path], tmp_path: Path
) -> None:
    server, trusted = secure
    before = subject_key(server)
    pem = tmp_path / "server.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\nhalf\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for_words(server, "the certificate stays as it was")
    assert subject_key(server) == before
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    certificate(fresh, PASSWORD)
    shutil.copy(fresh / "server.pem", pem)
    server.process.send_signal(signal.SIGHUP)
    wait_for_words(server, "certificate taken up")
    assert subject_key(server) != before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/livez", verify=ssl.create_default_context(cafile=str(trusted)))


def wait_for_words(server: Server, words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while words not in server.text():
        assert time.monotonic() < deadline, server.text()
        time.sleep(0.02)  # the log is all that tells of it


@pytest.mark.proves("ops.tls")
@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({"cert_file": "gone.pem"}, ("server.tls.cert_file", "gone.pem", "PEM")),
        ({"cert_file": "c.yaml"}, ("server.tls", "c.yaml", "PEM")),
        ({"cert_file": "server.pem", "key_file": "other/server.pem"}, ("is not the one of the certificate",)),
        ({"cert_file": "locked/server.pem", "key_password": "wrong"}, ("server.tls.key_password is wrong",)),
        ({"cert_file": "server.pem", "client_ca_file": "gone.pem"}, ("server.tls.client_ca_file", "gone.pem")),
        ({}, ("server.tls", "TLS needs a certificate")),
        ({"cert_file": "server.pem", "min_version": "1.1"}, ("server.tls.min_version", "1.2")),
    ],
)
def test_wrong_files_are_named_before_anything_starts(
    tmp_path: Path, tls: dict[str, str], words: tuple[str, ...]
) -> None:
    certificate(tmp_path)
    for name, password in (("other", ""), ("locked", PASSWORD)):
        (tmp_path / name).mkdir()
        certificate(tmp_path / name, password)
    write(tmp_path, tls=tls)
    done = Hector(FORMS["source"], tmp_path).run("serve", "--config", "c.yaml", "--port", "0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
