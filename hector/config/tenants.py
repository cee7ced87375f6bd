"""What apps may use whose configurations come through the admin API: nothing dangerous by default."""

from typing import Final

from pydantic import Field

from hector.config.base import Duration, Names, Section
from hector.config.push import Destinations

PROVIDER_HOSTS: Final = ("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com")
"""Where the providers of models are reached that are known by name."""


class Tenants(Section):
    """Apps that come through the admin API: what their configurations may use, and how many are kept loaded."""

    variables: Names = Field(
        (), description="Environment variables that they may use as ${NAME}; they can see no others."
    )
    hosts: Destinations = Field(
        PROVIDER_HOSTS,
        description="Hosts that they may name as base_url or proxy, and that their web tools may visit: names, "
        "*.domain, addresses, networks.",
    )
    functions: Names = Field((), description="Functions registered from Python that they may have as tools.")
    patterns: bool = Field(
        False,
        description="Whether they may hold regular expressions (rules of scripted models, patterns of schemas): a "
        "hostile one can keep the server busy for ever.",
    )
    files: str | None = Field(
        None,
        description="Folder that holds, for each app, a folder named by its id with the files that it may name. "
        "Left out: no files.",
    )
    max_loaded: int = Field(100, ge=1, le=10_000, description="Most of these apps that are kept loaded at once.")
    unload_after: Duration = Field(900.0, ge=1.0, description="Unload an app that nobody has used for this long.")
