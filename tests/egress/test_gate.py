"""The policy in force, on real sockets: what it forbids is not connected to, whichever client asks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hector.config.egress import Egress
from hector.core.errors import StartupError
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.client import open_client
from hector.net.egress import EgressRefused, Policy
from hector.net.gate import current, governed
from hector.net.ledger import MOST, MOST_REFUSED, OTHERS, Ledger
from hector.net.outbound import Outbound
from hector.net.transport import Refused
from hector.store import open_store
from tests.httpserver import HttpServer, Request

LOOPBACK = Policy(("127.0.0.0/8", "names.example", "evil.example"))


class Names:
    """A resolver whose answers change: the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def target(answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") -> AsyncIterator[HttpServer]:
    async def reply(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        return True

    async with HttpServer(reply) as server:
        yield server


async def by_caller(url: str) -> None:
    caller = open_caller(CallerOptions(url, purpose="model"))
    try:
        async with await caller.send("GET", "/") as answer:
            await answer.read()
    finally:
        await caller.aclose()


async def by_client(url: str) -> None:
    async with open_client(purpose="model") as client:
        await client.get(url)


async def by_outbound(url: str) -> None:
    await Outbound(LOOPBACK, purpose="model").post(url, b"{}", {})


CLIENTS = pytest.mark.parametrize("call", [by_caller, by_client, by_outbound])


@pytest.mark.proves("egress.enforced")
@CLIENTS
@pytest.mark.parametrize(
    "settings",
    [
        Egress(mode="listed"),
        Egress(mode="listed", allow=("127.0.0.1:1",)),
        Egress(deny=("127.0.0.0/8",)),
        Egress.model_validate({"purposes": {"model": {"mode": "listed"}}}),
    ],
    ids=["nothing listed", "another port", "denied", "by purpose"],
)
async def test_no_client_goes_round(call: Any, settings: Egress) -> None:
    async with target() as server:
        refused = pytest.raises((EgressRefused, Refused), match="egress policy of this server forbids")
        with governed(settings) as gate, refused:
            await call(f"http://127.0.0.1:{server.port}/")
        assert server.connections == 0
        (row,) = gate.ledger
        assert (row.refused, row.attempts, row.calls) == (1, 0, 0)
        assert "127.0.0.1" in row.refusal


@pytest.mark.proves("egress.enforced")
@CLIENTS
@pytest.mark.parametrize("settings", [None, Egress(mode="none"), Egress(mode="listed", allow=("127.0.0.0/8",))])
async def test_what_is_allowed_is_counted(call: Any, settings: Egress | None) -> None:
    async with target() as server:
        with governed(settings) as gate:
            await call(f"http://127.0.0.1:{server.port}/")
            await call(f"http://127.0.0.1:{server.port}/")
        (row,) = gate.ledger
        assert (row.purpose, row.host, row.port) == ("model", "127.0.0.1", server.port)
        assert (row.attempts, row.calls, row.failed, row.refused) == (2, 2, 0, 0)
        assert row.sent > 0
        assert server.connections == 2


@pytest.mark.proves("egress.enforced")
async def test_mode_none_asks_no_resolver() -> None:
    names = Names(["127.0.0.1"])
    with governed(Egress(mode="none")):
        async with open_client(purpose="tool", resolve=names) as client:
            with pytest.raises(Refused, match="mode none"):
                await client.get("http://names.example/")
    assert names.asked == []


@pytest.mark.proves("egress.enforced")
async def test_a_name_that_leads_elsewhere_at_the_second_look_is_refused_or_not_looked_up_again() -> None:
    async with target() as server:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        settings = Egress(mode="listed", allow=("127.0.0.1/32",))
        with governed(settings):
            async with open_client(purpose="tool", resolve=names) as client:
                url = f"http://names.example:{server.port}/"
                assert (await client.get(url, headers={"connection": "close"})).text == "ok"
                assert names.asked == ["names.example"]  # what was judged is what was connected to
            async with open_client(purpose="tool", resolve=names) as client:
                with pytest.raises(Refused, match=r"127\.0\.0\.2"):
                    await client.get(url)
        assert server.connections == 1


@pytest.mark.proves("egress.enforced", "security.ssrf")
async def test_each_redirect_is_judged() -> None:
    async with target() as inside:
        location = f"location: http://127.0.0.2:{inside.port}/\r\n"
        head = f"HTTP/1.1 302 Found\r\n{location}content-length: 0\r\n\r\n".encode()
        async with target(head) as outside:
            with governed(Egress(mode="listed", allow=("127.0.0.1",))):
                async with open_client(purpose="tool") as client:
                    with pytest.raises(Refused, match=r"127\.0\.0\.2"):
                        await client.get(f"http://127.0.0.1:{outside.port}/", follow_redirects=True)
            async with open_client(purpose="tool", outside=Policy(("127.0.0.1",))) as client:
                with pytest.raises(Refused, match="this machine"):
                    await client.get(f"http://127.0.0.1:{outside.port}/", follow_redirects=True)
        assert inside.connections == 0


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://2130706433/", "http://[::1]/", "http://localhost/",
                                 "http://169.254.169.254/latest", "http://rebound.example/"])  # fmt: skip
