"""Under which address clients see this server."""

from typing import Final

from starlette.requests import Request

from hector.config.server import Server
from hector.core.pattern import pattern

_HOST: Final = pattern(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def base_url(request: Request, server: Server) -> str:
    """The configured address, else the one that the client used, else the one that the socket is bound to.

    Without a slash at the end. A Host header that is no host is ignored; starlette's `base_url` is more generous than
    what may stand in a card.
    """
    if server.public_url:
        return server.public_url.rstrip("/")
    scope = request.scope
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        bound = scope.get("server") or (server.host, server.port)
        host = f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
    return f"{_scheme(request, server)}://{host}{scope.get('root_path', '').rstrip('/')}"


def _scheme(request: Request, server: Server) -> str:
    """That of the connection, unless a trusted proxy says how it is reached itself."""
    found: str = request.scope.get("scheme", "http")
    said = request.headers.get("x-forwarded-proto", "").strip().lower()
    if said not in ("http", "https") or server.trusted_proxies is None or request.client is None:
        return found
    from ipaddress import ip_address, ip_network  # noqa: PLC0415 - only behind a proxy

    peer = ip_address(request.client.host.partition("%")[0])
    return said if any(peer in ip_network(one, strict=False) for one in server.trusted_proxies.networks) else found
