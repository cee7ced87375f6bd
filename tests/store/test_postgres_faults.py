"""What PostgreSQL and its driver say, in words that name the remedy."""

import asyncio
import json
import shutil
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from hector.config.database import Database
from hector.config.load import parse_config
from hector.core.errors import HectorError, InvalidRequest, NotFound, StartupError, StoreError, StoreUnavailable
from hector.store import open_store
from hector.store.postgres_faults import translate
from tests.postgres import PASSWORD, Postgres
from tests.store.turns import begin

pytestmark = pytest.mark.proves("database.postgres")


def said(state: str, message: str = "as the server puts it") -> asyncpg.PostgresError:
    """An error of the server."""
    error: asyncpg.PostgresError = asyncpg.PostgresError.new({"C": state, "M": message})
    return error


@pytest.mark.parametrize(
    ("state", "kind", "remedy"),
    [
        ("53100", StoreUnavailable, "its disk is full: free some space there"),
        ("53200", StoreUnavailable, "it is out of memory"),
        ("53300", StoreUnavailable, "raise its max_connections, or lower max_conns"),
        ("53400", StoreUnavailable, r"it has run out of something \(as the server puts it\)"),
        ("57P01", StoreUnavailable, "it is shutting down"),
        ("57P02", StoreUnavailable, "it has crashed and restarts"),
        ("57P03", StoreUnavailable, "it is starting up"),
        ("57014", StoreUnavailable, "raise statement_timeout"),
        ("57P05", StoreUnavailable, "interrupted"),
        ("58030", StoreUnavailable, "its disk reports an error"),
        ("58P01", StoreUnavailable, "check the machine"),
        ("25006", StoreUnavailable, "name the primary server"),
        ("25P03", StoreUnavailable, "try again"),
        ("40001", StoreUnavailable, "try again"),
        ("40P01", StoreUnavailable, "try again"),
        ("55P03", StoreUnavailable, "look for long transactions"),
        ("08006", StoreUnavailable, "connects again"),
        ("42501", StoreUnavailable, "lacks a right: grant it"),
        ("42P01", StoreUnavailable, "restore the database from a backup"),
        ("XX001", StoreError, r"it is damaged \(as the server puts it\): restore it from a backup"),
        ("22021", InvalidRequest, "NUL character"),
        ("22P05", InvalidRequest, "NUL character"),
        ("54000", InvalidRequest, "identifier is too long"),
        ("23505", StoreError, "at u@h:1/d: as the server puts it"),
    ],
)
def test_states_of_the_server(state: str, kind: type[HectorError], remedy: str) -> None:
    found = translate(said(state), "u@h:1/d")
    assert type(found) is kind
    with pytest.raises(kind, match=remedy):
        raise found


def test_a_pooler_in_between_is_told_from_a_broken_connection() -> None:
    refused = said("08P01", "unsupported startup parameter: lock_timeout")
    assert "name PostgreSQL itself" in str(translate(refused, "u@h:1/d"))


def test_what_is_no_fault_of_the_database_stays_as_it_is() -> None:
    for error in (NotFound("task", "x"), ValueError("a defect")):
        assert translate(error, "u@h:1/d") is error


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(111, "Connect call failed ('h', 1)"), "connection refused"),
        (OSError(113, "No route to host"), "No route to host"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
        (asyncpg.InterfaceError("connection is closed"), "connects again"),
        (asyncpg.InternalClientError("odd"), "connects again"),
    ],
)
def test_what_the_network_says(error: Exception, remedy: str) -> None:
    found = translate(error, "u@h:1/d")
    assert isinstance(found, StoreUnavailable)
    assert remedy in str(found)


