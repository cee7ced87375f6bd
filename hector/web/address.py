"""Under which address clients see this server."""

import re
from typing import Final

from starlette.requests import Request

from hector.config.server import Server

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


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
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '').rstrip('/')}"
