"""Looks names up with the system's resolver, which can neither be awaited nor interrupted."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

RESOLVERS: Final = 32
"""Names that are looked up at the same time."""


def ask_system(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, whenever the system has found them. Raises OSError."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError as error:
        raise OSError(str(error)) from None


class Resolver:
    """A thread for each name that is being looked up, however many want to know it, and at most `most` of them.

    A place is taken until its thread has ended, also when nobody waits for it any more: names that hang can neither
    pile up threads nor take more than one place each. The threads die with the process; those of the event loop are
    shared and joined at the end.
    """

    def __init__(self, ask: Callable[[str, int], Sequence[str]] = ask_system, most: int = RESOLVERS) -> None:
        self._ask = ask
        self._places = asyncio.Semaphore(most)
        self._asking: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name. Raises OSError."""
        name = (host, port)
        while (found := self._asking.get(name)) is None:
            await self._places.acquire()
            if name in self._asking:  # somebody else was quicker
                self._places.release()
            else:
                self._begin(name)
        return await asyncio.shield(found)

    def _begin(self, name: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        future = self._asking[name] = loop.create_future()
        future.add_done_callback(lambda done: done.exception())  # perhaps nobody waits for it any more

        def settle(found: Sequence[str] | OSError) -> None:
            del self._asking[name]
            self._places.release()
            if isinstance(found, OSError):
                future.set_exception(found)
            else:
                future.set_result(found)

        def work() -> None:
            found: Sequence[str] | OSError
            try:
                found = self._ask(*name)
            except OSError as error:
                found = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=work, name=f"resolve-{name[0]}", daemon=True).start()
