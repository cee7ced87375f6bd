"""Access tokens by client credentials (RFC 6749, 4.4), kept until shortly before they expire.

The operator names the authorization server; what an MCP server says about it is not followed, since that would let it
decide who gets the secret.
"""

import asyncio
import json
import time
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from hector.mcp.endpoint import Endpoint
from hector.mcp.errors import ServerFault
from hector.mcp.settings import OAuth
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.errors import NetError
from hector.observe.redact import redact, remember

EARLY: Final = 30.0
"""Seconds before its end at which a token is replaced."""
_UNKNOWN_LIFE: Final = 300.0
_MOST: Final = 1024 * 1024


class Tokens:
    """One server's access token."""

    def __init__(self, credentials: OAuth, endpoint: Endpoint) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._token = ""
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def header(self) -> str:
        """The value of `authorization`. Raises ServerFault."""
        async with self._asking:
            if not self._token or time.monotonic() >= self._until:
                await self._renew()
            return f"Bearer {self._token}"

    def forget(self) -> None:
        """The server has refused it."""
        self._token = ""

    async def _renew(self) -> None:
        who = self._credentials
        url = who.token_url or await self._discovered(who.issuer)
        form = {"grant_type": "client_credentials", "scope": who.scope, "audience": who.audience}
        body = urlencode({key: value for key, value in form.items() if value}).encode()
        basic = b64encode(f"{quote(who.client_id, '')}:{quote(who.client_secret, '')}".encode()).decode()
        headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        answer = await self._ask("POST", url, body, headers)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise ServerFault(f"the authorization server {_host(url)} gave no access token: {_said(answer)}")
        remember(token)
        life = answer.get("expires_in")
        self._until = time.monotonic() + max(1.0, (life if isinstance(life, int | float) else _UNKNOWN_LIFE) - EARLY)
        self._token = token

    async def _discovered(self, issuer: str) -> str:
        parts = urlsplit(issuer)
        path = parts.path.rstrip("/")
        origin = f"{parts.scheme}://{parts.netloc}"
        for place in (f"/.well-known/oauth-authorization-server{path}", f"{path}/.well-known/openid-configuration"):
            found = await self._ask("GET", origin + place, b"", {})
            if found.get("issuer") == issuer and isinstance(url := found.get("token_endpoint"), str):
                return url
        raise ServerFault(f"the authorization server {issuer} does not say where its tokens are; set oauth.token_url")

    async def _ask(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        parts, way = urlsplit(url), self._endpoint
        options = CallerOptions(
            f"{parts.scheme}://{parts.netloc}",
            {"accept": "application/json"},
            way.proxy,
            way.ca_bundle,
            way.connect_timeout,
            way.connect_timeout,
            purpose="mcp",
        )
        caller = open_caller(options)
        try:
            query = f"?{parts.query}" if parts.query else ""
            async with await caller.send(method, (parts.path or "/") + query, body=body, headers=headers) as answer:
                text = await answer.read(_MOST)
        except NetError as error:
            raise ServerFault(f"the authorization server {_host(url)} cannot be asked: {error}") from None
        finally:
            await caller.aclose()
        try:
            found = json.loads(text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _said(answer: dict[str, Any]) -> str:
    said = ": ".join(str(answer[key]) for key in ("error", "error_description") if answer.get(key))
    return redact(said)[:300] or "it said nothing"
