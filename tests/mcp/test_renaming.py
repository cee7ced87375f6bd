"""What is kept of a server that renames its tools has a bound."""

from pathlib import Path

import pytest

from hector.mcp.offering import Catalogue, Offered
from hector.mcp.settings import ServerSettings
from hector.mcp.toolset import MOST_NAMES, McpToolset
from hector.store import open_store
from hector.store.mcp_pins import MOST


@pytest.mark.proves("mcp.pins")
async def test_pins_of_tools_that_are_offered_no_more_go(tmp_path: Path) -> None:
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    try:
        pins = store.mcp_pins
        for digest in ("old", "new"):
            await pins.compare("default", "s", {"pending": digest, "there": "same"})
        for at in range(3):
            await pins.compare("default", "s", {"there": "same", **{f"t{at}_{n}": "d" for n in range(600)}})
        rows = await store.mcp_pins._database.read(pins._known("default", "s"))
        assert len(rows) == MOST
        assert {"there", "pending", "t2_0", "t2_599"} <= rows.keys()
        assert await pins.compare("default", "s", {"there": "other"}) == {"there"}
        assert await pins.compare("default", "s", {"t0_0": "evil"}) == {"t0_0"}, "forgotten, so that nobody knows it"
        assert await pins.compare("default", "s", {"t2_0": "d"}) == {"t2_0"}, "came when more had been than are kept"
    finally:
        await store.aclose()


@pytest.mark.proves("mcp.pins")
def test_names_of_tools_that_are_offered_no_more_go() -> None:
    toolset = McpToolset(ServerSettings("s", command="none"), "default")
    for at in range(3):
        tools = tuple(Offered(f"t{at}_{n}", "", {}, "d") for n in range(600))
        offer = toolset._made(Catalogue(tools, False, False), frozenset())
        assert len(offer.tools) == 600
    assert len(toolset._names) == MOST_NAMES
