"""Agents that live elsewhere, behind the A2A protocol."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.agentbase import AgentBase
from hector.config.base import Address, Duration, Section

_PROOFS: Final = {
    "bearer": ("token",),
    "api_key": ("api_key", "api_key_header"),
    "basic": ("username", "password"),
}
"""What each type goes by, the one first that it cannot do without."""


class Credentials(Section):
    """What the other server wants to see."""

    type: Literal["bearer", "api_key", "basic"] = Field("bearer", description="How the caller proves who it is.")
    token: str = Field("", repr=False, description="Token, for `bearer`.")
    api_key: str = Field("", repr=False, description="Key, for `api_key`.")
    api_key_header: str = Field("X-API-Key", min_length=1, description="Header that carries the key.")
    username: str = Field("", description="Name, for `basic`.")
    password: str = Field("", repr=False, description="Password, for `basic`.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        own = _PROOFS[self.type]
        if not getattr(self, own[0]):
            raise _wrong(f"credentials of type {self.type} need {own[0]}", own[0])
        idle = [key for keys in _PROOFS.values() for key in keys if key in self.model_fields_set and key not in own]
        if idle:
            raise _wrong(f"{idle[0]} says nothing with credentials of type {self.type}", ", ".join(own))
        return self


def _wrong(message: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("hector", "{message}; allowed: {allowed}", {"message": message, "allowed": allowed})


class RemoteAgent(AgentBase):
    """An agent of another server, spoken to in A2A 1.0 or 0.3."""

    type: Literal["remote"] = Field("remote", description="Kind of agent.")
    url: Address | None = Field(None, description="Address of the agent; its card is looked for below it.")
    agent_card_url: Address | None = Field(
        None, description="Where its card is. Left out: URL/.well-known/agent-card.json."
    )
    agent_card_file: str | None = Field(
        None, description="File with its card, relative to the configuration file; wins over the addresses."
    )
    headers: dict[str, str] = Field({}, description="Extra HTTP headers for every request.")
    credentials: Credentials | None = Field(None, description="What the other server wants to see. Left out: nothing.")
    timeout: Duration = Field(
        30.0, description="Longest silence of the other server while it does not stream; 0 means no limit."
    )
    streaming: bool = Field(True, description="Follow the answer as it comes, where the other server can.")
    on_unknown: Literal["fail", "retry"] = Field(
        "fail",
        description="When nobody can tell whether a message that was being sent had arrived: fail the task, or send it "
        "again.",
    )
    proxy: Address | None = Field(None, description="HTTP proxy. Left out: HTTPS_PROXY, HTTP_PROXY and NO_PROXY count.")
    ca_bundle: str | None = Field(
        None,
        description="File with the certificates to trust, relative to the configuration file. Left out: the usual.",
    )
