"""What is known of a declared server without talking to it."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from hector.core.record import dataclass

Transport: TypeAlias = Literal["auto", "stdio", "sse", "streamable-http"]


@dataclass(frozen=True, slots=True)
class OAuth:
    """Client credentials; `token_url`, or the `issuer` whose metadata names it."""

    client_id: str
    client_secret: str
    token_url: str = ""
    issuer: str = ""
    scope: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server. `command` or `url`; times in seconds. `filter` None: all of its tools.

    `prefix` stands before the names of its tools, `description` before their descriptions, empty for nothing.
    """

    name: str
    transport: Transport = "auto"
    command: str = ""
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuth | None = None
    proxy: str | None = None
    ca_bundle: str | None = None
    filter: Sequence[str] | None = None
    prefix: str = ""
    resources: bool = False
    prompts: bool = False
    connect_timeout: float = 30.0
    description: str = ""

    @property
    def place(self) -> str:
        """Where it is, for people: the URL without query, or the command line."""
        return self.url.partition("?")[0] if self.url else " ".join((self.command, *self.args))
