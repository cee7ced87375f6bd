"""TLS by the server itself."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hector.config.base import Section, complaint


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
            raise complaint("TLS needs a certificate", "cert_file, and key_file if the key is apart")
        return self
