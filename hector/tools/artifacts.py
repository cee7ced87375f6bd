"""Tools that look through what agents have kept: `save_artifact` puts it there."""

from typing import Annotated

from pydantic import Field

from hector.core.clock import iso
from hector.core.content import Content, Media, Text
from hector.core.errors import ToolError
from hector.core.keeping import ArtifactShelf
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.function import idempotent


@idempotent
async def list_artifacts(context: ToolContext) -> str:
    """List what is kept for this session and, with names that begin with user:, for this user in all sessions."""
    found = await _shelf(context).names()
    if not found:
        return "nothing is kept yet"
    return "\n".join(
        f"{one.name} (version {one.version}, {one.media_type}, {one.size} bytes, {iso(one.created)})" for one in found
    )


@idempotent
async def load_artifact(
    context: ToolContext,
    name: Annotated[str, Field(description="the name as list_artifacts gives it", min_length=1)],
    version: Annotated[int | None, Field(description="an older version; left out: the newest one", ge=1)] = None,
) -> ToolOutput:
    """Read what was kept under a name."""
    found = await _shelf(context).load(name, version)
    if found is None:
        which = f" in version {version}" if version is not None else ""
        raise ToolError(f"nothing is kept under the name {name!r}{which}; list_artifacts says what there is")
    return ToolOutput(tuple(map(_shown, found.parts)))


def _shown(part: Content) -> Content:
    """Pictures and documents as they are; of what lies elsewhere only the address."""
    return Text(part.url) if isinstance(part, Media) and part.data is None and part.url else part


def _shelf(context: ToolContext) -> ArtifactShelf:
    if context.artifacts is None:
        raise ToolError("nothing can be kept here: this tool works only in a session of the server")
    return context.artifacts
