"""Google Cloud Storage by its JSON interface, with the key of a service account or without."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from hector.core.clock import SystemClock
from hector.observe.redact import remember
from hector.rag.errors import SourceError, Unreadable
from hector.rag.sources.buckets import CLOSED, LIST_LIMIT, MISSING, Entry, Page, escaped, of_headers
from hector.rag.sources.web import Reach, Reply, Web, opened

ORIGIN: Final = "https://storage.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EARLY: Final = 120.0
"""Seconds before its end that a token is replaced."""
_TOKEN_LIMIT: Final = 64 * 1024


class Token:
    """Access tokens for a service account. `reach` says how its `token_uri` is reached."""

    def __init__(self, key: Mapping[str, Any], reach: Reach) -> None:
        self._key = key
        self._path = urlsplit(key["token_uri"]).path or "/"
        self._web = opened(reach)
        self._clock = SystemClock()
        self._token, self._until = "", 0.0
        self._lock = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """With a token that holds for a while. Raises SourceError."""
        async with self._lock:
            if self._clock.now() >= self._until:
                self._token, self._until = await self._asked()
        return {"authorization": f"Bearer {self._token}"}

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()

    async def _asked(self) -> tuple[str, float]:
        from hector.auth.service_account import assertion  # noqa: PLC0415 - loads cryptography

        now = self._clock.now()
        wish = await asyncio.to_thread(assertion, self._key, _SCOPE, now)
        body = urlencode({"grant_type": _GRANT, "assertion": wish}).encode()
        form = {"content-type": "application/x-www-form-urlencoded"}
        reply = await self._web.ask("POST", self._path, sign=lambda: form, body=body, limit=_TOKEN_LIMIT)
        given = _json(reply)
        if not isinstance(given.get("access_token"), str):
            raise SourceError("the authorization server of Google gives no access token")
        remember(given["access_token"])
        return given["access_token"], now + float(given.get("expires_in", 3600)) - _EARLY


class GcsBucket:
    """A bucket. `token` None: nobody asks."""

    def __init__(self, web: Web, bucket: str, token: Token | None) -> None:
        self._web = web
        self._base = f"/storage/v1/b/{escaped(bucket, '')}/o"
        self._token = token

    async def page(self, prefix: str, mark: str) -> Page:
        """Objects, 1000 at a time."""
        query = {"prefix": prefix, "maxResults": "1000", **({"pageToken": mark} if mark else {})}
        body = _json(await self._ask(f"{self._base}?{urlencode(query)}", LIST_LIMIT))
        return Page(tuple(_entry(one) for one in body.get("items", ())), body.get("nextPageToken", ""))

    async def look(self, key: str) -> Entry | None:
        """By what is known of it."""
        reply = await self._ask(f"{self._base}/{escaped(key, '')}", LIST_LIMIT, MISSING)
        return None if reply.status in MISSING else _entry(_json(reply))

    async def read(self, key: str, limit: int) -> tuple[Entry, bytes] | None:
        """One object."""
        reply = await self._ask(f"{self._base}/{escaped(key, '')}?alt=media", limit, CLOSED)
        if reply.status == 403:
            raise Unreadable("the object store gives no access to it (status 403)")
        if reply.status in MISSING:
            return None
        entry = of_headers(key, reply.headers, len(reply.body), "x-goog-generation")
        return entry, reply.body

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()
        if self._token is not None:
            await self._token.aclose()

    async def _ask(self, path: str, limit: int, passing: frozenset[int] = frozenset()) -> Reply:
        headers = await self._token.headers() if self._token is not None else {}
        return await self._web.ask("GET", path, sign=lambda: headers, limit=limit, passing=passing)


def _entry(one: Mapping[str, Any]) -> Entry:
    tag = str(one.get("generation") or one.get("etag") or one.get("md5Hash") or "")
    changed = str(one.get("updated", ""))
    return Entry(str(one["name"]), int(one.get("size", 0)), tag, changed, str(one.get("contentType", "")))


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SourceError("the object store gives something else than JSON")
    return found
