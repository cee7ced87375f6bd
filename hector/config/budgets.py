"""What may be spent, and what things cost."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Duration, Names, Section
from hector.config.limits import Money, Window


class Price(Section):
    """What a model costs, per million tokens, in any one currency."""

    model: str = Field(
        min_length=1,
        description='Provider and model, `*` for anything: "anthropic/claude-*". The first row that fits counts.',
    )
    input: Money = Field(0.0, description="Input tokens.")
    output: Money = Field(0.0, description="Output tokens, those of reasoning included.")
    cache_read: Money | None = Field(None, description="Input from the provider's cache. Left out: as input.")
    cache_write: Money | None = Field(None, description="Input that goes to the cache. Left out: as input.")


class Budget(Section):
    """What one subject may spend. It is looked at before every model call and before tools are called."""

    per: Literal["run", "agent", "user", "app", "server"] = Field(
        description="run: from one message to its answer; agent and user: of one app; server: all apps together."
    )
    window: Window | Literal["total"] = Field(
        "day",
        description="Begins with the minute, hour, day, Monday or month (UTC); total never ends. Refused for runs.",
    )
    only: Names = Field((), description="Ids of agents, users or apps that it is for. Left out: each of them.")
    tokens: int | None = Field(None, ge=1, description="Input and output tokens together.")
    money: Money | None = Field(None, gt=0, description="In the currency of `prices`.")
    time: Duration | None = Field(None, gt=0, description="Time that runs take, waiting for people not counted.")
    tool_calls: int | None = Field(None, ge=1, description="Tool calls.")
    warn: float = Field(0.8, ge=0, le=1, description="Share that is said in the log once it is used; 0 and 1: never.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.tokens, self.money, self.time, self.tool_calls) == (None, None, None, None):
            message = {"message": "this budget limits nothing", "allowed": "tokens, money, time, tool_calls"}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        if self.per == "run" and "window" in self.model_fields_set:
            message = {"message": "a run has no window: it is from one message to its answer", "allowed": "no `window`"}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        return self
