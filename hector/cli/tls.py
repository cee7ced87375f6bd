"""TLS of the server: a context from PEM files, taken up anew when they change."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from hector.config.tls import Tls
from hector.core.errors import StartupError

log = logging.getLogger("hector.server")
LOOK_SECONDS: Final = 30.0
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class ServerTls:
    """The context of connections. A renewed certificate counts for new ones, without a restart."""

    def __init__(self, settings: Tls) -> None:
        """Raises StartupError that says which file is wrong and what it should be."""
        self._settings = settings
        self.context = _context(settings)
        self._seen = self._stamps()

    async def keep(self) -> None:
        """Look for changed files now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.renew()

    def renew(self) -> None:
        """Take up changed files. While they do not fit together, the certificate of before stays in use."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            _context(self._settings)  # half of a pair must not get into the context in use
        except StartupError as error:
            log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - the message says it all
            return
        _load(self.context, self._settings)
        self._seen = stamps
        log.info("certificate taken up", extra={"file": self._settings.cert_file})

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for name in (self._settings.cert_file, self._settings.key_file):
            if name is not None:
                try:
                    status = Path(name).expanduser().stat()
                except OSError:
                    continue
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(found)


def _context(settings: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _load(context, settings)
    if settings.client_ca_file is not None:
        try:
            context.load_verify_locations(_file(settings.client_ca_file, "client_ca_file"))
        except (ssl.SSLError, OSError) as error:
            raise _unreadable("client_ca_file", settings.client_ca_file, "certificates", error) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, settings: Tls) -> None:
    certificate = _file(settings.cert_file or "", "cert_file")
    key = _file(settings.key_file, "key_file") if settings.key_file else None
    try:
        context.load_cert_chain(certificate, key, password=settings.key_password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartupError(
                f"server.tls: the key in {key or certificate} is not the one of the certificate in {certificate}"
            ) from None
        hint = " or server.tls.key_password is wrong" if key or settings.key_password else ""
        raise StartupError(
            f"server.tls: {certificate}{f' and {key}' if key else ''} must hold a certificate and its key in PEM "
            f"form{hint} ({error.reason or error})"
        ) from None


def _file(name: str, setting: str) -> Path:
    path = Path(name).expanduser()
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise _unreadable(setting, name, "a PEM file", error) from None


def _unreadable(setting: str, name: str, what: str, error: Exception) -> StartupError:
    reason = getattr(error, "strerror", None) or error
    return StartupError(f"server.tls.{setting}: {name} is not readable ({reason}); give {what} in PEM form")
