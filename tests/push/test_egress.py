"""Where requests to addresses of others may go: each range, each trick of spelling, names that change their mind."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hector.net.egress import EgressRefused, Policy, Reach, judge
from hector.net.errors import BadRequestHead, ConnectFailed, NetError, NetTimeout, TlsFailed
from hector.net.outbound import Outbound
from tests.net import authority
from tests.net.hostile import HEAD, Peer, serving
from tests.push.receiver import receiving

pytestmark = pytest.mark.proves("push.ssrf")

CLOSED = Policy()
PRIVATE = Policy(allow_private=True)
LOOPBACK = Policy(("127.0.0.0/8",))


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("100.63.255.255", Reach.PUBLIC),
        ("172.32.0.1", Reach.PUBLIC),
        ("2606:4700:4700::1111", Reach.PUBLIC),
        ("64:ff9b::808:808", Reach.PUBLIC),
        ("127.0.0.1", Reach.PRIVATE),
        ("127.255.255.254", Reach.PRIVATE),
        ("10.0.0.1", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("172.31.255.255", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("::1", Reach.PRIVATE),
        ("fd12:3456::1", Reach.PRIVATE),
        ("64:ff9b::a00:1", Reach.PRIVATE),
        ("169.254.1.1", Reach.SPECIAL),
        ("fe80::1", Reach.SPECIAL),
        ("fec0::1", Reach.SPECIAL),
        ("192.0.2.1", Reach.SPECIAL),
        ("198.18.0.1", Reach.SPECIAL),
        ("198.51.100.7", Reach.SPECIAL),
        ("203.0.113.9", Reach.SPECIAL),
        ("192.88.99.1", Reach.SPECIAL),
        ("240.0.0.1", Reach.SPECIAL),
        ("2001:db8::1", Reach.SPECIAL),
        ("100::1", Reach.SPECIAL),
        ("::7f00:1", Reach.NEVER),
        ("64:ff9b:1::1", Reach.SPECIAL),
        ("5f00::1", Reach.SPECIAL),
        ("169.254.169.254", Reach.NEVER),
        ("169.254.170.2", Reach.NEVER),
        ("100.100.100.200", Reach.NEVER),
        ("168.63.129.16", Reach.NEVER),
        ("fd00:ec2::254", Reach.NEVER),
        ("64:ff9b::a9fe:a9fe", Reach.NEVER),
        ("0.0.0.0", Reach.NEVER),
        ("0.1.2.3", Reach.NEVER),
        ("::", Reach.NEVER),
        ("224.0.0.1", Reach.NEVER),
        ("239.255.255.255", Reach.NEVER),
        ("255.255.255.255", Reach.NEVER),
        ("ff02::1", Reach.NEVER),
        ("::ffff:127.0.0.1", Reach.NEVER),
        ("::ffff:8.8.8.8", Reach.NEVER),
        ("2002:7f00:1::", Reach.NEVER),
        ("2001:0:53aa:64c::1", Reach.NEVER),
    ],
)
def test_every_address_is_something(address: str, reach: Reach) -> None:
    found = ipaddress.ip_address(address)
    assert judge(found)[1] is reach
    named = Policy((str(ipaddress.ip_network(address)),))
    for policy, ok in (
        (CLOSED, reach is Reach.PUBLIC),
        (PRIVATE, reach in (Reach.PUBLIC, Reach.PRIVATE)),
        (named, reach is not Reach.NEVER),
        (Policy(("hooks.corp",)), reach is not Reach.NEVER),
    ):
        if ok:
            policy.check("hooks.corp", found)
        else:
            with pytest.raises(EgressRefused, match="never sent" if reach is Reach.NEVER else "are not sent"):
                policy.check("hooks.corp", found)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "example.com/x",
        "",
        "http://",
        "http:///x",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: x",
        "https://example.com\\@127.0.0.1/",
        "https://ex\u0430mple.com/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.1/",
        "http://0/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.0x0/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[fe80::1%25eth0]/",
        "http://[::]/",
        "http://[127.0.0.1]/",
        "http://[v1.x]/",
        "http://localhost/",
        "http://LOCALHOST:8080/",
        "http://localhost./",
        "http://api.localhost/",
        "http://-bad.example/",
        "http://a..b/",
        "https://" + "a" * 64 + ".example/",
        "https://example.com/" + "x" * 2048,
    ],
)
def test_what_is_plainly_forbidden_is_refused_without_a_look_up(url: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        CLOSED.target(url)
    assert "pass" not in str(caught.value).replace("password", "")
    assert "meta-data" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown", "path"),
    [
        ("https://hooks.example.com", "https://hooks.example.com", "/"),
        ("HTTPS://Hooks.Example.COM.:443/a?b#c", "https://hooks.example.com", "/a?b"),
        ("http://8.8.8.8:8080/x", "http://8.8.8.8:8080", "/x"),
        ("https://[2606:4700::1]:8443", "https://[2606:4700::1]:8443", "/"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example", "/"),
        ("https://_svc.internal/", "https://_svc.internal", "/"),
    ],
)
def test_what_may_be_asked_for(url: str, shown: str, path: str) -> None:
    target = CLOSED.target(url)
    assert (str(target), target.path) == (shown, path)


def test_what_an_operator_opens() -> None:
    assert PRIVATE.target("http://localhost:1/").host == "localhost"
    assert Policy(("localhost",)).target("http://localhost/").host == "localhost"
    assert LOOPBACK.target("http://127.0.0.1/").address is not None
    inside = Policy(("*.corp.example", "10.1.0.0/16", "fd00::/8"))
    ten = ipaddress.ip_address("10.9.9.9")
    inside.check("a.b.corp.example", ten)
    inside.check("other", ipaddress.ip_address("10.1.2.3"))
    for host in ("corp.example", "xcorp.example", "corp.example.evil"):
        with pytest.raises(EgressRefused, match="its operator can open it"):
            inside.check(host, ten)
    for policy in (inside, PRIVATE, Policy(("169.254.0.0/16", "::ffff:0:0/96", "0.0.0.0/0", "::/0"))):
        for text in ("169.254.169.254", "::ffff:10.1.2.3", "224.0.0.1"):
            with pytest.raises(EgressRefused, match="never sent"):
                policy.check("a.corp.example", ipaddress.ip_address(text))


class Names:
    """A resolver that gives the next answer each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def test_a_name_is_looked_up_once_and_its_judged_address_is_the_one_connected_to() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    with receiving() as receiver:
        port = urlsplit(receiver.url).port
        outbound = Outbound(Policy(("127.0.0.1",)), resolve=names)
        done = await outbound.post(f"http://hooks.example.com:{port}/x", b"{}", {"x-a": "b"})
        assert (done.status, names.asked) == (200, ["hooks.example.com"])
        assert receiver.got[0].headers["host"] == f"hooks.example.com:{port}"
        with pytest.raises(EgressRefused, match=r"hooks\.example\.com \(169\.254\.169\.254\)"):
            await outbound.post(f"http://hooks.example.com:{port}/x", b"{}", {})
        assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "answer",
    [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["fe80::1%2"], ["169.254.169.254"]],
)
async def test_one_forbidden_address_spoils_the_whole_answer(answer: Sequence[str]) -> None:
    with pytest.raises(EgressRefused):
        await Outbound(CLOSED, resolve=Names(answer)).post("https://hooks.example.com/", b"", {})


