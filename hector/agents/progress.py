"""What tools say while they run, on its way from any thread to those who watch the run. Nothing of it is stored."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from hector.core.event import BranchPartial, TextDelta
from hector.core.record import dataclass

PAUSE: Final = 0.05
"""Seconds between two pieces of news: a tool that says much is shown in larger pieces."""
MOST: Final = 16_384
"""Characters of one call that wait to be shown; what comes on top is left out."""


@dataclass(slots=True)
class _Said:
    tool: str
    name: str
    pieces: list[str]
    length: int = 0
    left_out: int = 0


class Progress:
    """The news of the calls of one turn. `bell` is done when there is something to `take`."""

    def __init__(self, branch: str) -> None:
        self.bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._branch = branch
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Said] = []
        self._last = 0.0
        self._rings = False

    def teller(self, tool: str, name: str) -> Callable[[str], None]:
        """What a call tells its news to. `name` is what the call is known by outside of its agent."""
        said = _Said(tool, name, [])

        def tell(text: str) -> None:
            if text and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._note, said, text)

        return tell

    def take(self) -> list[BranchPartial]:
        """What is new."""
        if self.bell.done():
            self.bell = self._loop.create_future()
        self._last, self._rings = time.monotonic(), False
        found = [BranchPartial(one.tool, (TextDelta(_text(one)),), self._branch, one.name) for one in self._waiting]
        self._waiting.clear()
        return found

    def _note(self, said: _Said, text: str) -> None:
        if said not in self._waiting:
            said.pieces, said.length, said.left_out = [], 0, 0
            self._waiting.append(said)
        fits = text[: MOST - said.length]
        said.pieces.append(fits)
        said.length += len(fits)
        said.left_out += len(text) - len(fits)
        if not self._rings:
            self._rings = True
            self._loop.call_later(max(0.0, self._last + PAUSE - time.monotonic()), self._ring)

    def _ring(self) -> None:
        if not self.bell.done():
            self.bell.set_result(None)


def _text(said: _Said) -> str:
    left_out = f"\n[{said.left_out} more characters are not shown]\n" if said.left_out else ""
    return "".join(said.pieces) + left_out
