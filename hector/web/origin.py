"""Which browsers' pages may talk to us: only our own. Programs send no Origin and are not affected."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from hector.a2a.errors import FORBIDDEN, ProtocolError
from hector.web.asgi import Exchange

_LOCAL_NAMES: Final = frozenset({"localhost"})


def check(exchange: Exchange, public_url: str | None) -> None:
    """Refuse pages of other sites, and, on loopback, pages that reached us by a name that is not ours.

    The second is how DNS rebinding looks: a foreign name that resolves to this machine. Raises ProtocolError.
    """
    origin = exchange.header(b"origin")
    if origin is None:
        return
    page = urlsplit(origin).netloc.lower()
    if public_url and page == urlsplit(public_url).netloc.lower():
        return
    if not page or page != (exchange.header(b"host") or "").lower():
        raise ProtocolError(FORBIDDEN, "pages of other sites may not use this server")
    reached = exchange.scope.get("server") or ("", None)
    if _is_local(reached[0]) and not _is_local(_name(page)):
        raise ProtocolError(FORBIDDEN, "this server is not known by that name; set server.public_url")


def _name(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""


def _is_local(name: str) -> bool:
    if name in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
