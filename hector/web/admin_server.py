"""What concerns the process itself: reading its configuration again."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.core.errors import Conflict, NotSupported
from hector.web.answers import refusal
from hector.web.endpoints import Ask, Endpoint, Nothing, Shape

if TYPE_CHECKING:
    from starlette.responses import Response

    from hector.web.admin_parts import Parts


class ReloadedShape(Shape):
    """The configuration that is now in force."""

    status: Literal["reloaded"]
    message: str = Field(description="What was done, for people.")


class ServerEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._reload = parts.reload

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "POST", "/admin/reload", Access.ADMIN, "Read the configuration file again; a wrong one changes nothing",
                self.reload, "server", ReloadedShape, body=Nothing, errors=(409,), action="config.reload",
                description="This process alone reads it; the environment is not changed.",
            ),
        )  # fmt: skip

    async def reload(self, ask: Ask) -> "Shape | Response":
        """Swap the configuration, or say what is wrong with the file. Raises NotSupported.

        Who reloads also notes how that ended, so that nothing is raised for the framework to note once more.
        """
        if self._reload is None:
            raise NotSupported("this server was started without a way to read its configuration again")
        trouble = await self._reload(ask.entry("config:default"))
        if trouble:
            return refusal(ask.request, Conflict(trouble))
        return ReloadedShape(status="reloaded", message="the configuration was read again and is in force")
