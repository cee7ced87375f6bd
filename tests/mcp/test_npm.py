"""Against servers that others have written: the reference servers from npm, run by node."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hector.core.content import Media, Text
from tests.mcp.conftest import eventually, opened

VERSION = "2026.8.31"
PACKAGES = ("@modelcontextprotocol/server-filesystem", "@modelcontextprotocol/server-everything")
pytestmark = [pytest.mark.slow, pytest.mark.proves("mcp.npm-servers")]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of their programs: from the packages that are named, else installed from npm."""
    folder = Path(os.environ.get("TEST_NODE_PACKAGES", "nowhere"))
    if not (folder / "node_modules" / "@modelcontextprotocol").is_dir():
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            pytest.skip("node and npm are not installed")
        folder = tmp_path_factory.mktemp("node")
        (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
        flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--prefix", str(folder)]
        wanted = [f"{name}@{VERSION}" for name in PACKAGES]
        done = subprocess.run(
            [npm, "install", *flags, *wanted], capture_output=True, text=True, timeout=240, check=False
        )
        if done.returncode:
            pytest.skip(f"the servers cannot be installed: {done.stderr[-300:]}")
    return folder / "node_modules" / ".bin"


async def test_server_filesystem(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    settings = {"command": str(programs / "mcp-server-filesystem"), "args": (str(tmp_path),)}
    async with opened(**settings, filter=("read_text_file", "write_file")) as files:
        assert set((await files.offer()).tools) == {"read_text_file", "write_file"}
        assert (await files.call("read_text_file", path=str(tmp_path / "a.txt"))).content == (Text("first"),)
        await files.call("write_file", path=str(tmp_path / "b.txt"), content="second")
        assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "second"
        outside = await files.call("read_text_file", path="/etc/passwd")
        assert outside.is_error


@asynccontextmanager
async def everything(programs: Path, kind: str) -> AsyncIterator[str]:
    """The URL of a running server-everything."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(programs / "mcp-server-everything")
    process = await asyncio.create_subprocess_exec(
        "node",
        program,
        kind,
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    try:
        await eventually(listens)
        yield f"http://127.0.0.1:{port}/{'sse' if kind == 'sse' else 'mcp'}"
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", ["stdio", "sse", "streamableHttp"])
async def test_server_everything(programs: Path, kind: str) -> None:
    if kind == "stdio":
        await _everything({"command": str(programs / "mcp-server-everything"), "args": ("stdio",)})
        return
    async with everything(programs, kind) as url:
        await _everything({"url": url})


async def _everything(settings: dict[str, object]) -> None:
    async with opened(name="ev", resources=True, prompts=True, **settings) as server:
        assert (await server.call("echo", message="hi")).content == (Text("Echo: hi"),)
        assert any(isinstance(part, Media) for part in (await server.call("get-tiny-image")).content)
        assert "temperature" in str((await server.call("get-structured-content", location="New York")).content)
        linked = (await server.call("get-resource-reference", resourceId=1)).content
        assert any(isinstance(part, Text) and part.name == "demo://resource/dynamic/text/1" for part in linked)
        await server.call("trigger-long-running-operation", duration=1, steps=3)
        assert server.told == ["1/3\n", "2/3\n", "3/3\n"]
        assert "demo://resource" in str((await server.call("ev_list_resources")).content)
        assert (await server.call("ev_get_prompt", name="simple-prompt")).content[0] == Text("user:")
