"""The one factory for httpx clients. Hot calls go through caller.py instead."""

import os
from collections.abc import Mapping

import httpx

from hector.net.call import default_headers
from hector.net.proxy import proxy_for
from hector.net.tls import context_for
from hector.net.transport import LeanTransport


def open_client(
    *,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ca_bundle: str | None = None,
    connect_timeout: float = 10.0,
    read_timeout: float = 120.0,
    write_timeout: float = 60.0,
) -> httpx.AsyncClient:
    """A client for one base URL: over the lean transport, or over httpx's own when a proxy applies.

    Times in seconds; `read_timeout` is the longest silence. Relative URLs are added to `base_url` with one slash.
    Redirects are not followed. Raises ConfigError for a proxy or CA bundle of no use.
    """
    chosen = proxy_for(base_url, proxy, os.environ)
    return httpx.AsyncClient(
        base_url=base_url,
        headers={**default_headers(), **(headers or {})},
        timeout=httpx.Timeout(connect=connect_timeout, read=read_timeout, write=write_timeout, pool=connect_timeout),
        transport=LeanTransport(ca_bundle=ca_bundle) if chosen is None else _proxied(chosen, ca_bundle),
        trust_env=False,
    )


def _proxied(proxy: str, ca_bundle: str | None) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)
    return httpx.AsyncHTTPTransport(verify=context_for(ca_bundle), proxy=proxy, limits=limits, trust_env=False)
