"""S3 and what speaks like it (MinIO, Ceph, R2, Google's XML interface), signed by Signature Version 4."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from hector.core.record import dataclass
from hector.rag.errors import Unreadable
from hector.rag.sources.buckets import CLOSED, LIST_LIMIT, MISSING, Entry, Page, escaped, of_headers, xml
from hector.rag.sources.web import Reply, Web

_EMPTY: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """Who asks. `access` empty: nobody, for what is open to everybody."""

    access: str = ""
    secret: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket at a service. `path`: what stands before a key, with a slash at its end; `host` as it is signed."""

    host: str
    path: str
    region: str


def place(bucket: str, endpoint: str, region: str, *, path_style: bool) -> tuple[str, S3Place]:
    """Origin and place of a bucket. Names with dots fit no certificate of AWS as hosts, and stand in the path."""
    if endpoint:
        parts = urlsplit(endpoint)
        before = parts.path.rstrip("/")
        if path_style:
            return f"{parts.scheme}://{parts.netloc}", S3Place(parts.netloc, f"{before}/{bucket}/", region)
        host = f"{bucket}.{parts.netloc}"
        return f"{parts.scheme}://{host}", S3Place(host, f"{before}/", region)
    if path_style or "." in bucket:
        host = f"s3.{region}.amazonaws.com"
        return f"https://{host}", S3Place(host, f"/{bucket}/", region)
    host = f"{bucket}.s3.{region}.amazonaws.com"
    return f"https://{host}", S3Place(host, "/", region)


class S3Bucket:
    """A bucket."""

    def __init__(self, web: Web, where: S3Place, keys: Keys) -> None:
        self._web = web
        self._where = where
        self._keys = keys

    async def page(self, prefix: str, mark: str) -> Page:
        """Objects, 1000 at a time."""
        query = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
        if mark:
            query["continuation-token"] = mark
        reply = await self._ask("GET", "", query, LIST_LIMIT)
        root = xml(reply)
        is_coded = root.findtext("EncodingType") == "url"
        entries = tuple(
            Entry(
                unquote_plus(one.findtext("Key", "")) if is_coded else one.findtext("Key", ""),
                int(one.findtext("Size", "0")), one.findtext("ETag", "").strip('"'), one.findtext("LastModified", ""),
            )
            for one in root.iter("Contents")
        )  # fmt: skip
        more = root.findtext("IsTruncated") == "true"
        return Page(entries, root.findtext("NextContinuationToken", "") if more else "")

    async def look(self, key: str) -> Entry | None:
        """By its headers."""
        reply = await self._ask("HEAD", key, {}, LIST_LIMIT, passing=MISSING)
        if reply.status in MISSING:
            return None
        return of_headers(key, reply.headers, int(reply.headers.get("content-length", "0")))

    async def read(self, key: str, limit: int) -> tuple[Entry, bytes] | None:
        """One object."""
        reply = await self._ask("GET", key, {}, limit, passing=CLOSED)
        if reply.status == 403:
            raise Unreadable("the object store gives no access to it (status 403), maybe because it is archived")
        return None if reply.status == 404 else (of_headers(key, reply.headers, len(reply.body)), reply.body)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()

    async def _ask(
        self, method: str, key: str, query: Mapping[str, str], limit: int, passing: frozenset[int] = frozenset()
    ) -> Reply:
        path = self._where.path + escaped(key)
        line = "&".join(f"{escaped(name, '')}={escaped(value, '')}" for name, value in sorted(query.items()))

        def sign() -> Mapping[str, str]:
            return signed(method, path, line, self._where, self._keys, datetime.now(UTC))

        return await self._web.ask(
            method, f"{path}?{line}" if line else path, sign=sign, limit=limit, passing=passing
        )  # fmt: skip


def signed(method: str, path: str, query: str, where: S3Place, keys: Keys, now: datetime) -> dict[str, str]:
    """The headers of a request without a body (AWS, "Authenticating Requests: Using the Authorization Header")."""
    if not keys.access:
        return {}
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": where.host, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    if keys.session:
        headers["x-amz-security-token"] = keys.session
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join((method, path, query, lines, names, _EMPTY))
    scope = f"{day}/{where.region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{keys.secret}".encode()
    for part in (day, where.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {name: value for name, value in headers.items() if name != "host"} | {"authorization": credential}
