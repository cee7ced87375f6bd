"""Searches take turns, step aside, and end when nobody waits for them."""

import asyncio
import threading
import time

import pytest

from hector.core.errors import ToolError
from hector.tools.files import searching
from hector.tools.files.linear import Pattern
from hector.tools.files.searching import SEARCHING, turn
from hector.tools.threads import in_thread


@pytest.mark.proves("security.files")
async def test_a_search_that_nobody_waits_for_ends_and_leaves_the_turn() -> None:
    begun = threading.Event()

    def work() -> None:
        with turn():
            begun.set()
            walk = searching.Walk.of(None)  # type: ignore[arg-type]  # looks at no file
            while True:
                Pattern("(a|b)+c").found_in("ab" * 50_000, walk.rest)

    searches = [asyncio.create_task(in_thread("grep", work, {})) for _ in range(4)]
    await asyncio.to_thread(begun.wait, 60)
    late = 0.0
    for _ in range(50):
        at = time.monotonic()
        await asyncio.sleep(0.005)
        late = max(late, time.monotonic() - at)
    for one in searches:
        one.cancel()
    await asyncio.wait(searches)
    assert await asyncio.to_thread(SEARCHING.acquire, timeout=60)
    SEARCHING.release()
    assert late < 2


def test_whoever_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "PATIENCE", 0.1)
    with turn(), pytest.raises(ToolError, match="other searches were at work"), turn():
        pass
