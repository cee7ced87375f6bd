"""Answers from rules."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from hector.config.base import Duration, Section
from hector.config.llmbase import LlmBase

Finish: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter", "error"]


class ScriptCall(Section):
    """A tool call in a script."""

    name: str = Field(min_length=1, description="Tool to call.")
    args: dict[str, Any] = Field({}, description="Its arguments; texts may use groups of the match.")


class ScriptError(Section):
    """A failure in a script."""

    status: int = Field(500, ge=400, le=599, description="HTTP status to fail with.")
    message: str = Field("scripted failure", description="Text of the failure.")
    retry_after: Duration | None = Field(None, description="What the failing provider says about the next try.")
    times: int | None = Field(
        None, ge=1, description="Fail this many times, then let the rule answer. Left out: fail always."
    )


class ScriptRule(Section):
    """If everything that is named matches, answer like this. A rule that names nothing always matches."""

    user: str | None = Field(None, description="Regular expression, searched in the last user text.")
    system: str | None = Field(None, description="Regular expression, searched in the system text.")
    tool_result: str | None = Field(None, description="Name of the tool whose result is the last message.")
    tool_result_matches: str | None = Field(None, description="Regular expression, searched in that tool's result.")
    turn: int | None = Field(None, ge=0, description="Which model call since the last user text, counted from 0.")
    text: str = Field("", description="Answer; \\1 or \\g<name> stand for groups of the match.")
    thinking: str = Field("", description="Reasoning that is shown before the answer.")
    tool_calls: tuple[ScriptCall, ...] = Field((), description="Tools to call.")
    delay: Duration = Field(0.0, description="Wait before the answer begins.")
    pace: Duration = Field(0.0, description="Wait between two words of the answer.")
    error: ScriptError | None = Field(None, description="Fail instead of answering.")
    finish: Finish | None = Field(None, description="Reason for the end. Left out: stop, or tool_calls.")


class ScriptedLlm(LlmBase):
    """Answers from rules, without any language model: for demonstrations and for tests of configurations."""

    provider: Literal["scripted"] = Field("scripted", description="Rules instead of a language model.")
    model: str = Field("scripted", min_length=1, description="Name to report.")
    rules: tuple[ScriptRule, ...] = Field((), description="Tried in order; the first that matches answers.")
