"""Accepting what MCP servers have changed: over the Admin API, and with the command."""

from pathlib import Path

import httpx
import pytest

from hector.__main__ import main
from hector.core.errors import Conflict
from hector.store import open_store
from hector.store.mcp_pins import digest_of
from tests.mcp.test_serving import serving

SECRET = "a-secret-of-the-tests"
HEAD = {"authorization": f"Bearer {SECRET}"}


async def change(tmp_path: Path, *tools: str) -> None:
    """Have a server describe tools otherwise than before."""
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    for digest in ("old", "new"):
        texts = dict.fromkeys(tools, f"description:\n  {digest} words")
        await store.mcp_pins.compare("default", "files", dict.fromkeys(tools, digest), texts)
    await store.aclose()


@pytest.mark.proves("mcp.pins")
async def test_over_the_admin_api(tmp_path: Path) -> None:
    await change(tmp_path, "read", "write")
    async with serving(tmp_path, server={"auth": {"secret": SECRET}}) as url:
        root = url.removesuffix("/mcp")
        async with httpx.AsyncClient(base_url=root, headers=HEAD, trust_env=False) as client:
            found = (await client.get("/admin/mcp/changed")).json()["changed"]
            assert [(one["app_id"], one["server"], one["tool"]) for one in found] == [
                ("default", "files", "read"),
                ("default", "files", "write"),
            ]
            assert (found[0]["before"], found[0]["now"]) == ("description:\n  old words", "description:\n  new words")
            late = {"server": "files", "tool": "read", "digest": "old"}
            assert (await client.post("/admin/mcp/accept", json=late)).status_code == 409
            seen = {"server": "files", "tool": "read", "digest": found[0]["digest"]}
            done = await client.post("/admin/mcp/accept", json=seen)
            assert done.json() == {"accepted": 1}
            assert len((await client.get("/admin/mcp/changed")).json()["changed"]) == 1
            audit = (await client.get("/admin/audit")).text
            assert "mcp.accept" in audit
        async with httpx.AsyncClient(base_url=root, trust_env=False) as client:
            assert (await client.get("/admin/mcp/changed")).status_code == 401


@pytest.mark.proves("mcp.pins")
def test_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    asyncio.run(change(tmp_path, "read"))
    place = ["--database", f"sqlite://{tmp_path / 'hector.db'}"]
    assert main(["mcp", "changed", *place]) == 0
    out = capsys.readouterr().out
    assert "-  old words" in out
    assert "+  new words" in out
    assert "hector mcp accept files read --digest new" in out
    assert main(["mcp", "accept", "files", *place]) == 2, "nobody accepts what he has not seen"
    assert "hector mcp changed" in capsys.readouterr().err
    assert main(["mcp", "accept", "files", "--digest", "other", *place]) != 0
    assert "is not what this digest stands for" in capsys.readouterr().err
    assert main(["mcp", "accept", "files", "--json", "--digest", "new", *place]) == 0
    assert '"accepted": 1' in capsys.readouterr().out
    assert main(["mcp", "accept", "files", "--digest", "new", *place]) == 1
    assert main(["mcp", "changed", *place]) == 0
    assert "no MCP server has changed" in capsys.readouterr().out


@pytest.mark.proves("mcp.pins")
async def test_only_what_was_shown_is_accepted(tmp_path: Path) -> None:
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    try:
        pins = store.mcp_pins
        for digest in ("old", "new"):
            await pins.compare("default", "files", dict.fromkeys(("read", "write"), digest), {"read": digest})
        shown = await pins.changed("default", "files")
        assert [(one.tool, one.before, one.now) for one in shown] == [("read", "old", "new"), ("write", "", "")]
        await pins.compare("default", "files", {"read": "newer", "write": "new"}, {"read": "newer"})
        for tool, digest in ((None, digest_of(shown)), ("read", shown[0].digest)):
            with pytest.raises(Conflict):
                await pins.accept("default", "files", tool, digest)
        assert await pins.accept("default", "files", "write", shown[1].digest) == 1
        (left,) = await pins.changed("default", "files")
        assert await pins.accept("default", "files", None, digest_of([left])) == 1
        assert await pins.compare("default", "files", {"read": "newer"}) == frozenset()
    finally:
        await store.aclose()
