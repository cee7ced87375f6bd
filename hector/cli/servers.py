"""Who takes up what a command has changed: said at its end, by looking at who serves from the database."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hector.cli.layout import plain

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.core.job import Instance
    from hector.store import Store

_NAMED: Final = 3


async def who_goes_on(store: "Store", place: "Place") -> str:
    """Which server goes on with what was changed, or that none is there that could."""
    return said(await store.instances.alive(place.startup.queue.stale_threshold))


async def servers(store: "Store", place: "Place") -> "list[dict[str, str | int]]":
    """The servers that can go on with it, for programs; without one it waits until one is started."""
    alive = await store.instances.alive(place.startup.queue.stale_threshold)
    return [{"host": one.host, "pid": one.pid} for one in alive]


def said(alive: "Sequence[Instance]") -> str:
    """For these servers."""
    if not alive:
        return "no server is running on this database: it goes on as soon as one is started"
    names = [f"{plain(one.host)}, pid {one.pid}" for one in alive]
    if len(names) == 1:
        return f"the server on {names[0]}, goes on with it within a second or two"
    more = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    listed = "; ".join(names[:_NAMED])
    return f"one of {len(names)} servers ({listed}{more}) goes on with it within a second or two"
