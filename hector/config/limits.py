"""How much may be asked of the server, and of whom it is counted."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Names, Section

Scope: TypeAlias = Literal["session", "user", "app", "agent", "address"]
Window: TypeAlias = Literal["minute", "hour", "day", "week", "month"]


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks. Raises the complaint that the loader turns into a finding."""
    from ipaddress import ip_network  # noqa: PLC0415 - only where a proxy is trusted

    for entry in value:
        try:
            ip_network(entry, strict=False)
        except ValueError:
            message = {"message": f"{entry!r} is no network", "allowed": "addresses, networks such as 10.1.0.0/16"}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message) from None
    return value


Networks = Annotated[Names, AfterValidator(networks)]
"""Addresses and networks."""


class TrustedProxies(Section):
    """Proxies in front of this server. What others say about where a request comes from is not believed."""

    networks: Networks = Field((), description="Where they are, for example 10.0.0.0/8. Left out: there are none.")
    headers: Names = Field(
        ("X-Forwarded-For", "X-Real-IP"),
        description="Headers in which they name the client, the first that is there counts. Of a list the last address "
        "that is no trusted proxy is taken.",
    )


class RateRule(Section):
    """How much one subject may ask for within a window of the calendar (UTC)."""

    type: Literal["count", "token"] = Field(
        "count", description="count: requests; token: what models really used, input and output together."
    )
    window: Window = Field("minute", description="Begins with the minute, hour, day, Monday or month.")
    limit: int = Field(ge=1, le=1_000_000_000_000, description="The last one that is still served.")
    scope: Scope | None = Field(None, description="Whose requests count together. Left out: that of the block.")


def _default_rules() -> tuple[RateRule, ...]:
    return (
        RateRule(type="token", window="day", limit=100_000),
        RateRule(type="count", window="minute", limit=60),
    )


def _older(value: object) -> object:
    """The older shape of the block: requests_per_minute and per_user."""
    if not isinstance(value, dict) or "requests_per_minute" not in value:
        return value
    rest = {key: inner for key, inner in value.items() if key not in ("requests_per_minute", "per_user")}
    scope = "user" if value.get("per_user", True) else "address"
    rule = {"type": "count", "window": "minute", "limit": value["requests_per_minute"], "scope": scope}
    return {"enabled": True, **rest, "limits": [*rest.get("limits", ()), rule]}


class RateLimiting(Section):
    """Limits on requests and tokens. Several rules may hold at once; the tightest one is told to clients."""

    enabled: bool = Field(False, description="Whether anything is limited.")
    scope: Scope = Field(
        "session",
        description="Whose requests count together in rules that do not say it. session: one conversation (messages "
        "that begin one count for their user); agent: one agent of an app; address: one client address.",
    )
    backend: Literal["memory", "sql"] = Field(
        "memory", description="memory: counted by each process for itself; sql: together, in the database."
    )
    limits: tuple[RateRule, ...] = Field(
        default_factory=_default_rules, description="The rules. Left out: 100000 tokens a day and 60 requests a minute."
    )
    most_subjects: int = Field(
        100_000, ge=1000, description="Counters that a process remembers with `memory`; the least used ones go first."
    )

    @model_validator(mode="after")
    def _counts_what_is_known(self) -> Self:
        """A run may go on long after its request, in another process: nobody knows its address by then."""
        for rule in self.limits:
            if rule.type == "token" and (rule.scope or self.scope) == "address" and "limits" in self.model_fields_set:
                message = {
                    "message": "tokens cannot be counted by address, only requests can: give this token rule a scope",
                    "allowed": "session, user, app, agent",
                }
                raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        return self

    @property
    def rules(self) -> tuple[RateRule, ...]:
        """Those that are in force."""
        return self.limits if self.enabled else ()


RateLimitingBlock = Annotated[RateLimiting, BeforeValidator(_older)]
"""In today's shape or in the older one."""


class RunLimits(Section):
    """How many runs may be under way at the same time, on all servers together; 0 means any number."""

    per_app: int = Field(0, ge=0, description="Of one app.")
    per_agent: int = Field(0, ge=0, description="Of one agent of an app.")
    per_user: int = Field(0, ge=0, description="Of one user of an app.")


class RepeatedCalls(Section):
    """What happens when a model calls the same tool with the same arguments over and over; 0 means nothing."""

    refuse_after: int = Field(
        0, ge=0, description="So many equal calls in a row are carried out; further ones are answered with an error."
    )
    fail_after: int = Field(0, ge=0, description="After so many equal calls in a row the task fails.")


class Limits(Section):
    """Bounds on what runs at once, and on agents that run in circles."""

    runs: RunLimits = Field(default_factory=RunLimits.model_construct, description="Runs at once.")
    streams_per_user: int = Field(0, ge=0, description="Streams that one user may have open on one server; 0: any.")
    repeated_calls: RepeatedCalls = Field(
        default_factory=RepeatedCalls.model_construct, description="Equal tool calls, one after the other."
    )
    usage: bool | None = Field(
        None,
        description="Keep what was used, by day, app, agent, user and model. Left out: if there are prices or budgets.",
    )


def money(value: object) -> object:
    """A number that was written as a text."""
    if isinstance(value, str):
        try:
            return float(value.replace("_", ""))
        except ValueError:
            return value
    return value


Money = Annotated[
    float,
    BeforeValidator(money),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
"""An amount in the currency of the price table."""


def rules_of(value: Any) -> Any:
    """Rules from the JSON text of a flag or variable."""
    import json  # noqa: PLC0415 - only where the flag is given

    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise ValueError(value)
    return tuple(RateRule.model_validate(one) for one in found)
