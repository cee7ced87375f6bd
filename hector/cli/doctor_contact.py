"""One thing that a configuration contacts."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.net.policy import Purpose

_PORTS: Final = {"http": 80, "https": 443, "postgres": 5432}


@dataclass(frozen=True, slots=True)
class Contact:
    """One thing to be reached.

    `url` is shown; `get` is a whole address that may be asked for without effect and without cost, empty for none.
    `needed`: the configuration cannot work without it. `key`: where the credential is set, empty if there is none.
    `read` looks into what `get` gave, and says what is wrong with it, or "".
    """

    group: str
    name: str
    purpose: "Purpose"
    url: str
    get: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    setting: str = ""
    proxy: str | None = None
    ca_bundle: str | None = None
    needed: bool = True
    secure: bool = False
    read: Callable[[bytes], str] | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)

    @property
    def shown(self) -> str:
        """Without what might be a secret: no user, no path, no query."""
        host, port = self.place
        authority = f"[{host}]" if ":" in host else host
        scheme = urlsplit(self.url).scheme
        return f"{scheme}://{authority}" + (f":{port}" if port != _PORTS.get(scheme) else "")
