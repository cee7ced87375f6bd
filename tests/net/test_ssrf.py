"""Hostile destinations, as a table: none of them is ever connected to.

Every address that must stay closed is written in every way that some parser somewhere takes for it; names resolve to
such addresses, at once or only at the second look; servers redirect to them. A listener on this machine counts.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import pytest

from hector.net.egress import EgressRefused, Policy
from hector.net.outbound import Outbound

CLOSED_V4: Final = {
    "loopback": "127.0.0.1",
    "loopback, another": "127.8.9.10",
    "this host": "0.0.0.0",
    "ten": "10.0.0.5",
    "172.16": "172.31.255.254",
    "192.168": "192.168.1.1",
    "carrier NAT": "100.64.0.1",
    "link-local": "169.254.10.10",
    "metadata": "169.254.169.254",
    "metadata of containers": "169.254.170.2",
    "metadata, Alibaba": "100.100.100.200",
    "metadata, Azure": "168.63.129.16",
    "protocol assignments": "192.0.0.1",
    "documentation": "203.0.113.7",
    "benchmarking": "198.18.0.1",
    "multicast": "224.0.0.251",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
}
CLOSED_V6: Final = (
    *(
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "fd00:ec2::254",
    ),
    *("2001::1", "2002:7f00:1::", "4000::1", "fd20:ce::254", "::ffff:0:127.0.0.1"),
)


def spellings(address: str) -> Iterator[str]:
    """One IPv4 address as hosts that resolvers, browsers and clients are known to read as it."""
    number, bytes_ = int(IPv4Address(address)), IPv4Address(address).packed
    yield address
    yield f"{address}."
    yield str(number)
    yield hex(number)
    yield f"0{number:o}"
    yield ".".join(f"0{byte:o}" for byte in bytes_)
    yield ".".join(hex(byte) for byte in bytes_)
    yield f"{bytes_[0]}.{int.from_bytes(bytes_[1:])}"
    yield f"{bytes_[0]}.{bytes_[1]}.{int.from_bytes(bytes_[2:])}"
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]"
    yield f"[::{address}]"
    yield f"[64:ff9b::{address}]"
    yield f"[{IPv6Address((0x2002 << 112) | (number << 80))}]"


TRICKS: Final = (
    *(
        "http://user@127.0.0.1/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1@example.com/",
        "http://:@127.0.0.1/",
    ),
    *("http://example.com\\@127.0.0.1/", "http://127.0.0.1\\.example.com/", "http:\\\\127.0.0.1/", "http:/127.0.0.1/"),
    *(
        "http://127.0.0.1%00.example.com/",
        "http://127.0.0.1\x00.example.com/",
        "http://127.0.0.1\t/",
        " http://127.0.0.1/",
    ),
    *(
        "http://example.com\r\nHost: 127.0.0.1/",
        "http://example.com/\r\nX: y",
        "http://127.0.0.1\n/",
        "http://exa mple.com/",
    ),
    *("http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/", "http://localhost:22/"),
    *(
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://ⓛocalhost/",
        "http://loc\u00adalhost/",
    ),
    *("file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "dict://127.0.0.1:11211/", "ftp://127.0.0.1/", "data:,x"),
    *("ldap://127.0.0.1/", "jar:http://127.0.0.1!/", "unix:///run/docker.sock", "javascript:alert(1)", "//127.0.0.1/"),
    *(
        "http://[::1%25lo]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://::1/",
        "http://[127.0.0.1]/",
        "http://[]/",
    ),
    *("http://", "http:///", "http://:80/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.1:8o/"),
    *("http://0/", "http://127.1/", "http://0x7f.1/", "http://0177.1/", "http://256.256.256.256/", "http://1.2.3.4.5/"),
    *("http://127.0.0.1.0x/", "http://example.com:80:80/", "http://-example.com/", "http://exa_mple..com/"),
    "http://example.com/" + "x" * 4000,
)
URLS: Final = tuple(
    dict.fromkeys(
        (
            *(f"http://{host}/" for address in CLOSED_V4.values() for host in spellings(address)),
            *(f"https://[{address}]/" for address in CLOSED_V6),
            *TRICKS,
        )
    )
)


class Rebinding:
    """A resolver whose first answer is harmless, and every later one is this machine."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def counting(
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
) -> AsyncIterator[tuple[int, list[int]]]:
    """A listener on loopback: its port, and a list with an entry for each connection."""
    seen: list[int] = []

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


def test_the_table_is_long() -> None:
    assert len(URLS) >= 150


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("url", URLS)
def test_a_hostile_url_is_refused_before_any_name_is_looked_up(url: str) -> None:
    with pytest.raises(EgressRefused) as refused:
        Policy().target(url)
    assert "passwd" not in str(refused.value)


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("url", [url for url in URLS if "169.254.169.254" in url or "a9fe" in url or "[ff02" in url])
def test_metadata_and_multicast_stay_closed_where_private_networks_are_open(url: str) -> None:
    with pytest.raises(EgressRefused):
        Policy(("0.0.0.0/0", "::/0"), allow_private=True).target(url)


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("address", [*CLOSED_V4.values(), *CLOSED_V6])
async def test_a_harmless_name_that_leads_there_is_not_followed(address: str) -> None:
    outbound = Outbound(Policy(), resolve=Rebinding([address]))
    with pytest.raises(EgressRefused):
        await outbound.post("http://hooks.example.com/", b"", {})


@pytest.mark.proves("security.ssrf")
async def test_a_name_that_changes_its_address_between_look_and_connection_is_looked_up_once() -> None:
    async with counting() as (port, seen):
        resolve = Rebinding(["203.0.113.9", "8.8.8.8"], ["127.0.0.1"])
        with pytest.raises(EgressRefused):
            await Outbound(Policy(), resolve=resolve).post(f"http://hooks.example.com:{port}/", b"", {})
        with pytest.raises(EgressRefused):  # the second look is judged like the first
            await Outbound(Policy(), resolve=resolve).post(f"http://hooks.example.com:{port}/", b"", {})
    assert seen == []


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_reported_and_not_followed(status: int) -> None:
    async with counting() as (secret, inside):
        moved = b"HTTP/1.1 %d Moved\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % (status, secret)
        async with counting(moved) as (port, outside):
            outbound = Outbound(Policy(("hooks.example.com",)), resolve=Rebinding(["127.0.0.1"]))
            done = await outbound.post(f"http://hooks.example.com:{port}/", b"", {})
    assert (done.status, len(outside), inside) == (status, 1, [])
