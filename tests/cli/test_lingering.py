"""A client that does not take its answer keeps its connection for a while only."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from hector.cli import http
from hector.config.transport import Heads

MUCH = b"x" * 20_000_000
"""More than the kernel buffers for a connection."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with much, and at `/cut` without an end."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": MUCH, "more_body": scope["path"] == "/cut"})


@pytest.mark.proves("ops.request-heads")
@pytest.mark.parametrize("path", ["/whole", "/cut"])
@pytest.mark.parametrize("reads", [True, False])
async def test_whoever_does_not_read_loses_the_connection(
    monkeypatch: pytest.MonkeyPatch, path: str, *, reads: bool
) -> None:
    monkeypatch.setattr(http, "LINGER_SECONDS", 3600.0 if reads else 0.2)
    settings = uvicorn.Config(app, http=http.bounded(Heads()), lifespan="off", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(60):
            await reader.readexactly(12)
            if reads:
                assert len(await reader.read()) > len(MUCH)
            while server.server_state.connections:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
            writer.close()
            server.should_exit = True
            await serving
