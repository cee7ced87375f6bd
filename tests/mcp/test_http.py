"""Servers behind HTTP, in both transports: killed, started again, guarded, or out of bounds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from hector.config.egress import Egress
from hector.core.content import Media, Text
from hector.core.errors import ToolError
from hector.mcp.settings import OAuth
from hector.net.gate import governed
from tests.mcp.conftest import Remote, Used, eventually, opened
from tests.together.conftest import Open as Company
from tests.together.conftest import calls, results

Make = Callable[..., Remote]


@pytest.mark.proves("mcp.sse", "mcp.streamable-http", "mcp.restart")
@pytest.mark.parametrize("kind", [pytest.param("sse", marks=pytest.mark.slow), "streamable-http"])
async def test_a_server_that_is_killed_and_started_again_is_used_again(remote: Make, kind: str) -> None:
    far = remote(kind)
    async with opened(url=far.url, name="far") as used:
        assert (await used.call("picture")).content == (Text("look"), Media("image/png", "iVBORw0KGgo="))
        offer = await used.offer()
        call = asyncio.create_task(used.fails("slow", seconds=30, note="n"))
        await eventually(lambda: bool(used.told))
        far.kill()
        assert "closed the connection" in await call
        assert "cannot be used now" in await used.fails("say", text="on")
        assert await used.offer() is offer, "what it offered is still offered"
        far.start()
        async with asyncio.timeout(60):
            await _said(used)


async def _said(used: Used) -> None:
    """Until it answers again: the pause between attempts grows."""
    while True:
        try:
            assert (await used.call("say", text="on")).content == (Text("said on"),)
        except ToolError:
            await asyncio.sleep(0.05)
        else:
            return


@pytest.mark.proves("mcp.away")
@pytest.mark.parametrize("kind", ["sse", "streamable-http"])
async def test_a_server_that_says_nothing_is_given_up_and_tried_again(kind: str) -> None:
    asked = left = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, left
        asked += 1
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
            writer.close()
            await writer.wait_closed()
        left += 1

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    async with server:
        async with opened(url=url, transport=kind, connect_timeout=0.3) as used:
            await used.toolset.load()
            await eventually(lambda: asked > 1)
        await eventually(lambda: asked == left)


@pytest.mark.slow
@pytest.mark.proves("mcp.restart")
async def test_a_session_that_the_server_has_forgotten_is_begun_anew_unseen(remote: Make) -> None:
    far = remote("streamable-http")
    async with opened(url=far.url, transport="sse") as used:  # the newer transport under the older one's name
        assert (await used.call("add", a=1, b=1)).content == (Text("2"),)
        far.kill()
        far.start()
        async with asyncio.timeout(60):
            await _said(used)


@pytest.mark.proves("mcp.oauth", "mcp.headers")
async def test_credentials_in_headers_and_by_oauth(remote: Make, caplog: pytest.LogCaptureFixture) -> None:
    far = remote("streamable-http", "top-secret-")
    token = f"http://127.0.0.1:{far.port}/token"
    async with opened(url=far.url) as used:
        assert (await used.offer()).tools == {}
        assert "HTTP 401" in caplog.text
        assert "set `headers` or `oauth`" in caplog.text
    async with opened(url=far.url, oauth=OAuth("robot", "wrong", token)) as used:
        assert (await used.offer()).tools == {}
        assert "gave no access token: invalid_client" in caplog.text
    async with opened(url=far.url, oauth=OAuth("robot", "s3cret", token)) as used:
        assert (await used.call("add", a=1, b=1)).content == (Text("2"),)
        headers = {"authorization": "Bearer top-secret-1"}
        async with opened(url=far.url, headers=headers) as other:
            assert (await other.call("add", a=1, b=1)).content == (Text("2"),)
    assert "top-secret" not in caplog.text


@pytest.mark.proves("mcp.oauth")
async def test_an_entry_names_where_tokens_are_given(remote: Make, company: Company) -> None:
    far = remote("streamable-http", "top-secret-")
    oauth = {"client_id": "robot", "client_secret": "s3cret", "token_url": f"http://127.0.0.1:{far.port}/token"}
    tools = {"far": {"type": "mcp", "url": far.url, "oauth": oauth, "require_approval": False}}
    models = {"chief": [calls(("add", {"a": 1, "b": 1}), turn=0), results()]}
    async with company(models, {"chief": {"tools": ["far"]}}, tools) as here:
        assert "2" in str((await here.say("go")).artifacts)


@pytest.mark.proves("mcp.egress")
async def test_the_egress_policy_holds_for_servers(caplog: pytest.LogCaptureFixture) -> None:
    with governed(Egress(mode="listed", allow=("example.com",))):
        async with opened(url="http://127.0.0.1:9/mcp") as used:
            assert (await used.offer()).tools == {}
            assert "server.egress" in caplog.text
