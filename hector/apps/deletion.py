"""The end of a deletion: everything that belonged to an app goes, and then the app itself."""

from typing import Final

from hector.apps.registry import Apps
from hector.core.audit import FAILED, Entry
from hector.store import Store

_DRAIN_SECONDS: Final = 5.0
_FIRST_SECONDS: Final = 5.0
"""How long vector servers have while whoever deletes an app waits."""
_SWEPT_SECONDS: Final = 30.0
"""How long they have later on, at each try."""


async def finish_deletion(
    store: Store, apps: Apps, app_id: str, *, swept: bool = False, everywhere: bool = False
) -> None:
    """Remove what is left of an app that is being deleted; the app itself once nobody can write for it any more.

    `swept`: all servers have had the time to hear of it; `everywhere`: and to remove what is on their machines, or to
    hold the app because they could not. Safe to be done again, and by several at once.
    """
    await store.purge.app(app_id)
    if not await apps.drained(app_id, _DRAIN_SECONDS):
        return
    alone = len(await store.instances.all()) <= 1
    seconds = _SWEPT_SECONDS if swept else _FIRST_SECONDS if alone else 0.0
    done, stays = await apps.forget(app_id, seconds)
    if stays:
        entry = Entry("app.vectors", f"app:{app_id}", FAILED, app=app_id, detail={"left": list(stays)})
        await store.audit.note(entry)
    if not done:
        await store.apps.hold(app_id)  # its configurations say how the rest is reached
    elif everywhere or alone:
        await store.purge.app(app_id)  # what was on its way when the first round ended
        await store.apps.remove(app_id)
