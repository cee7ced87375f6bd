"""Requests of the web tools: which hosts are open to them, and what a model may put into a request."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hector.core.errors import ToolError
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.net.gate import Resolve
    from hector.net.visit import Visited

_OWN: Final = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive",
     "proxy-authorization", "proxy-connection")
)  # fmt: skip
"""Headers that belong to the connection, and are nobody else's to set."""
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\t -~]*")


@dataclass(frozen=True, slots=True)
class Web:
    """The way out of one entry. `allowed` and `denied` hold names, or `*.` and a domain; `most`: bytes of a response.

    `private` is what of the private networks is open nevertheless; `resolve` stands in for DNS, in tests.
    """

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    private: tuple[str, ...]
    most: int
    redirects: int
    resolve: "Resolve | None" = None

    def check(self, url: str) -> None:
        """Raises ToolError for what the lists do not let through; addresses are judged when they are connected to."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".").lower()
        except ValueError as error:
            raise ToolError(f"the URL cannot be read: {error}") from None
        if parts.scheme.lower() not in {"http", "https"} or not host:
            raise ToolError("the URL must begin with https:// or http://, and name a host")
        if "@" in parts.netloc:
            raise ToolError("the URL must not hold a user name or password")
        if _fits(host, self.denied) or (self.allowed and not _fits(host, self.allowed)):
            listed = f"; hosts that are: {', '.join(self.allowed)}" if self.allowed else ""
            raise ToolError(f"the host {host} is not open to this tool{listed}")

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> "Visited":
        """One request and its redirects. Raises ToolError for what may not be asked, and for what fails."""
        from hector.net.egress import Policy  # noqa: PLC0415 - loaded by the first request
        from hector.net.errors import NetError  # noqa: PLC0415 - likewise
        from hector.net.visit import Visit, visit  # noqa: PLC0415 - likewise

        sent = checked_headers(headers or {})
        try:
            asked = Visit(method, url, sent, body, self.check, self.most, self.redirects, self.resolve)
            return await visit(asked, Policy(self.private, setting="private_hosts of the web tool"))
        except NetError as error:
            raise ToolError(str(error)) from None


def _fits(host: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(host, one.lower().rstrip(".")) for one in patterns)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Raises ToolError for headers that belong to the connection, and for what is none."""
    for name, value in headers.items():
        if name.lower() in _OWN:
            raise ToolError(f"the header {name} cannot be set")
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ToolError(f"{name[:60]!r} is no header, or its value holds characters that a header cannot have")
    return dict(headers)
