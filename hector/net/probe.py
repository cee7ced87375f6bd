"""One connection step by step, for `hector doctor`: the name, TCP, TLS. Judged by the policy, and closed at once."""

import asyncio
import os
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from hector.core.record import dataclass
from hector.net.dial import resolver
from hector.net.gate import current
from hector.net.policy import address_of

if TYPE_CHECKING:
    from hector.net.policy import Purpose

_MOST: Final = 4


@dataclass(slots=True)
class Reached:
    """How far it came. Times in seconds, None for a step that was not taken.

    `trouble`: what is wrong; `step`: at which it is ("policy", "dns", "tcp", "tls"), empty if nowhere. `expires` is in
    seconds since the epoch.
    """

    address: str = ""
    dns: float | None = None
    tcp: float | None = None
    tls: float | None = None
    expires: float | None = None
    step: str = ""
    trouble: str = ""


async def reach(purpose: "Purpose", host: str, port: int, context: ssl.SSLContext | None, seconds: float) -> Reached:
    """Connect to one address after the other until one answers. Raises EgressRefused."""
    found = Reached()
    try:
        async with asyncio.timeout(seconds):
            addresses = await _addresses(found, purpose, host, port)
            for address in addresses[:_MOST]:
                await _connect(found, address, port, context, host)
                if not found.step or found.step == "tls":
                    break
    except TimeoutError:
        found.step = "dns" if found.dns is None else "tcp" if found.tcp is None else "tls"
        found.trouble = f"no answer within {seconds:g} seconds"
    return found


async def _addresses(found: Reached, purpose: "Purpose", host: str, port: int) -> tuple[str, ...]:
    began = time.perf_counter()
    try:
        judged = await current().addresses(purpose, host, port, resolve=resolver())
        addresses = tuple(map(str, judged)) or (
            (host,) if address_of(host) is not None else tuple(dict.fromkeys(await resolver()(host, port)))
        )
    except OSError as error:
        found.step, found.trouble = "dns", error.strerror or str(error)
        return ()
    found.dns = time.perf_counter() - began
    return addresses


async def _connect(found: Reached, address: str, port: int, context: ssl.SSLContext | None, name: str) -> None:
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    found.address, found.step, found.trouble = address, "", ""
    transport: Any = None
    try:
        transport, protocol = await loop.create_connection(asyncio.Protocol, address, port)
        found.tcp, began = time.perf_counter() - began, time.perf_counter()
        if context is None:
            return
        transport = await loop.start_tls(transport, protocol, context, server_hostname=name)
        found.tls = time.perf_counter() - began
        certificate = transport.get_extra_info("peercert") or {}
        if "notAfter" in certificate:
            found.expires = ssl.cert_time_to_seconds(certificate["notAfter"])
    except ssl.SSLCertVerificationError as error:
        found.step, found.trouble = "tls", f"the certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        found.step, found.trouble = "tls", error.reason or str(error)
    except OSError as error:
        found.step = "tcp" if found.tcp is None else "tls"
        found.trouble = os.strerror(error.errno).lower() if error.errno else str(error) or "the other side hung up"
    finally:
        if transport is not None:
            transport.abort()
