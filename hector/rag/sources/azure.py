"""Azure Blob Storage, signed with the account's key, by a shared access signature (SAS), or not at all."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hector.core.errors import ConfigError
from hector.core.record import dataclass
from hector.rag.errors import Unreadable
from hector.rag.sources.buckets import CLOSED, LIST_LIMIT, MISSING, Entry, Page, escaped, of_headers, xml
from hector.rag.sources.web import Reply, Web

_VERSION: Final = "2021-12-02"


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """A container. `path`: of the container, without a slash at its end."""

    account: str
    path: str


@dataclass(frozen=True, slots=True)
class AzureKeys:
    """Who asks: by the account's key, or by a SAS, or nobody."""

    key: bytes = b""
    sas: str = ""


def key_of(text: str) -> bytes:
    """The key of an account, which is written in base64. Raises ConfigError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ConfigError("the key of the storage account is not base64, as the portal shows it") from None


def place(container: str, endpoint: str, account: str) -> tuple[str, AzurePlace]:
    """Origin and place of a container."""
    if endpoint:
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{parts.netloc}", AzurePlace(account, f"{parts.path.rstrip('/')}/{container}")
    return f"https://{account}.blob.core.windows.net", AzurePlace(account, f"/{container}")


class AzureContainer:
    """A container."""

    def __init__(self, web: Web, where: AzurePlace, keys: AzureKeys) -> None:
        self._web = web
        self._where = where
        self._keys = keys

    async def page(self, prefix: str, mark: str) -> Page:
        """Blobs, up to 5000 at a time."""
        query = {"restype": "container", "comp": "list", "prefix": prefix, **({"marker": mark} if mark else {})}
        root = xml(await self._ask("GET", "", query, LIST_LIMIT))
        entries = tuple(
            Entry(
                one.findtext("Name", ""), int(one.findtext("Properties/Content-Length", "0")),
                one.findtext("Properties/Etag", "").strip('"'), one.findtext("Properties/Last-Modified", ""),
                one.findtext("Properties/Content-Type", ""),
            )
            for one in root.iter("Blob")
        )  # fmt: skip
        return Page(entries, root.findtext("NextMarker", "") or "")

    async def look(self, key: str) -> Entry | None:
        """By its headers."""
        reply = await self._ask("HEAD", key, {}, LIST_LIMIT, passing=MISSING)
        if reply.status in MISSING:
            return None
        return of_headers(key, reply.headers, int(reply.headers.get("content-length", "0")))

    async def read(self, key: str, limit: int) -> tuple[Entry, bytes] | None:
        """One blob."""
        reply = await self._ask("GET", key, {}, limit, passing=CLOSED | {409})
        if reply.status in {403, 409}:
            raise Unreadable(f"the object store gives no access to it (status {reply.status}), maybe it is archived")
        return None if reply.status == 404 else (of_headers(key, reply.headers, len(reply.body)), reply.body)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()

    async def _ask(
        self, method: str, key: str, query: Mapping[str, str], limit: int, passing: frozenset[int] = frozenset()
    ) -> Reply:
        path = self._where.path + (f"/{escaped(key)}" if key else "")
        line = "&".join(f"{escaped(name, '')}={escaped(value, '')}" for name, value in query.items())
        line = "&".join(part for part in (line, self._keys.sas.lstrip("?")) if part)

        def sign() -> Mapping[str, str]:
            return signed(method, path, query, self._where, self._keys, datetime.now(UTC))

        return await self._web.ask(
            method, f"{path}?{line}" if line else path, sign=sign, limit=limit, passing=passing
        )  # fmt: skip


def signed(
    method: str, path: str, query: Mapping[str, str], where: AzurePlace, keys: AzureKeys, now: datetime
) -> dict[str, str]:
    """The headers of a request without a body ("Authorize with Shared Key")."""
    headers = {"x-ms-date": format_datetime(now, usegmt=True), "x-ms-version": _VERSION}
    if not keys.key:
        return headers
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = "".join(f"\n{name.lower()}:{query[name]}" for name in sorted(query))
    text = f"{method}\n{11 * chr(10)}{lines}/{where.account}{path}{asked}"
    signature = base64.b64encode(hmac.digest(keys.key, text.encode(), "sha256")).decode()
    return {**headers, "authorization": f"SharedKey {where.account}:{signature}"}


def sas_of(text: str) -> str:
    """A SAS as it was copied. Raises ConfigError."""
    sas = text.strip().lstrip("?")
    if "sig" not in dict(parse_qsl(sas)):
        raise ConfigError("the SAS token holds no signature (sig=...)")
    return sas
