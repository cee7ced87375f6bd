"""Our agents as an MCP server, as the official client and others find it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app

RULES: list[dict[str, Any]] = [
    {"user": "ask", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which colour?"}}]},
    {"user": "approve", "turn": 0, "tool_calls": [{"name": "request_approval", "args": {"action": "launch"}}]},
    {"user": "again", "text": "as before"},
    {"user": "wait", "text": "late", "delay": "30s"},
    {"tool_result_matches": "(?P<all>.+)", "text": r"heard: \g<all>"},
    {"text": "good day"},
]
CONFIG: dict[str, Any] = {
    "llms": {"default": {"provider": "scripted", "rules": RULES}},
    "agents": {
        "helper": {"description": "Helps.", "tools": ["ask_user", "request_approval"]},
        "other": {"description": "Is not offered."},
    },
    "mcp_server": {"agents": ["helper"], "instructions": "Ask the helper."},
}


@asynccontextmanager
async def serving(tmp_path: Path, **changes: Any) -> AsyncIterator[str]:
    config = HectorConfig.model_validate({**CONFIG, **changes})
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    apps = Apps(build(config, Catalog()))
    async with TaskService(apps, store, SystemClock(), config.server) as tasks:
        app = create_app(tasks, apps, store, config.server)
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
            assert not running.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.should_exit = True
            await running
    await apps.aclose()
    await store.aclose()


@asynccontextmanager
async def connected(url: str, **headers: str) -> AsyncIterator[ClientSession]:
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client,
        streamable_http_client(url, http_client=client) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def text(result: Any) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


@pytest.mark.proves("mcp.server")
async def test_the_official_client_talks_to_an_agent(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, connected(url) as session:
        [tool] = (await session.list_tools()).tools
        assert (tool.name, tool.description) == ("helper", "Helps.")
        told: list[str | None] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append(message)

        first = await session.call_tool("helper", {"message": "hello"}, progress_callback=hear)
        assert (text(first), first.isError) == ("good day", False)
        assert told, "progress is told"
        assert first.structuredContent is not None
        assert first.structuredContent["state"] == "completed"
        again = {"message": "again", "conversation": first.structuredContent["conversation"]}
        second = await session.call_tool("helper", again)
        assert second.structuredContent is not None
        assert second.structuredContent["conversation"] == again["conversation"]
        bad = await session.call_tool("helper", {"message": "x", "task": "unknown"})
        assert bad.isError
        assert "was not found" in text(bad)
        assert (await session.call_tool("helper", {"words": 1})).isError
        for name, value in (("conversation", "x" * 257), ("conversation", "a\nb"), ("task", "a\0b")):
            assert f"{name} " in text(await session.call_tool("helper", {"message": "x", name: value}))
        with pytest.raises(McpError, match="there is no tool 'other'"):
            await session.call_tool("other", {"message": "hello"})


@pytest.mark.proves("mcp.server-input")
async def test_questions_and_approvals_say_how_to_go_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, connected(url) as session:
        asked = await session.call_tool("helper", {"message": "ask"})
        assert "Which colour?" in text(asked)
        assert asked.structuredContent is not None
        task = asked.structuredContent["task"]
        assert f"again with task {task} and the answer" in text(asked)
        assert text(await session.call_tool("helper", {"message": "red", "task": task})) == "heard: red"
        waits = await session.call_tool("helper", {"message": "approve"})
        assert waits.structuredContent is not None
        task = waits.structuredContent["task"]
        assert "`hector approve" in text(waits)
        assert "cannot give" in text(await session.call_tool("helper", {"task": task}))
        for word in ("approve", "deny", "please"):
            refused = await session.call_tool("helper", {"task": task, "message": word})
            assert (refused.isError, f"`hector approve {task}`" in text(refused)) == (True, True)
        still = await session.call_tool("helper", {"task": task})
        assert still.structuredContent is not None
        assert still.structuredContent["state"] == "input-required"


@pytest.mark.proves("mcp.server-cancel")
async def test_a_cancelled_call_cancels_the_task(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, connected(url) as session:
        number = session._request_id
        call = asyncio.create_task(
            session.call_tool("helper", {"message": "wait"}, read_timeout_seconds=timedelta(seconds=20))
        )
        async with httpx.AsyncClient(trust_env=False) as other:
            await asyncio.sleep(0.3)
            from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification

            gone = CancelledNotification(params=CancelledNotificationParams(requestId=number))
            await session.send_notification(ClientNotification(gone))
            async with asyncio.timeout(60):
                result = await call
            assert "canceled" in text(result)
            assert result.isError
            assert (await other.get(url)).status_code == 405


@pytest.mark.proves("mcp.server-guarded")
async def test_it_is_guarded_like_the_agents(tmp_path: Path) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
    secret = "a-secret-of-the-tests"
    guarded = serving(tmp_path, server={"auth": {"enabled": True, "secret": secret}})
    async with guarded as url, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(url, json=hello)).status_code == 401
        foreign = {"origin": "http://evil.example", "authorization": f"Bearer {secret}"}
        assert (await client.post(url, json=hello, headers=foreign)).status_code == 403
        right = await client.post(url, json=hello, headers={"authorization": f"Bearer {secret}"})
        assert right.json()["result"]["protocolVersion"] == "2025-06-18"
        unknown = {"authorization": f"Bearer {secret}", "mcp-protocol-version": "1999-01-01"}
        assert "2025-11-25" in (await client.post(url, json=hello, headers=unknown)).json()["error"]["message"]
        for body in (b"{", b"[]", b'{"jsonrpc": "1.0"}', b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}'):
            head = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
            assert (await client.post(url, content=body, headers=head)).status_code == 400
    async with serving(tmp_path, mcp_server=None) as url, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(url, json=hello)).status_code == 404


@pytest.mark.proves("mcp.server-stdio")
async def test_hector_mcp_serves_on_stdio(tmp_path: Path) -> None:
    file = tmp_path / "hector.json"
    await asyncio.to_thread(file.write_text, json.dumps(CONFIG), encoding="utf-8")
    command = ["-m", "hector", "mcp", "--config", str(file), "--database", f"sqlite://{tmp_path / 'db'}"]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        async with asyncio.timeout(60):
            await session.initialize()
            assert [tool.name for tool in (await session.list_tools()).tools] == ["helper"]
            assert text(await session.call_tool("helper", {"message": "hello"})) == "good day"


@pytest.mark.proves("mcp.server-stdio")
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_what_was_asked_before_the_end_of_input_is_answered(tmp_path: Path, kind: str) -> None:
    asked = {"name": "helper", "arguments": {"message": "hello"}}
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}).encode()
    file, script = tmp_path / "hector.json", tmp_path / "asked"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    script.write_bytes(call)
    command = [sys.executable, "-m", "hector", "mcp", "--config", str(file), "--database", f"sqlite://{tmp_path}/db"]
    with script.open("rb") as stream:
        source: dict[str, Any] = {"input": call} if kind == "pipe" else {"stdin": stream}
        done = subprocess.run(command, **source, capture_output=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["content"][0]["text"] == "good day"


@pytest.mark.proves("mcp.server-stdio")
async def test_no_line_and_no_silence_of_a_client_stops_hector_mcp(tmp_path: Path) -> None:
    file = tmp_path / "hector.json"
    config = {**CONFIG, "server": {"max_body_bytes": "64 KiB"}}
    await asyncio.to_thread(file.write_text, json.dumps(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hector", "mcp", "--config", str(file), "--database", f"sqlite://{tmp_path / 'db'}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    def say(line: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(line + b"\n")

    async def heard() -> Any:
        assert process.stdout is not None
        return json.loads(await process.stdout.readline())

    try:
        async with asyncio.timeout(60):
            for line, code in ((b"[" * 20_000, None), (b"x" * 200_000, -32600), (b"nonsense", -32700)):
                say(line)
                answer = await heard()
                assert answer["error"]["code"] == code or code is None
            say(b'{"jsonrpc": "2.0", "id": true, "method": "ping"}')
            assert (await heard())["error"]["code"] == -32600
            for line in (b'"method": 5', b'"method": "ping", "params": [1]', b'"params": {}'):
                say(b'{"jsonrpc": "2.0", "id": 7, %b}' % line)  # whoever asked is told, and does not wait for ever
                answer = await heard()
                assert (answer["id"], answer["error"]["code"]) == (7, -32600)
            say(b'{"jsonrpc": "2.0", "id": 7, "result": {}}')  # nothing was asked: no answer
            for number in range(6000):  # much more than pipes hold: nobody reads meanwhile
                ping = {"jsonrpc": "2.0", "id": number, "method": "x" * 80}
                say(json.dumps(ping).encode())
            found = {(await heard())["id"] for _ in range(6000)}
            assert found == set(range(6000))
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.proves("mcp.server-stdio")
async def test_the_loop_runs_while_a_client_does_not_read() -> None:
    from hector.cli.mcp_stdio import Speaker

    inner, outer = os.pipe()
    speaker = Speaker(outer)
    telling = asyncio.create_task(speaker.tell({"text": "x" * 1_000_000}))
    await asyncio.sleep(0.05)
    assert not telling.done(), "the pipe is full, and the loop runs"
    with os.fdopen(inner, "rb") as reading:
        line = await asyncio.to_thread(reading.readline)
        await telling
    os.close(outer)
    assert len(line) > 1_000_000


@pytest.mark.proves("mcp.server-cancel")
async def test_who_has_no_session_cancels_nobodys_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hector.web.mcp.PING_SECONDS", 0.2)
    head = {"accept": "application/json, text/event-stream"}
    asked = {"name": "helper", "arguments": {"message": "wait"}, "_meta": {"progressToken": 1}}
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": asked}
    gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    async with serving(tmp_path) as url, httpx.AsyncClient(headers=head, trust_env=False) as client:
        wrong = await client.post(url, json={**call, "id": True})
        assert '"code":-32600' in wrong.text
        async with asyncio.timeout(60), client.stream("POST", url, json=call) as answer:
            begun = answer.aiter_lines()
            await anext(begun)
            assert (await client.post(url, json=gone)).status_code == 202
            assert {line async for line in islice(begun, 6)} <= {": ping", ""}, "the call goes on"


async def islice(lines: AsyncIterator[str], most: int) -> AsyncIterator[str]:
    """The first ones."""
    for _ in range(most):
        yield await anext(lines)


@pytest.mark.proves("mcp.server-guarded")
async def test_a_stream_ends_when_its_credential_is_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hector.web.mcp.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("hector.web.mcp.PING_SECONDS", 0.2)
    secret = {"authorization": "Bearer a-secret-of-the-tests"}
    call = {"name": "helper", "arguments": {"message": "wait"}, "_meta": {"progressToken": 1}}
    async with (
        serving(tmp_path, server={"auth": {"secret": "a-secret-of-the-tests"}}) as url,
        httpx.AsyncClient(base_url=url.removesuffix("/mcp"), trust_env=False, timeout=60) as client,
    ):
        made = (await client.post("/admin/keys", json={"name": "k", "role": "user"}, headers=secret)).json()
        head = {"authorization": f"Bearer {made['key']}", "accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        async with asyncio.timeout(60), client.stream("POST", "/mcp", json=body, headers=head) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ": ping"
            assert (await client.delete(f"/admin/keys/{made['id']}", headers=secret)).status_code < 300
            assert "was revoked" in "".join([line async for line in lines])