async def test_addresses_that_models_choose_stay_outside(url: str) -> None:
    async with open_client(purpose="tool", outside=Policy(), resolve=Names(["10.0.0.1"])) as client:
        with pytest.raises(Refused):
            await client.get(url)


@pytest.mark.proves("egress.enforced")
async def test_behind_a_proxy_both_are_judged() -> None:
    async with target() as proxy:
        through = f"http://127.0.0.1:{proxy.port}"
        with governed(Egress(mode="listed", allow=("127.0.0.1", "good.example"))) as gate:
            async with open_client(purpose="tool", proxy=through) as client:
                assert (await client.get("http://good.example/")).text == "ok"
                with pytest.raises(Refused, match=r"evil\.example:80"):
                    await client.get("http://evil.example/")
            caller = open_caller(CallerOptions("http://evil.example", proxy=through, purpose="model"))
            with pytest.raises(EgressRefused, match=r"evil\.example:80"):
                await caller.send("GET", "/")
            await caller.aclose()
        assert {(row.host, row.calls, row.refused) for row in gate.ledger} == {
            ("127.0.0.1", 1, 0), ("good.example", 1, 0), ("evil.example", 0, 1),
        }  # fmt: skip
        with governed(Egress(mode="listed", allow=("good.example",))):
            async with open_client(purpose="tool", proxy=through) as client:
                with pytest.raises(Refused, match=r"127\.0\.0\.1"):
                    await client.get("http://good.example/")
        assert proxy.connections == 1


@pytest.mark.proves("egress.enforced")
async def test_a_database_elsewhere_is_refused_at_the_start() -> None:
    with governed(Egress(mode="none")), pytest.raises(StartupError, match=r"db\.example:5432 \(purpose database\)"):
        await open_store("postgres://user:password@db.example/hector")


@pytest.mark.proves("egress.policy")
async def test_one_process_has_one_policy() -> None:
    with governed(Egress(mode="none")) as first:
        with governed(Egress(mode="none")) as second:
            assert first is second is current()
        with pytest.raises(StartupError, match="another egress policy"), governed(None):
            pass
        assert current() is first
    assert current().settings is None


def test_own_processes_and_people_at_the_terminal_are_not_governed() -> None:
    with governed(Egress(mode="listed")) as gate:
        assert not gate.admit("child", "127.0.0.1", 1)
        assert not gate.admit("console", "hector.example.com", 443)


@pytest.mark.proves("egress.recorded")
def test_the_ledger_is_bounded() -> None:
    ledger = Ledger()
    for at in range(MOST_REFUSED + 50):
        ledger.row("push", f"h{at}.example", 80, refused=True).refuse("no")
    assert len(list(ledger)) == MOST_REFUSED + 1
    assert ledger.row("push", OTHERS, 0).refused == 50
    for at in range(MOST):
        ledger.row("model", f"m{at}.example", 80).attempt()
    assert len(list(ledger)) <= MOST + 2
    assert sum(row.attempts for row in ledger) == MOST


async def test_httpx_takes_a_refusal_for_a_failed_connection() -> None:
    with governed(Egress(mode="none")):
        async with open_client(purpose="mcp") as client:
            with pytest.raises(httpx.ConnectError, match=r"server\.egress\.mode"):
                await client.get("http://192.0.2.1/")


@pytest.mark.proves("egress.enforced")
async def test_a_listed_database_is_opened_and_counted(postgres_dsn: str) -> None:
    with governed(Egress(mode="listed", allow=("127.0.0.1",))) as gate:
        store = await open_store(postgres_dsn)
        await store.ping()
        await store.aclose()
    assert {(row.purpose, row.host, row.refused) for row in gate.ledger} == {("database", "127.0.0.1", 0)}


@pytest.mark.proves("security.ssrf")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost:9/", "http://0x7f.1/", "http://[::1]:9/"])
async def test_a_lean_caller_to_addresses_of_others(url: str) -> None:
    with pytest.raises(EgressRefused):
        open_caller(CallerOptions(url, purpose="agent", outside=Policy()))
