"""How connections reach the server: TLS, pages of other sites, bounds on what a client may send before it is known."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Duration, Names, Section, Size

ANY: Final = "*"


class Tls(Section):
    """TLS by this server itself. The files are read again when they change, so that a renewed certificate counts."""

    enabled: bool = Field(True, description="Off: the block is as good as not there.")
    cert_file: str | None = Field(
        None, min_length=1, description="PEM file with the certificate, intermediate ones behind it."
    )
    key_file: str | None = Field(None, min_length=1, description="PEM file with its key. Left out: in `cert_file`.")
    key_password: str | None = Field(None, description="What the key is encrypted with, if it is.")
    client_ca_file: str | None = Field(
        None, min_length=1, description="PEM file with the authorities whose clients may connect; all others may not."
    )
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="Oldest version of TLS that is spoken.")

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        if self.enabled and self.cert_file is None:
            message = {"message": "TLS needs a certificate", "allowed": "cert_file, and key_file if the key is apart"}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        return self


def origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers write them, or the star. Raises the complaint that the loader turns into a finding."""
    for entry in value:
        if entry != ANY and not _is_origin(entry):
            message = {"message": f"{entry!r} is no origin", "allowed": 'https://host or https://host:port, or "*"'}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
    return tuple(entry.lower() for entry in value)


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
    allowed_methods: Names = Field(("GET", "POST", "PUT", "DELETE"), description="Methods that such pages may use.")
    allowed_headers: Names = Field(
        ("Authorization", "Content-Type", "A2A-Version", "Last-Event-ID", "X-Request-Id"),
        description="Headers that such pages may send.",
    )
    allow_credentials: bool = Field(False, description='Let browsers add credentials of their own. Not with "*".')
    max_age: Duration = Field(600.0, description="How long a browser may remember the answer.")

    @model_validator(mode="after")
    def _names_whom_it_trusts(self) -> Self:
        if self.allow_credentials and ANY in self.allowed_origins:
            message = {"message": "credentials need origins by name", "allowed": 'a list without "*"'}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        return self


class Heads(Section):
    """Bounds on requests before anything is known of them."""

    max_bytes: Size = Field(64 * 2**10, ge=1024, le=2**20, description="Largest request line with all headers.")
    max_count: int = Field(100, ge=10, le=1000, description="Most headers.")
    timeout: Duration = Field(30.0, gt=0, description="How long a client may take to send them.")
