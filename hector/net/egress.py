"""Where a request may go whose address somebody else has chosen: the policy against server-side request forgery.

Pure: what a URL says, and what an address is. Names are resolved, judged and connected to in `net/outbound.py`, which
connects to the very address that was judged here, so that a second look-up cannot lead elsewhere.

Ranges: IANA's registries of special-purpose addresses (RFC 6890), and the metadata services of the common clouds.
"""

from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.net.errors import NetError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_URL: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_VISIBLE: Final = pattern(r"[!-~]+")
_NAME: Final = pattern(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = pattern(r"\d+|0x[0-9a-f]*")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Reach(Enum):
    """Who may send to a range: everybody; those with `allow_private`; those who name it; nobody."""

    PUBLIC = "public"
    PRIVATE = "private"
    SPECIAL = "special"
    NEVER = "never"


class EgressRefused(NetError):  # noqa: N818 - a decision
    """The policy forbids this destination; trying again changes nothing. The text never shows the URL's path.

    `place` is host and port, where the URL could be read.
    """

    retryable = False

    def __init__(self, message: str, place: tuple[str, int] | None = None) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was taken apart. `address` is given where the host is one; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None

    @property
    def authority(self) -> str:
        """Host and port as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


_RANGES: Final[tuple[tuple[str, Reach, tuple[str, ...]], ...]] = (
    (
        "a cloud's metadata service",
        Reach.NEVER,
        (
            *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
            *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        ),
    ),
    ("no host at all", Reach.NEVER, ("0.0.0.0/8", "::/128")),
    ("multicast or broadcast", Reach.NEVER, ("224.0.0.0/4", "255.255.255.255", "ff00::/8")),
    ("this machine", Reach.PRIVATE, ("127.0.0.0/8", "::1/128")),
    (
        "an IPv4 address in another form",
        Reach.NEVER,
        ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "2002::/16", "2001::/32"),
    ),
    (
        "a private network",
        Reach.PRIVATE,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    ),
    ("link-local", Reach.SPECIAL, ("169.254.0.0/16", "fe80::/10", "fec0::/10")),
    (
        "reserved",
        Reach.SPECIAL,
        (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    ),
)
_TABLE: Final[tuple[tuple[Network, str, Reach], ...]] = tuple(
    (ip_network(network), name, reach) for name, reach, networks in _RANGES for network in networks
)
_ASSIGNED: Final = IPv6Network("2000::/3")
"""Of IPv6, only this is handed out for use on the internet."""


def judge(address: Address) -> tuple[str, Reach]:
    """What an address is, and who may send there."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return judge(IPv4Address(int(address) & 0xFFFF_FFFF))
    for network, name, reach in _TABLE:
        if address.version == network.version and address in network:
            return name, reach
    if isinstance(address, IPv6Address) and address not in _ASSIGNED:
        return "reserved", Reach.SPECIAL
    return "public", Reach.PUBLIC


class Policy:
    """What is open beyond the internet. `allow` lists names, `*.` and a domain, addresses and networks.

    `setting` is where `allow` stands in the configuration, for the refusal; empty where whoever reads it has no say.
    """

    def __init__(self, allow: Sequence[str] = (), *, allow_private: bool = False, setting: str = "") -> None:
        self._remedy = f"its operator can open it {f'with {setting}' if setting else _SOMEWHERE}"
        self._names: set[str] = set()
        self._networks: list[Network] = []
        self._private = allow_private
        for entry in allow:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))

    def target(self, url: str) -> Target:
        """Take a URL apart. Raises EgressRefused for what is plainly forbidden; looks no name up."""
        target = _parse(url)
        try:
            if target.address is not None:
                self.check(target.host, target.address)
            elif _is_local(target.host) and not (self._private or self._is_named(target.host)):
                raise EgressRefused(f"the host {target.host} is this machine: {self._remedy}")
        except EgressRefused as error:
            error.place = (target.host, target.port)
            raise
        return target

    def check(self, host: str, address: Address) -> None:
        """Raises EgressRefused unless requests to `host` may be sent to this address of it."""
        what, reach = judge(address)
        if reach is Reach.PUBLIC or (reach is Reach.PRIVATE and self._private):
            return
        if reach is not Reach.NEVER and (self._is_named(host) or self._is_listed(address)):
            return
        place = str(address) if host == str(address) else f"{host} ({address})"
        if reach is Reach.NEVER:
            raise EgressRefused(f"requests to {place} are never sent: it is {what}")
        raise EgressRefused(f"requests to {place} are not sent: it is {what}; {self._remedy}")

    def _is_named(self, host: str) -> bool:
        labels = host.split(".")
        return host in self._names or any(f"*.{'.'.join(labels[n:])}" in self._names for n in range(1, len(labels)))

    def _is_listed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


_SOMEWHERE: Final = "in the server's configuration"


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _parse(url: str) -> Target:
    """Strict on purpose: what two readers could understand in two ways is refused."""
    if len(url) > LONGEST_URL:
        raise EgressRefused(f"the URL is longer than {LONGEST_URL} characters")
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise EgressRefused("the URL holds a space, a backslash or a character that is not ASCII: encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").removesuffix(".")
    except ValueError as error:
        raise EgressRefused(f"the URL cannot be read: {error}") from None
    if parts.scheme not in _PORTS:
        raise EgressRefused("the URL must begin with https:// or http://")
    if "@" in parts.netloc:
        raise EgressRefused("the URL must not hold a user name or password: use the authentication of the config")
    if port == 0:
        raise EgressRefused("the URL names port 0")
    address = _literal(host, bracketed="[" in parts.netloc)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, str(address or host), port or _PORTS[parts.scheme], path, address)


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The address that a host is, or None for a name. Addresses have one spelling here, not eight."""
    if bracketed:
        try:
            return IPv6Address("" if "%" in host else host)
        except ValueError:
            raise EgressRefused("the URL's address in brackets is no IPv6 address") from None
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return IPv4Address(host)
        except ValueError:
            raise EgressRefused("the URL's host is no name, and no IPv4 address of four decimal numbers") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise EgressRefused("the URL names no host")
    return None


def parse_address(text: str) -> Address:
    """An address as a resolver gives it. Raises EgressRefused for what is none, such as one with a zone."""
    try:
        return ip_address(text)
    except ValueError:
        raise EgressRefused(f"{text[:60]!r} is no address that requests are sent to") from None
