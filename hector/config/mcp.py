"""Tools of MCP servers."""

from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Address, Duration, Names, Section, web_address
from hector.config.toolbase import ToolBase

Transport: TypeAlias = Literal["auto", "stdio", "sse", "streamable-http"]
_SPELLINGS: Final = {
    "streamable_http": "streamable-http",
    "streamablehttp": "streamable-http",
    "streamable": "streamable-http",
    "http": "streamable-http",
    "": "auto",
}


def _transport(value: Any) -> Any:
    """Other spellings of the transports."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return _SPELLINGS.get(word, word)


def _kept(value: str) -> str:
    """An address as it is written: to some servers a slash at its end makes a difference."""
    web_address(value)
    return value


Url: TypeAlias = Annotated[str, AfterValidator(_kept), WithJsonSchema({"type": "string", "format": "uri"})]


def _wrong(message: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("hector", "{message}; allowed: {allowed}", {"message": message, "allowed": allowed})


class ClientCredentials(Section):
    """Access tokens from an authorization server, by client credentials."""

    client_id: str = Field(min_length=1, description="Name under which the authorization server knows us.")
    client_secret: str = Field(min_length=1, description="Secret that belongs to it.")
    token_url: Address | None = Field(None, description="Where tokens are given. Left out: as the issuer says.")
    issuer: Address | None = Field(None, description="The authorization server, asked for its token_url.")
    scope: str = Field("", description="What is asked for, words apart by spaces.")
    audience: str = Field("", description="Whom the token is for, where the authorization server wants to know.")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if not self.token_url and not self.issuer:
            raise _wrong("nobody gives tokens", "token_url, or issuer")
        return self


class McpTool(ToolBase):
    """What an MCP server offers, each of its tools by its own name."""

    type: Literal["mcp"] = Field("mcp", description="Kind of tool.")
    transport: Annotated[Transport, BeforeValidator(_transport)] = Field(
        "auto",
        description="How it is spoken to: stdio starts `command`; sse and streamable-http call `url`, and sse falls "
        "back to the newer one. auto: stdio with a command; streamable HTTP with a URL, else SSE.",
    )
    command: str = Field("", description="Program that is started, and ended with the server.")
    args: tuple[str, ...] = Field((), description="Its arguments.")
    env: dict[str, str] = Field(
        {}, description="Its environment, beside PATH, HOME and the like: it sees nothing else of ours."
    )
    cwd: str = Field("", description="Folder that it is started in. Left out: that of Hector.")
    url: Url | None = Field(None, description="Address of the server.")
    headers: dict[str, str] = Field({}, description="Headers of every request, such as Authorization.")
    oauth: ClientCredentials | None = Field(None, description="Access tokens by client credentials.")
    proxy: str | None = Field(None, description="Proxy for its address. Left out: as the environment says.")
    ca_bundle: str | None = Field(
        None, description="File of certificate authorities to trust instead of the usual ones."
    )
    filter: Names | None = Field(
        None, description="Tools that are offered, by the server's own names; * stands for anything. Left out: all."
    )
    prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,32}$", description="What stands before the names of its tools, such as `git_`."
    )
    resources: bool = Field(False, description="Whether agents may list and read its resources, with two more tools.")
    prompts: bool = Field(False, description="Whether agents may list and fill in its prompts, with two more tools.")
    connect_timeout: Duration = Field(
        30.0, gt=0, description="How long it may take to start and to say what it offers."
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if bool(self.command) == bool(self.url):
            what = "command and url are both given" if self.command else "neither command nor url is given"
            raise _wrong(f"{what}: an MCP server is either started or called", "command or url, one of them")
        wanted = "url" if self.command else "command"
        if (self.transport == "stdio") != bool(self.command) and self.transport != "auto":
            raise _wrong(f"transport {self.transport} needs {wanted}", "stdio with command, the others with url")
        ours = ("url", "headers", "oauth", "proxy", "ca_bundle") if self.command else ("args", "env", "cwd")
        idle = [key for key in ours if getattr(self, key)]
        if idle:
            raise _wrong(f"{idle[0]} says nothing of a server with {'command' if self.command else 'url'}", wanted)
        return self

    @property
    def address(self) -> str:
        """Where it is, for people: the URL without its query, or the command line."""
        return self.url.partition("?")[0] if self.url else " ".join((self.command, *self.args))
