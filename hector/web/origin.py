"""Under which names we are reached, and which browsers' pages may talk to us: only our own.

A page elsewhere may have its own name resolve to this machine (DNS rebinding); its requests then seem to come from a
page of ours. On loopback, names that are not ours are therefore refused, whoever sends them: what a page merely reads
comes without an Origin.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hector.a2a.errors import FORBIDDEN, ProtocolError
from hector.config.transport import ANY
from hector.web.answers import refusal

_MOST_NAMES: Final = 256
"""Names that are remembered: they come from clients, so there has to be an end."""


class OwnPagesOnly:
    """Middleware in front of all routes, those of later versions included."""

    def __init__(
        self, app: ASGIApp, public_url: str | None, others: Collection[str] = (), hosts: Collection[str] = ()
    ) -> None:
        """`others` are origins that are let in, "*" any; `hosts` names under which we are reached."""
        self._app = app
        self._public_url = public_url
        self._others = others
        public = urlsplit(public_url).hostname if public_url else None
        self._hosts = frozenset(filter(None, (public, *(name.lower() for name in hosts))))
        self._any = not hosts
        self._ours: dict[tuple[bytes, str], bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ProtocolError as error:
                await refusal(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises ProtocolError."""
        heads = dict(scope["headers"])
        host, reached = heads.get(b"host"), (scope.get("server") or ("", None))[0]
        if host is not None and not self._is_ours(host, reached):
            raise ProtocolError(
                FORBIDDEN, "this server is not known by that name; set server.public_url or server.allowed_hosts"
            )
        if b"origin" in heads:
            check(Request(scope), self._public_url, self._others)

    def _is_ours(self, host: bytes, reached: str) -> bool:
        """Whether a Host header names us, where the connection came in at `reached`."""
        found = self._ours.get((host, reached))
        if found is None:
            name = host_of(host.decode("latin-1")).lower()
            known = name in self._hosts or is_local(name)
            found = known or (self._any and not is_local(reached))
            if len(self._ours) >= _MOST_NAMES:
                self._ours.clear()
            self._ours[host, reached] = found
        return found


def check(request: Request, public_url: str | None, others: Collection[str] = ()) -> None:
    """Refuse pages of other sites: those that were not loaded under the name by which the request has reached us.

    `others` are origins that are let in by the configuration (`server.cors`), "*" any. Raises ProtocolError.
    """
    origin = request.headers["origin"]
    if ANY in others or origin.lower() in others:
        return
    page = _netloc(origin)
    if public_url and page == urlsplit(public_url).netloc.lower():
        return
    if not page or page != request.headers.get("host", "").lower():
        raise ProtocolError(FORBIDDEN, "pages of other sites may not use this server")


def _netloc(url: str) -> str:
    """What of a URL names host and port; empty for what is none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def host_of(netloc: str) -> str:
    """The name or address in a Host header or the like, without brackets; empty for what is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def is_local(name: str) -> bool:
    """Whether a host is this very machine, by its own name or by an address that only it can reach."""
    return name == "localhost" or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether it is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
