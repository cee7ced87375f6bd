"""Tools."""

from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from hector.config.base import Duration, Section

GENERIC_TOOLS: Final = ("ask_user", "reject_task", "reply_directly", "request_approval", "save_artifact")
"""Handlers that every installation has; agents may name them without declaring them."""


class FunctionTool(Section):
    """A handler that is part of Hector or was registered from Python."""

    type: Literal["function"] = Field("function", description="Kind of tool.")
    handler: str = Field(min_length=1, description="Registered name of the function.")
    enabled: bool = Field(True, description="Whether agents may use it.")
    description: str = Field("", description="What the model is told about it. Left out: the function's own text.")
    parameters: dict[str, Any] = Field({}, description="Fixed arguments; the model neither sees nor changes them.")
    timeout: Duration = Field(60.0, description="Longest run of one call; 0 means no limit.")
    require_approval: bool | None = Field(
        None,
        description="Ask a person before each call; the task waits. Left out: what the function itself says, else no.",
    )
    approval_prompt: str = Field("", description="What the person is asked. Left out: a sentence that names the tool.")
    approval_expires: Duration = Field(
        0.0, description="How long to wait for approval; then the call counts as denied. 0 means for ever."
    )
    idempotent: bool | None = Field(
        None, description="Whether calling it twice does no harm. Left out: what the function itself says, else no."
    )
    on_unknown: Literal["ask", "retry", "fail"] | None = Field(
        None,
        description="When a call was cut off and may or may not have taken effect: ask a person, run it again, or "
        "tell the model. Left out: retry for idempotent tools, ask for others.",
    )
    max_output: int = Field(0, ge=0, description="Cut results to this many characters; 0 means no limit.")


Tool: TypeAlias = FunctionTool