async def test_a_server_that_is_starting_is_waited_for(postgres: Postgres, postgres_ready: str) -> None:
    refusals = 3
    body = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"

    async def gate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            await reader.read(8)
            writer.write(b"E" + struct.pack("!i", 4 + len(body)) + body)
            writer.close()
            return
        above, below = await asyncio.open_connection("127.0.0.1", postgres.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, below))
            group.create_task(copy(above, writer))

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    server = await asyncio.start_server(gate, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = await open_store(postgres_ready.replace(f":{postgres.port}/", f":{port}/"))
    assert refusals == 0
    await begin(store)
    await store.aclose()
    server.close()


@pytest.fixture(scope="module")
def encrypted(postgres_programs: Path) -> Iterator[Postgres]:
    """A server that encrypts, with a certificate for `localhost` from an authority of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    settings = {"ssl": "on", "ssl_cert_file": "../server.crt", "ssl_key_file": "../server.key"}
    settings["ssl_ca_file"] = "../ca.crt"
    server = Postgres(postgres_programs, settings)
    certify(server.folder)
    server.start()
    yield server
    server.remove()


class TestEncryption:
    @pytest.mark.parametrize(
        ("host", "query"),
        [
            ("127.0.0.1", "sslmode=prefer"),
            ("127.0.0.1", "sslmode=require"),
            ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}"),
            ("127.0.0.1", "sslmode=require&sslrootcert={ca}"),
            ("localhost", "sslmode=verify-full&sslrootcert={ca}"),
        ],
    )
    async def test_modes_that_let_us_in(self, encrypted: Postgres, host: str, query: str) -> None:
        dsn = encrypted.dsn(encrypted.create(), query=query.format(ca=encrypted.folder / "ca.crt"))
        store = await open_store(dsn.replace("127.0.0.1", host))
        asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await store.database.read(lambda con: con.one(asked)) == (True,)
        await store.aclose()

    async def test_we_show_the_certificate_of_the_block(self, encrypted: Postgres) -> None:
        files = {name: str(encrypted.folder / file) for name, file in FILES.items()}
        whole = urlsplit(encrypted.dsn(encrypted.create()))
        block = {
            "driver": "postgres", "host": whole.hostname, "port": whole.port, "database": whole.path[1:],
            "username": whole.username, "password": unquote(whole.password or ""), "ssl_mode": "verify-ca", **files,
        }  # fmt: skip
        config = parse_config(json.dumps({"databases": {"default": block}}), is_json=True).config
        store = await open_store(config.databases["default"].dsn)
        asked = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await store.database.read(lambda con: con.one(asked)) == ("/CN=hector",)
        await store.aclose()
        wrong = Database.model_validate({**block, "ssl_key": str(encrypted.folder / "other.key")})
        with pytest.raises(StartupError, match=r"TLS file .*client.crt of the PostgreSQL address cannot be used"):
            await open_store(wrong.dsn)

    @pytest.mark.parametrize(
        ("host", "query", "reason"),
        [
            (
                "localhost",
                "sslmode=verify-full",
                "self-signed certificate in certificate chain|unable to get local issuer",
            ),
            ("localhost", "sslmode=verify-ca&sslrootcert={other}", "its certificate is not to be trusted"),
            ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca}", "IP address mismatch|doesn't match"),
        ],
    )
    async def test_servers_that_are_not_trusted(self, encrypted: Postgres, host: str, query: str, reason: str) -> None:
        files = {"ca": encrypted.folder / "ca.crt", "other": encrypted.folder / "other.crt"}
        dsn = encrypted.dsn(query=query.format(**files)).replace("127.0.0.1", host)
        with pytest.raises(StartupError, match=reason) as caught:
            await open_store(dsn)
        assert PASSWORD not in str(caught.value)


FILES = {"ssl_root_cert": "ca.crt", "ssl_cert": "client.crt", "ssl_key": "client.key"}


def certify(folder: Path) -> None:
    """An authority, another one, and certificates of a server and a client by the first."""
    new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    for name in ("ca", "other"):
        use = "-addext keyUsage=critical,keyCertSign,cRLSign"
        openssl(folder, f"{new} -x509 -subj /CN={name} -keyout {name}.key -out {name}.crt {use}")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n", encoding="utf-8")
    for name, subject in (("server", "localhost"), ("client", "hector")):
        openssl(folder, f"{new.replace(' -days 2', '')} -subj /CN={subject} -keyout {name}.key -out {name}.csr")
        use = f"-CAcreateserial -days 2 -extfile names -out {name}.crt"
        openssl(folder, f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key {use}")
    key, owner = folder / "server.key", folder.stat()
    shutil.chown(key, owner.st_uid, owner.st_gid)
    key.chmod(0o600)
    folder.chmod(0o755)


def openssl(folder: Path, arguments: str) -> None:
    """Run it in `folder`."""
    subprocess.run(["openssl", *arguments.split()], cwd=folder, capture_output=True, check=True, timeout=30)
