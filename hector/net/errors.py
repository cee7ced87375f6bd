"""What can go wrong on the way to another server. The texts are fit for a user and never hold headers or keys.

NetError
  ConnectFailed       no connection: refused, unknown host, unreachable
    TlsFailed         the certificate or the handshake: trying again changes nothing
    ProxyFailed       the proxy is away, or refuses
  NetTimeout          too slow; `phase` is "connect", "read" or "write"
  ConnectionLost      the other side hung up, or the line broke
  ProtocolViolation   what came back is not HTTP/1.1
  BadRequestHead      a header or path of ours cannot be sent
"""

from typing import Literal, TypeAlias

from hector.core.errors import HectorError

Phase: TypeAlias = Literal["connect", "read", "write"]


class NetError(HectorError):
    """Base of the tree. `answered` tells whether any byte of the response had arrived."""

    code, http_status, retryable = "network", 502, True

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class ConnectFailed(NetError):  # noqa: N818 - states, not mistakes, here and below
    """No connection could be made."""


class TlsFailed(ConnectFailed):
    """Certificate or handshake."""

    retryable = False


class ProxyFailed(ConnectFailed):
    """The proxy is away, or refuses."""


class NetTimeout(NetError):  # noqa: N818
    """Nothing moved for too long."""

    http_status = 504

    def __init__(self, message: str, *, phase: Phase, answered: bool = False) -> None:
        super().__init__(message, answered=answered)
        self.phase = phase


class ConnectionLost(NetError):  # noqa: N818
    """The connection ended before the response did."""


class ProtocolViolation(NetError):  # noqa: N818
    """The answer is not HTTP/1.1, or over a limit."""


class BadRequestHead(NetError):  # noqa: N818
    """A header or path of ours holds characters that may not be sent."""

    retryable = False
