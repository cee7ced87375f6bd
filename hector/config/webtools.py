"""The web tools: reading pages, requests of any kind, searching."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Address, Duration, Names, Section, Size
from hector.config.toolbase import ToolBase

WebToolName: TypeAlias = Literal["web_fetch", "web_request", "web_search"]


class WebSearch(Section):
    """Who is asked for search results."""

    provider: Literal["tavily", "searxng"] = Field(
        "tavily", description="tavily: a service that takes a key. searxng: a server of one's own, named by base_url."
    )
    api_key: str = Field("", repr=False, description="Key of Tavily; left out: TAVILY_API_KEY from the environment.")
    base_url: Address | None = Field(
        None, description="Address of SearXNG, whose settings must allow the format json; or of something like Tavily."
    )
    headers: dict[str, str] = Field({}, description="Extra headers of every search, such as Authorization.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.provider == "searxng" and self.base_url is None:
            raise PydanticCustomError(
                "hector",
                "{message}; allowed: {allowed}",
                {"message": "SearXNG has no address", "allowed": "base_url, such as http://localhost:8888"},
            )
        return self


class WebTool(ToolBase):
    """Pages and services of the web. Private networks are closed, and the addresses of cloud metadata always."""

    type: Literal["web"] = Field("web", description="Kind of tool.")
    tools: tuple[WebToolName, ...] = Field(
        ("web_fetch", "web_request", "web_search"),
        description="Which of them; a single one goes by the id of the entry. web_request asks for approval.",
    )
    timeout: Duration = Field(30.0, description="Longest time of one call, redirects included; 0 means no limit.")
    max_output: int = Field(50_000, ge=0, description="Cut results to this many characters; 0 means no limit.")
    allowed_hosts: Names = Field((), description="Only these: names, or *. and a domain. Left out: any.")
    denied_hosts: Names = Field((), description="Never these: names, or *. and a domain.")
    private_hosts: Names = Field(
        (), description="Names, addresses and networks in private networks that are open nevertheless."
    )
    max_download: Size = Field(10 * 2**20, ge=1024, description="Longest response.")
    max_redirects: int = Field(5, ge=0, le=20, description="How many redirects are followed, each judged anew.")
    methods: Names = Field(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"), description="Methods of web_request."
    )
    search: WebSearch = Field(default_factory=WebSearch.model_construct, description="Who is asked for search results.")
