"""Rate limits of requests, and whose address a request comes from."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.types import Scope

from hector.core.identity import Principal
from hector.limits.limits import Limits
from hector.web.answers import TALLY

if TYPE_CHECKING:
    from hector.config.limits import TrustedProxies

_OF_ONE_SITE: Final = 64
"""Bits of an IPv6 address that one customer's network shares: whoever has one address there has all of them."""
Ip: TypeAlias = IPv4Address | IPv6Address


class Limiter:
    """Counts requests before their endpoints run, and remembers for the answer's headers what is left."""

    def __init__(self, limits: Limits, proxies: "TrustedProxies | None") -> None:
        self._limits = limits
        self._networks = [ip_network(one, strict=False) for one in proxies.networks] if proxies else []
        self._headers = [name.lower().encode("latin-1") for name in proxies.headers] if proxies else []

    @property
    def active(self) -> bool:
        """Whether anything is counted at all."""
        return self._limits.rates is not None

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request. Raises RateLimited, StoreUnavailable."""
        rates = self._limits.rates
        if rates is None:
            return
        scope[TALLY] = rates.begin()
        if rates.on_requests:
            await rates.request(principal.caller(), self.address(scope) if rates.by_address else "")

    def address(self, scope: Scope) -> str:
        """The client's address: that of the socket, unless a proxy that is trusted names another one.

        Addresses of IPv6 stand for their network.
        """
        client = scope.get("client")
        peer = _address(client[0]) if client else None
        if peer is None:
            return "local"
        named = self._named(scope) if self._is_trusted(peer) else None
        return _shown(named or peer)

    def _named(self, scope: Scope) -> Ip | None:
        """The last address of the first header that is there which is no proxy of ours."""
        for name in self._headers:
            values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
            if values:
                return self._last_foreign([part.strip() for value in values for part in value.split(",")])
        return None

    def _last_foreign(self, chain: Sequence[str]) -> Ip | None:
        found: Ip | None = None
        for text in reversed(chain):
            address = _address(text)
            if address is None:
                break
            found = address
            if not self._is_trusted(address):
                break
        return found

    def _is_trusted(self, address: Ip) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> Ip | None:
    """An address, with or without a port, in any of the forms that proxies write."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _shown(address: Ip) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address) >> _OF_ONE_SITE << _OF_ONE_SITE, _OF_ONE_SITE)))
