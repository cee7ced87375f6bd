"""Under which address clients see this server."""

import re
from typing import Final

from hector.config.server import Server
from hector.web.asgi import Exchange

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def base_url(exchange: Exchange, server: Server) -> str:
    """The configured address, else the one that the client used, else the one that the socket is bound to.

    Without a slash at the end. A Host header that is no host is ignored.
    """
    if server.public_url:
        return server.public_url.rstrip("/")
    scope = exchange.scope
    host = exchange.header(b"host") or ""
    if not _HOST.fullmatch(host):
        bound = scope.get("server") or (server.host, server.port)
        host = f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '').rstrip('/')}"
