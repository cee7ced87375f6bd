"""Which browsers' pages may talk to us: only our own. Programs send no Origin and are not affected."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hector.a2a.errors import FORBIDDEN, ProtocolError
from hector.config.transport import ANY
from hector.web.answers import refusal


class OwnPagesOnly:
    """Middleware in front of all routes, those of later versions included."""

    def __init__(self, app: ASGIApp, public_url: str | None, others: Collection[str] = ()) -> None:
        self._app = app
        self._public_url = public_url
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "http" and b"origin" in dict(scope["headers"]):
            request = Request(scope)
            try:
                check(request, self._public_url, self._others)
            except ProtocolError as error:
                await refusal(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def check(request: Request, public_url: str | None, others: Collection[str] = ()) -> None:
    """Refuse pages of other sites, and, on loopback, pages that reached us by a name that is not ours.

    The second is how DNS rebinding looks: a foreign name that resolves to this machine. `others` are origins that are
    let in by the configuration (`server.cors`), "*" any. Raises ProtocolError.
    """
    origin = request.headers["origin"]
    if ANY in others or origin.lower() in others:
        return
    page = _netloc(origin)
    if public_url and page == urlsplit(public_url).netloc.lower():
        return
    if not page or page != request.headers.get("host", "").lower():
        raise ProtocolError(FORBIDDEN, "pages of other sites may not use this server")
    reached = request.scope.get("server") or ("", None)
    if is_local(reached[0]) and not is_local(host_of(page)):
        raise ProtocolError(FORBIDDEN, "this server is not known by that name; set server.public_url")


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
