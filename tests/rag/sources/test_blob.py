"""Objects of buckets: S3 against moto, Azure against Azurite, Google against its protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hector.config.egress import Egress
from hector.config.sources_remote import BlobSource
from hector.core.errors import ConfigError
from hector.core.retrieval import Item
from hector.net.gate import governed
from hector.rag.errors import Gone, SourceError, SourceRefused, Unreadable
from hector.rag.sources import s3
from hector.rag.sources.blob import BlobFiles
from hector.rag.sources.directory import Directory
from hector.rag.sources.kinds import Around, build
from tests.httpserver import HttpServer, Request, write_whole
from tests.rag.sources import stores

DOCS = {
    "docs/a.md": b"# A", "docs/sub/b c+d&e.md": b"# B", "docs/ünï/ß=%20.md": b"# C", "docs/.env": b"KEY=1",
    "docs/x.png": b"png", "docs/node_modules/n.md": b"n", "docs/big.md": b"x" * 2000, "other/o.md": b"o",
    "docs/key.md": b"-----BEGIN RSA PRIVATE KEY-----\n",
}  # fmt: skip
FOUND = ["docs/a.md", "docs/key.md", "docs/sub/b c+d&e.md", "docs/ünï/ß=%20.md"]


def objects(blob: dict[str, Any], environment: dict[str, str] | None = None, **keys: Any) -> BlobFiles:
    section = BlobSource.model_validate({"blob": blob, "max_file_size": 1000, **keys})
    made = build(section, Around(environment=environment or {}))
    assert isinstance(made, BlobFiles)
    return made


async def listed(found: AsyncIterator[Item]) -> dict[str, Item]:
    return {item.id: item async for item in found}


async def check(source: BlobFiles, change: Any) -> None:
    """What holds for all of them. `change` writes docs/a.md anew and deletes docs/key.md."""
    found = await listed(source.items())
    assert sorted(found) == FOUND
    assert source.omitted.counts == {"named like a secret": 1, "no text in it": 1, "too large": 1}
    for key in ("docs/a.md", "docs/sub/b c+d&e.md", "docs/ünï/ß=%20.md"):
        content = await source.read(found[key])
        assert content.data == DOCS[key]
        assert content.item.fingerprint == found[key].fingerprint
    with pytest.raises(Unreadable, match="private key"):
        await source.read(found["docs/key.md"])
    again = await listed(source.items([*FOUND, "docs/none.md", "other/o.md", "docs/.env"]))
    assert {key: item.fingerprint for key, item in again.items()} == {
        key: item.fingerprint for key, item in found.items()
    }
    await asyncio.to_thread(change)
    after = await listed(source.items())
    assert sorted(after) == ["docs/a.md", *FOUND[2:]]
    assert after["docs/a.md"].fingerprint != found["docs/a.md"].fingerprint
    assert after[FOUND[2]].fingerprint == found[FOUND[2]].fingerprint
    with pytest.raises(Gone):
        await source.read(found["docs/key.md"])
    await source.aclose()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = stores.free_port()
    command = [stores.program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with stores.running(command, port, tmp_path_factory.mktemp("moto")) as url:
        stores.send("PUT", f"{url}/bucket")
        for key, data in DOCS.items():
            stores.send("PUT", f"{url}/bucket/{quote(key)}", data)
        yield url


@pytest.mark.slow
@pytest.mark.proves("rag.blob.s3")
async def test_objects_of_s3(moto: str) -> None:
    def change() -> None:
        stores.send("PUT", f"{moto}/bucket/docs/a.md", b"# New")
        stores.send("DELETE", f"{moto}/bucket/docs/key.md")

    keys = {"AWS_ACCESS_KEY_ID": "AKIA1234567890", "AWS_SECRET_ACCESS_KEY": "very/secret+key"}
    await check(objects({"url": "s3://bucket/docs", "endpoint": moto}, keys), change)


@pytest.mark.slow
@pytest.mark.proves("rag.blob.s3")
async def test_long_lists_of_s3_come_in_pages(moto: str) -> None:
    await asyncio.to_thread(stores.send, "PUT", f"{moto}/many")
    for number in range(1100):
        await asyncio.to_thread(stores.send, "PUT", f"{moto}/many/p/{number}.md", b"x")
    source = objects({"url": "s3://many", "prefix": "p/", "endpoint": moto, "anonymous": True})
    assert len(await listed(source.items())) == 1100
    await source.aclose()


@pytest.mark.slow
async def test_a_bucket_that_is_not_there_is_an_error_and_no_empty_one(moto: str) -> None:
    source = objects({"url": "s3://none", "endpoint": moto, "anonymous": True})
    with pytest.raises(SourceError, match="NoSuchBucket"):
        await listed(source.items())
    await source.aclose()


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_requests_are_signed_as_amazon_says(query: str, signature: str) -> None:
    """The examples of AWS, "Signature Calculations for the Authorization Header"."""
    where = s3.S3Place("examplebucket.s3.amazonaws.com", "/", "us-east-1")
    keys = s3.Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = s3.signed("GET", "/", query, where, keys, datetime(2013, 5, 24, tzinfo=UTC))

    assert headers["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("arguments", "in_path", "origin", "path"),
    [
        (("b", "", "eu-west-1"), False, "https://b.s3.eu-west-1.amazonaws.com", "/"),
        (("b.with.dots", "", "eu-west-1"), False, "https://s3.eu-west-1.amazonaws.com", "/b.with.dots/"),
        (("b", "http://minio:9000", "r"), True, "http://minio:9000", "/b/"),
        (("b", "https://r2.example.com/x", "auto"), False, "https://b.r2.example.com", "/x/"),
    ],
)
def test_where_buckets_are(arguments: tuple[str, str, str], in_path: bool, origin: str, path: str) -> None:
    found, where = s3.place(*arguments, path_style=in_path)
    assert (found, where.path) == (origin, path)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = stores.free_port(), tmp_path_factory.mktemp("azurite")
    command = [stores.node_program("azurite-blob"), "--blobPort", str(port), "--location", str(folder), "--silent"]
    with stores.running([*command, "--skipApiVersionCheck"], port, folder) as url:
        stores.put_azure(url, "/docs", b"", {"restype": "container"})
        for key, data in DOCS.items():
            stores.put_azure(url, f"/docs/{quote(key)}", data, {}, "BlockBlob")
        yield url


@pytest.mark.slow
@pytest.mark.proves("rag.blob.azure")
async def test_blobs_of_azure(azurite: str) -> None:
    blob = {"url": "azblob://docs/docs", "account": stores.ACCOUNT, "endpoint": f"{azurite}/{stores.ACCOUNT}"}
    source = objects(blob, {"AZURE_STORAGE_KEY": stores.KEY})
    found = await listed(source.items())
    assert sorted(found) == FOUND
    for key in ("docs/a.md", "docs/sub/b c+d&e.md", "docs/ünï/ß=%20.md"):
        content = await source.read(found[key])
        assert content.data == DOCS[key]
        assert content.item.fingerprint == found[key].fingerprint
    assert sorted(await listed(source.items([*FOUND, "docs/none.md", "other/o.md"]))) == FOUND
    await asyncio.to_thread(stores.put_azure, azurite, "/docs/docs/a.md", b"# New", {}, "BlockBlob")
    after = await listed(source.items())
    assert after["docs/a.md"].fingerprint != found["docs/a.md"].fingerprint
    wrong = objects({**blob, "account_key": "d3Jvbmc="})
    with pytest.raises(SourceRefused, match="credentials"):
        await listed(wrong.items())
    for one in (source, wrong):
        await one.aclose()


class Google:
    """Cloud Storage's JSON interface, strictly: a token for a signed wish, lists in pages of two."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.objects = {key: (1, data) for key, data in DOCS.items()}
        self.tokens = 0
        self.server = HttpServer(self._answer)

    def file(self, folder: Path) -> str:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / "sa.json"
        path.write_text(json.dumps({
            "client_email": "reader@example.iam", "private_key": private.decode(), "private_key_id": "k1",
            "token_uri": f"{self.server.url}/token",
        }))  # fmt: skip
        return str(path)

    def change(self) -> None:
        self.objects["docs/a.md"] = (2, b"# New")
        del self.objects["docs/key.md"]

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        status, body, headers = self._made(request)
        write_whole(writer, status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)
        return True

    def _made(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        if request.path == "/token":
            form = dict(parse_qsl(request.body))
            assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            claims = jwt.decode(
                form["assertion"], self.key.public_key(), algorithms=["RS256"], audience=f"{self.server.url}/token"
            )
            assert claims["scope"].endswith("devstorage.read_only")
            self.tokens += 1
            return 200, {"access_token": "ya29.secret-token", "expires_in": 3600}, {}
        if request.headers.get("authorization") != "Bearer ya29.secret-token":
            return 401, {"error": "who?"}, {}
        query = dict(parse_qsl(request.query))
        if request.path == "/storage/v1/b/bucket/o":
            return self._listed(query)
        key = unquote(request.path.removeprefix("/storage/v1/b/bucket/o/"))
        if "/" in request.path.removeprefix("/storage/v1/b/bucket/o/") or key not in self.objects:
            return 404, {"error": "none"}, {}
        generation, data = self.objects[key]
        if query.get("alt") == "media":
            return 200, data, {"x-goog-generation": str(generation)}
        return 200, self._entry(key), {}

    def _entry(self, key: str) -> dict[str, str]:
        generation, data = self.objects[key]
        return {"name": key, "size": str(len(data)), "generation": str(generation)}

    def _listed(self, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        keys = sorted(key for key in self.objects if key.startswith(query["prefix"]))
        start = int(query.get("pageToken", "0"))
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(keys) else {}
        return 200, {"items": [self._entry(key) for key in keys[start : start + 2]], **more}, {}


@pytest.mark.proves("rag.blob.gcs")
async def test_objects_of_google(tmp_path: Path) -> None:
    google = Google()
    async with google.server:
        file = google.file(tmp_path)
        blob = {"url": "gs://bucket/docs", "endpoint": google.server.url}
        await check(objects(blob, {"GOOGLE_APPLICATION_CREDENTIALS": file}), google.change)
        assert google.tokens == 1
        nobody = objects({**blob, "anonymous": True})
        with pytest.raises(SourceRefused):
            await listed(nobody.items())
        await nobody.aclose()


@pytest.mark.slow
@pytest.mark.proves("rag.blob.gcs")
async def test_objects_of_googles_emulator(tmp_path: Path) -> None:
    port = stores.free_port()
    words = ["start", f"--port={port}", "--host=127.0.0.1", "--in-memory", "--default-bucket=bucket"]
    with stores.running([stores.program("gcp-storage-emulator"), *words], port, tmp_path) as url:
        for key, data in DOCS.items():
            await asyncio.to_thread(stores.put_google, url, key, data)

        def change() -> None:
            stores.put_google(url, "docs/a.md", b"# New")
            stores.send("DELETE", f"{url}/storage/v1/b/bucket/o/docs%2Fkey.md")

        await check(objects({"url": "gs://bucket/docs", "endpoint": url, "anonymous": True}), change)
        nowhere = objects({"url": "gs://none", "endpoint": url, "anonymous": True})
        with pytest.raises(SourceError):
            await listed(nowhere.items())
        await nowhere.aclose()


async def test_hostile_lists_are_refused() -> None:
    bodies = iter([
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>', b"<html",
        *[b"<R><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken></R>"] * 2,
    ])  # fmt: skip

    async def answer(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        write_whole(writer, 200, next(bodies), content_type="application/xml")
        return True

    async with HttpServer(answer) as server:
        source = objects({"url": "s3://b", "endpoint": server.url, "anonymous": True})
        for said in ("declarations", "cannot be read", "in circles"):
            with pytest.raises(SourceError, match=said):
                await listed(source.items())
        with governed(Egress(mode="listed")), pytest.raises(SourceError, match="purpose retrieval"):
            await listed(objects({"url": "s3://b", "endpoint": "http://127.0.0.1:1", "anonymous": True}).items())
        await source.aclose()


async def test_credentials_and_places_are_those_of_the_section() -> None:
    asked: list[Request] = []

    async def answer(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked.append(request)
        empty = b"<EnumerationResults/>" if "comp" in request.query else b"<ListBucketResult/>"
        write_whole(writer, 200, empty, {})
        return True

    keys = {"access_key_id": "AK", "secret_access_key": "secret-of-s3", "session_token": "st"}
    blobs = (
        {"url": "s3://b", **keys, "region": "eu-west-9"},
        {"url": "azblob://c", "account": "a", "sas_token": "?sv=1&sig=signed"},
    )
    async with HttpServer(answer) as server:
        for blob in blobs:
            source = objects({**blob, "endpoint": server.url})
            assert await listed(source.items()) == {}
            await source.aclose()
    of_s3, of_azure = asked
    assert of_s3.path == "/b/"
    assert "Credential=AK/" in of_s3.headers["authorization"]
    assert "/eu-west-9/s3/" in of_s3.headers["authorization"]
    assert of_s3.headers["x-amz-security-token"] == "st"
    assert "sig=signed" in of_azure.query
    hosts = []
    for path_style in (True, False):
        where = {"url": "s3://b", "endpoint": "http://minio.test:1", "anonymous": True, "path_style": path_style}
        with governed(Egress(mode="listed")), pytest.raises(SourceError) as caught:
            await listed(objects(where).items())
        hosts.append("b.minio.test" in str(caught.value))
    assert hosts == [False, True]


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        ({"url": "s3://b"}, "AWS_ACCESS_KEY_ID"),
        ({"url": "gs://b"}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ({"url": "gs://b", "credentials_file": "/nowhere/x.json"}, "cannot be read"),
        ({"url": "azblob://c"}, "AZURE_STORAGE_ACCOUNT"),
        ({"url": "azblob://c", "account": "a"}, "AZURE_STORAGE_KEY"),
        ({"url": "azblob://c", "account": "a", "account_key": "no base64!"}, "not base64"),
        ({"url": "azblob://c", "account": "a", "sas_token": "?sv=1"}, "no signature"),
    ],
)
def test_credentials_that_are_missing_are_named(blob: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(BlobSource.model_validate({"blob": blob}))


async def test_a_folder_may_be_written_as_a_url(tmp_path: Path) -> None:
    (tmp_path / "in put").mkdir()
    (tmp_path / "in put/a.md").write_text("a")
    url = f"file://{quote(str(tmp_path))}"
    source = build(BlobSource.model_validate({"blob": {"url": url, "prefix": "in put"}, "include": ["*.md"]}))

    assert isinstance(source, Directory)
    assert list(await listed(source.items())) == ["a.md"]
