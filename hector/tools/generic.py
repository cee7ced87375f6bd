"""Tools that belong to the protocol rather than to a job: give a result, ask, decline, answer directly.

They wait for nothing; being coroutines they need no thread. What they do is part of the run and stored with it, so that
one which was cut off has done nothing.
"""

from typing import Annotated, Any

from pydantic import Field

from hector.core.content import Content, Data, Media, Text
from hector.core.errors import ToolError
from hector.core.event import ANSWER, Artifact, DirectReply, ExitLoop, InputRequired, Rejected
from hector.core.ids import new_id
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.function import idempotent, requires_approval


@idempotent
async def save_artifact(
    context: ToolContext,
    name: Annotated[str, Field(description="file name or title of the result")],
    text: Annotated[str | None, Field(description="the result as text")] = None,
    data: Annotated[Any, Field(description="the result as a JSON value")] = None,
    url: Annotated[str | None, Field(description="where the result can be fetched")] = None,
    bytes: Annotated[str | None, Field(description="the result as base64")] = None,
    media_type: Annotated[str | None, Field(description="for example text/markdown or image/png")] = None,
    description: Annotated[str | None, Field(description="what it is, in one sentence")] = None,
    artifact_id: Annotated[str | None, Field(description="give the id of an earlier result to replace it")] = None,
) -> ToolOutput:
    """Hand a result to the user as an artifact. Give exactly one of text, data, url or bytes."""
    given = {"text": text, "data": data, "url": url, "bytes": bytes}
    chosen = [key for key, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise ToolError(f"give exactly one of text, data, url or bytes; got {', '.join(chosen) or 'none'}")
    if artifact_id and artifact_id.startswith(ANSWER):
        raise ToolError(f"artifact_id: ids that begin with {ANSWER!r} belong to your own answers; choose another")
    part = _part(chosen[0], given[chosen[0]], name, media_type)
    artifact = Artifact(artifact_id or context.effect_id or new_id(), (part,), name, description)
    return ToolOutput((Text(f"saved artifact {artifact.id} ({name})"),), artifacts=(artifact,))


def _part(kind: str, value: Any, name: str, media_type: str | None) -> Content:
    match kind:
        case "text":
            return Text(value, media_type=media_type, name=name if "." in name else None)
        case "data":
            return Data(value, media_type)
        case "url":
            return Media(media_type or "application/octet-stream", url=value, name=name)
        case _:
            return Media(media_type or "application/octet-stream", data=value, name=name)


@idempotent
async def ask_user(
    context: ToolContext, question: Annotated[str, Field(description="what you need to know", min_length=1)]
) -> ToolOutput:
    """Ask the user and wait. The next message of the user is this tool's result."""
    return ToolOutput(control=InputRequired(context.call_id, question))


@idempotent
async def reject_task(
    reason: Annotated[str, Field(description="why the task is declined", min_length=1)],
) -> ToolOutput:
    """Decline the task. Nothing more is done for it."""
    return ToolOutput((Text("rejected"),), control=Rejected(reason))


@idempotent
async def exit_loop() -> ToolOutput:
    """All is done: end the loop that you work in. The last answer in it is the result."""
    return ToolOutput((Text("the loop ends"),), control=ExitLoop())


@idempotent
async def escalate(
    reason: Annotated[str, Field(description="why this cannot be brought to an end here", min_length=1)],
) -> ToolOutput:
    """You cannot bring this to an end: end the loop that you work in, and say why."""
    return ToolOutput((Text(f"the loop ends: {reason}"),), control=ExitLoop(reason, escalated=True))


@idempotent
async def reply_directly(text: Annotated[str, Field(description="the whole answer", min_length=1)]) -> ToolOutput:
    """Answer with one message when no task needs to be kept, such as for a greeting or a short fact."""
    return ToolOutput((Text("sent"),), control=DirectReply(text))


@idempotent
@requires_approval("The agent asks for your approval.")
async def request_approval(
    action: Annotated[str, Field(description="what you want to do, so that a person can judge it", min_length=1)],
    reason: Annotated[str, Field(description="why it is needed")] = "",
    details: Annotated[Any, Field(description="whatever the person should see: amounts, names, a draft")] = None,
) -> str:
    """Ask a person to approve what you are about to do, and wait. Go on only if it is approved."""
    return f"approved: {action}"
