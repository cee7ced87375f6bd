"""The way of a request of an httpx client: straight, or through the proxy that applies, and judged on both.

Each request is judged by its own URL, redirects among them, whoever follows them.
"""

import os
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from hector.net.dial import OPERATOR, Way, resolver
from hector.net.egress import EgressRefused
from hector.net.gate import current
from hector.net.outbound import judged
from hector.net.proxy import proxy_for
from hector.net.tls import context_for
from hector.net.transport import LeanTransport, Refused

_PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx.AsyncBaseTransport):
    """All origins, those behind proxies among them."""

    def __init__(self, *, way: Way = OPERATOR, proxy: str | None = None, ca_bundle: str | None = None) -> None:
        self._way = way
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._straight = LeanTransport(ca_bundle=ca_bundle, way=way)
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises Refused, beside what httpx raises."""
        url = str(request.url)
        try:
            if self._way.outside is not None:
                judged(self._way.outside, self._way.purpose, url)
            proxy = proxy_for(url, self._proxy, os.environ)
            if proxy is None:
                return await self._straight.handle_async_request(request)
            await self._judge(request.url, proxy)
        except EgressRefused as error:
            raise Refused(str(error), request=request) from error
        return await self._through(proxy).handle_async_request(request)

    async def aclose(self) -> None:
        await self._straight.aclose()
        for transport in self._proxied.values():
            await transport.aclose()

    async def _judge(self, url: httpx.URL, proxy: str) -> None:
        """Both ends of a call through a proxy. A listed name that only the proxy can look up is its to judge."""
        gate, purpose = current(), self._way.purpose
        parts = urlsplit(proxy)
        place = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80))
        target = (url.raw_host.decode("ascii").strip("[]"), url.port or _PORTS.get(url.scheme, 80))
        with suppress(OSError):  # connecting to it will say so
            await gate.addresses(purpose, *place, resolve=resolver())
        try:
            await gate.addresses(purpose, *target, outside=self._way.outside, resolve=self._way.resolve or resolver())
        except OSError:
            if why := gate.policy.rules(purpose).judge_unknown(*target):
                gate.refuse(purpose, *target, why)
        for host, port in (place, target):
            gate.traffic(purpose, host, port).call(0)

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        found = self._proxied.get(proxy)
        if found is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)
            found = self._proxied[proxy] = httpx.AsyncHTTPTransport(
                verify=context_for(self._ca_bundle), proxy=proxy, limits=limits, trust_env=False
            )
        return found