async def test_the_system_resolver() -> None:
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        assert (await Outbound(PRIVATE).post(url, b"{}", {})).status == 200
    with pytest.raises(ConnectFailed, match=r"nobody\.invalid cannot be resolved"):
        await Outbound(PRIVATE).post("http://nobody.invalid/", b"{}", {})


async def test_redirects_are_not_followed() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: 302
        receiver.extra = {"location": receiver.url, "retry-after": "7"}
        done = await Outbound(LOOPBACK).post(receiver.url, b"{}", {})
        assert (done.status, done.retry_after, len(receiver.got)) == (302, 7.0, 1)


async def test_certificates_are_checked(tmp_path: Path) -> None:
    trusted, server = authority.make(tmp_path)
    with receiving(server) as receiver:
        assert (await Outbound(LOOPBACK, ca_bundle=str(trusted)).post(receiver.url, b"{}", {})).status == 200
        with pytest.raises(TlsFailed, match="not trusted"):
            await Outbound(LOOPBACK).post(receiver.url, b"{}", {})
        other = receiver.url.replace("127.0.0.1", "hooks.example.com")
        with pytest.raises(TlsFailed, match="not trusted"):
            await Outbound(LOOPBACK, ca_bundle=str(trusted), resolve=Names(["127.0.0.1"])).post(other, b"{}", {})


async def test_a_receiver_that_says_nothing_or_hangs_up() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: 0
        with pytest.raises(NetError, match="without a response"):
            await Outbound(LOOPBACK).post(receiver.url, b"{}", {})
    with pytest.raises(ConnectFailed, match="cannot connect to http://127"):
        await Outbound(LOOPBACK).post(receiver.url, b"{}", {})


async def test_the_answer_is_bounded_in_time_and_size() -> None:
    sent = 0

    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def endless(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(HEAD % 10**9)
        while True:
            await peer.send(b"x" * 65536)
            sent += 65536

    async def stingy(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD % 100, b"x")
        await peer.gone()

    async with serving(silent, endless, stingy) as server:
        with pytest.raises(NetTimeout, match=r"has not answered within 0\.2 seconds"):
            await Outbound(LOOPBACK, seconds=0.2).post(server.url, b"{}", {})
        outbound = Outbound(LOOPBACK)
        assert (await outbound.post(server.url, b"{}", {})).status == 200
        assert (await outbound.post(server.url, b"{}", {})).status == 200
    assert sent < 16 * 2**20


async def test_a_name_with_a_dead_address_is_reached_by_its_other_one() -> None:
    with receiving() as receiver:
        port = urlsplit(receiver.url).port
        outbound = Outbound(LOOPBACK, resolve=Names(["127.0.0.9", "127.0.0.1"]))
        assert (await outbound.post(f"http://hooks.example.com:{port}/", b"{}", {})).status == 200


async def test_a_header_cannot_bring_another_one_along() -> None:
    with pytest.raises(BadRequestHead):
        await Outbound(LOOPBACK).post("http://127.0.0.1:9/", b"", {"authorization": "Bearer a\r\nX: y"})
