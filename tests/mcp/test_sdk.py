"""What of the official package is loaded, and when."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import hector.mcp.making
assert not [name for name in sys.modules if name == "mcp" or name.startswith("mcp.")], "loaded too early"
from hector.mcp import sdk
sdk.load()
heavy = ("mcp.server", "starlette", "uvicorn", "pydantic_settings", "httpx_sse")
assert not [name for name in heavy if name in sys.modules], [name for name in heavy if name in sys.modules]
from mcp import ClientSession, stdio_client
import mcp
assert mcp.types and mcp.server
"""


@pytest.mark.proves("mcp.lazy")
def test_the_server_side_of_the_package_stays_where_it_is() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
