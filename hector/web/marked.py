"""Notes which route a request took, for whoever counts it; only where metrics are wanted."""

import re
from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_TEMPLATE: Final = "hector.template"
_NOWHERE: Final = "(none)"
_PLACE: Final = re.compile(r"\{(\w+):\w+\}")


class Marked:
    """The application of one route."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._template = template(path)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass it on."""
        scope[_TEMPLATE] = self._template
        return self._app(scope, receive, send)


def template_of(scope: Scope) -> str:
    """The template of the route that a request took."""
    return str(scope.get(_TEMPLATE, _NOWHERE))


def template(path: str) -> str:
    """A route's path as people know it: /agents/{agent}, /message:send."""
    shown = path.replace("{agent:agent}", "").replace("{tenant:tenant}", "").replace("{end:end}", "")
    return _PLACE.sub(r"{\1}", shown) or "/"
