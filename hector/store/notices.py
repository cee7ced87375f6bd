"""What units of work tell the rest of a process once they are committed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

Notice: TypeAlias = tuple[str, str]
"""Channel and payload."""
Heard: TypeAlias = Callable[[str], None]


class Board:
    """Passes notices to listeners, on the event loop that it was made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[str, list[Heard]] = {}

    def listen(self, channel: str, heard: Heard) -> Callable[[], None]:
        """Call `heard` with each payload from now on; call the answer to stop."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(heard)
        return lambda: listeners.remove(heard)

    def post(self, notices: Sequence[Notice]) -> None:
        """Hand notices over, from any thread."""
        self._loop.call_soon_threadsafe(self.pass_on, notices)

    def pass_on(self, notices: Sequence[Notice]) -> None:
        """Tell the listeners, from the event loop."""
        for channel, payload in notices:
            for heard in tuple(self._listeners.get(channel, ())):
                heard(payload)
