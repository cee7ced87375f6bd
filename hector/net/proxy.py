"""Which proxy a URL goes through. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from hector.core.errors import ConfigError


def proxy_for(url: str, explicit: str | None, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL, or None for a direct way. Raises ConfigError for a proxy that cannot be used.

    An explicit proxy always counts. Otherwise HTTPS_PROXY or HTTP_PROXY by the scheme of `url`, then ALL_PROXY, in
    either case, unless NO_PROXY lists the host; addresses of this machine never go through the environment's proxy.
    """
    if explicit:
        return _checked(explicit, "proxy")
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        value = environment.get(name) or environment.get(name.upper())
        if value:
            excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
            return None if _direct(parts, excluded) else _checked(value, name.upper())
    return None


def _checked(proxy: str, source: str) -> str:
    url = proxy if "://" in proxy else f"http://{proxy}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{source} names a proxy that cannot be used ({parts.scheme}://{parts.hostname or ''}): "
            "give http://host:port or https://host:port"
        )
    return url


def _direct(parts: SplitResult, excluded: str) -> bool:
    """The host is this machine, or listed in NO_PROXY."""
    host = (parts.hostname or "").rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(host, parts.port, address, entry) for entry in excluded.replace(" ", ",").split(",") if entry)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches(
    host: str, port: int | None, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, entry: str
) -> bool:
    """One entry of NO_PROXY: "*", a name that covers its subdomains, an address or a network, a port optionally."""
    if entry == "*":
        return True
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            pass
    name, colon, wanted = entry.lower().rpartition(":")
    if not colon or not wanted.isdigit():
        name, wanted = entry.lower(), ""
    if wanted and int(wanted) != port:
        return False
    name = name.removeprefix("*").strip("[]").lstrip(".").rstrip(".")
    return host == name or host.endswith(f".{name}")
