"""Pages of other sites that may use the server."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from hector.config.base import Duration, Names, Section, complaint
from hector.config.transport import ANY


def origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers write them, or the star. Raises the complaint that the loader turns into a finding."""
    for entry in value:
        if entry != ANY and not _is_origin(entry):
            raise complaint(f"{entry!r} is no origin", 'https://host or https://host:port, or "*"')
    return tuple(entry.lower() for entry in value)


def methods(value: tuple[str, ...]) -> tuple[str, ...]:
    """Methods as browsers write them."""
    return tuple(name.upper() for name in value)


def _is_origin(entry: str) -> bool:
    try:
        parts = urlsplit(entry)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        return False
    whole = f"{parts.scheme}://{parts.netloc}" == entry
    return whole and port_fits and parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in entry


class Cors(Section):
    """Which other sites' pages may use this server from a browser. Off unless origins are listed."""

    allowed_origins: Annotated[Names, AfterValidator(origins)] = Field(
        (), description='Origins such as https://app.example.com; "*" means every page on the web.'
    )
    allowed_methods: Annotated[Names, AfterValidator(methods)] = Field(
        ("GET", "POST", "PUT", "DELETE"), description="Methods that such pages may use."
    )
    allowed_headers: Names = Field(
        ("Authorization", "Content-Type", "A2A-Version", "Last-Event-ID", "X-Request-Id"),
        description="Headers that such pages may send.",
    )
    allow_credentials: bool = Field(False, description='Let browsers add credentials of their own. Not with "*".')
    max_age: Duration = Field(600.0, description="How long a browser may remember these rules.")

    @model_validator(mode="after")
    def _names_whom_it_trusts(self) -> Self:
        if self.allow_credentials and ANY in self.allowed_origins:
            raise complaint("credentials need origins by name", 'a list without "*"')
        return self
