"""Entries of lists of destinations: names, `*.domain`, addresses and networks, each with ports if one likes. Pure.

Loads nothing of pydantic, since connections are judged by it too.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

from hector.core.pattern import pattern
from hector.core.record import dataclass

Address: TypeAlias = IPv4Address | IPv6Address

ALLOWED: Final = (
    "api.example.com, *.example.com, 10.1.2.3, 10.1.0.0/16 or [fd00::1], each with :443 or :8000-8999 behind it"
)
_ENTRY: Final = pattern(r"(?P<host>\[[^\]]*\](?:/\d+)?|[^:\[\]]+)(?::(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?)?")
_NAME: Final = pattern(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LAST: Final = 65535


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry: a lower-case name or a network, and the ports it is about. `text` is what the operator wrote."""

    text: str
    name: str
    network: IPv4Network | IPv6Network | None
    first: int = 0
    last: int = _LAST

    def is_named(self, host: str, port: int) -> bool:
        """Whether this names the host, by itself or by its domain."""
        if self.network is not None or not self.first <= port <= self.last:
            return False
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def holds(self, address: Address, port: int) -> bool:
        """Whether the address lies in this network."""
        network = self.network
        if network is None or network.version != address.version or not self.first <= port <= self.last:
            return False
        return address in network


def parse(text: str) -> Destination:
    """Raises ValueError for what is no entry."""
    network = _network(text)
    if network is not None:
        return Destination(text, "", network)
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(text)
    host = found["host"].lower().removesuffix(".")
    first = int(found["first"] or 0)
    last = int(found["last"] or found["first"] or _LAST)
    if not first <= last <= _LAST or (found["first"] and not first):
        raise ValueError(text)
    network = _network(host.replace("[", "").replace("]", ""))
    if network is None and not (_NAME.fullmatch(host) and not host.rpartition(".")[2].isdigit()):
        raise ValueError(text)
    return Destination(text, "" if network is not None else host, network, first, last)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def plain(address: Address) -> Address:
    """An IPv4 address for those IPv6 addresses that are another way to write one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
