"""What time it is, since models do not know."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from hector.core.clock import SystemClock
from hector.core.errors import ToolError
from hector.core.zones import zone
from hector.tools.function import idempotent


@idempotent
async def current_time(
    timezone: Annotated[str, Field(description="name of a time zone, such as Europe/Berlin", max_length=100)] = "UTC",
) -> str:
    """Say the date and the time of day, in UTC or in a time zone."""
    try:
        found = zone(timezone)
    except (KeyError, ValueError, OSError):
        raise ToolError(f"there is no time zone {timezone!r}; use names such as Europe/Berlin or UTC") from None
    now = datetime.fromtimestamp(SystemClock().now(), found)
    return f"{now.isoformat(timespec='seconds')} ({now:%A}, {timezone})"
