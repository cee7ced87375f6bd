"""What every kind of tool takes: when people are asked, how long a call may run, how much it may say."""

from typing import Any, Literal

from pydantic import Field

from hector.config.base import Duration, Section


class ApprovalRule(Section):
    """What is done with calls whose arguments look like this. A rule that names nothing fits every call."""

    tool: str = Field(
        "*", min_length=1, description="Name of the tool, for entries that offer several; * stands for anything."
    )
    args: dict[str, Any] = Field(
        {},
        description="Patterns by argument, all of which must fit: * is any text, ? one sign, [ab] one of these. "
        "a.b is b within a. A value that is no text fits what is equal to it.",
    )
    action: Literal["ask", "allow", "deny"] = Field(
        description="ask: a person decides; allow: the call runs; deny: the model is told that it may not."
    )


class ToolBase(Section):
    """The keys that all kinds of tools have in common."""

    type: str = Field(description="Kind of tool.")
    enabled: bool = Field(True, description="Whether agents may use it.")
    description: str = Field("", description="What the model is told about it. Left out: the tool's own text.")
    timeout: Duration = Field(60.0, description="Longest run of one call; 0 means no limit.")
    require_approval: bool | None = Field(
        None,
        description="Ask a person before each call; the task waits. Left out: what the tool itself says, else no.",
    )
    approval_rules: tuple[ApprovalRule, ...] = Field(
        (),
        description="What is done with a call, by its arguments; the first rule that fits decides. "
        "None fits: require_approval.",
    )
    approval_prompt: str = Field("", description="What the person is asked. Left out: a sentence that names the tool.")
    approval_expires: Duration = Field(
        0.0, description="How long to wait for approval; then the call counts as denied. 0 means for ever."
    )
    idempotent: bool | None = Field(
        None, description="Whether calling it twice does no harm. Left out: what the tool itself says, else no."
    )
    on_unknown: Literal["ask", "retry", "fail"] | None = Field(
        None,
        description="When a call was cut off and may or may not have taken effect: ask a person, run it again, or "
        "tell the model. Left out: retry for idempotent tools, ask for others.",
    )
    max_output: int = Field(0, ge=0, description="Cut results to this many characters; 0 means no limit.")
