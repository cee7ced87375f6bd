"""Calls that run now and can be ended one by one, without the run that they belong to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""App, task, and what the call is known by outside of its agent."""


class Calls:
    """What this process has running, by app, task and call. One call may run twice where agents share their ids."""

    def __init__(self) -> None:
        self._running: dict[Key, list[Callable[[], None]]] = {}

    @contextmanager
    def open(self, key: Key, end: Callable[[], None]) -> Iterator[None]:
        """As long as this is open, `end` is what ends the call."""
        self._running.setdefault(key, []).append(end)
        try:
            yield
        finally:
            self._running[key].remove(end)
            if not self._running[key]:
                del self._running[key]

    def end(self, key: Key) -> bool:
        """Ask a call to end; False when it does not run here."""
        found = list(self._running.get(key, ()))
        for end in found:
            end()
        return bool(found)


CALLS: Final = Calls()
"""Of this process: tools do not know whom they work for, and whoever ends a call does not know the tool."""
