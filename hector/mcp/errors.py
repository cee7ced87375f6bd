"""What goes wrong with a server as a whole; models read it as the error of their call."""

from hector.core.errors import ToolError


class ServerFault(ToolError):  # noqa: N818 - as of a machine
    """A server cannot be reached, or does not speak the protocol. `sent` is whether it may have the request."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class SessionGone(ServerFault):
    """The server is there, but knows nothing of our session: it was started anew."""
