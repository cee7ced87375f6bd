"""An MCP server behind HTTP, and how it is reached."""

from collections.abc import Mapping
from dataclasses import field

from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Times in seconds; `headers` may hold secrets."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    ca_bundle: str | None = None
    connect_timeout: float = 30.0
