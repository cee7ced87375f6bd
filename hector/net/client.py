"""The one factory for httpx clients. Hot calls go through caller.py instead."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import httpx

from hector.net.call import default_headers
from hector.net.dial import Way
from hector.net.egress import Policy
from hector.net.gate import Resolve
from hector.net.guarded import GuardedTransport
from hector.net.proxy import proxy_for
from hector.net.tls import context_for

if TYPE_CHECKING:
    from hector.net.policy import Purpose


def open_client(
    *,
    purpose: "Purpose" = "other",
    outside: Policy | None = None,
    resolve: Resolve | None = None,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ca_bundle: str | None = None,
    connect_timeout: float = 10.0,
    read_timeout: float = 120.0,
    write_timeout: float = 60.0,
) -> httpx.AsyncClient:
    """A client over the lean transport, or, for URLs to which a proxy applies, over httpx's own.

    `purpose` is what it calls for, as the egress policy (server.egress) tells it. `outside` is given where a client or
    a model chooses the URLs, and says which private ones are open to them; all others are refused, each redirect and
    each address judged. `resolve` stands in for the system's resolver, in tests of rebinding.

    Times in seconds; `read_timeout` is the longest silence. Relative URLs are added to `base_url` with one slash.
    Redirects are not followed unless the caller asks httpx to. Raises ConfigError for a proxy or CA bundle of no use.
    """
    if base_url:
        proxy_for(base_url, proxy, os.environ)
    if base_url.startswith("https"):
        context_for(ca_bundle)
    return httpx.AsyncClient(
        base_url=base_url,
        headers={**default_headers(), **(headers or {})},
        timeout=httpx.Timeout(connect=connect_timeout, read=read_timeout, write=write_timeout, pool=connect_timeout),
        transport=GuardedTransport(way=Way(purpose, outside, resolve), proxy=proxy, ca_bundle=ca_bundle),
        trust_env=False,
    )
