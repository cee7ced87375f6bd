"""Whether an address that somebody else has written leads to a host that is on a list."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

_VISIBLE: Final = re.compile(r"[!-~]+")


def host_of(url: str) -> str | None:
    """The host of a web address; None for one that two readers might understand in two ways, or that has a user."""
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return None
    return host if parts.scheme in {"http", "https"} and host and "@" not in parts.netloc else None


def is_listed(host: str, entries: Iterable[str]) -> bool:
    """Whether a name or an address is among names, `*.` and a domain, addresses and networks.

    Names are not looked up: where one leads that is on the list is the business of whoever has listed it.
    """
    try:
        address = ip_address(host)
    except ValueError:
        labels = host.lower().split(".")
        names = {f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels))} | {host.lower()}
        return any(entry.lower().rstrip(".") in names for entry in entries)
    return any(address in network for network in map(_network, entries) if network is not None)


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
