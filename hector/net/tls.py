"""TLS contexts: certifi's certificates, or a bundle of the user's own."""

import functools
import os
import ssl
from pathlib import Path

from hector.core.errors import ConfigError


def context_for(ca_bundle: str | None = None) -> "ssl.SSLContext":
    """A verifying client context.

    `ca_bundle` is a PEM file or a folder of hashed certificates. Without it SSL_CERT_FILE and SSL_CERT_DIR count, then
    certifi. Raises ConfigError when the file is missing or holds no certificate.
    """
    if ca_bundle is not None:
        return _custom(ca_bundle, "ca_bundle")
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(variable)
        if path:
            return _custom(path, variable)
    return _default()


@functools.cache
def _default() -> "ssl.SSLContext":
    import certifi  # noqa: PLC0415 - loaded on first use

    return _finish(ssl.create_default_context(cafile=certifi.where()))


@functools.cache
def _custom(path: str, source: str) -> "ssl.SSLContext":
    place = Path(path).expanduser()
    if not place.exists():
        raise ConfigError(f"{source} points to {path}, which does not exist: give a PEM file with CA certificates")
    try:
        if place.is_dir():
            return _finish(ssl.create_default_context(capath=str(place)))
        return _finish(ssl.create_default_context(cafile=str(place)))
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{source} points to {path}, which holds no readable PEM certificate: {error}") from error


def _finish(context: "ssl.SSLContext") -> "ssl.SSLContext":
    context.set_alpn_protocols(["http/1.1"])
    return context
