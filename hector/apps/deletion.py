"""The end of a deletion: everything that belonged to an app goes, and then the app itself."""

from typing import Final

from hector.apps.registry import Apps
from hector.store import Store

_DRAIN_SECONDS: Final = 5.0


async def finish_deletion(store: Store, apps: Apps, app_id: str, *, everywhere: bool = False) -> None:
    """Remove what is left of an app that is being deleted; the app itself once nobody can write for it any more.

    `everywhere`: all servers have had the time to hear of it. Safe to be done again, and by several at once.
    """
    await store.purge.app(app_id)
    if not await apps.drained(app_id, _DRAIN_SECONDS):
        return
    if everywhere or len(await store.instances.all()) <= 1:
        await store.purge.app(app_id)  # what was on its way when the first round ended
        await store.apps.remove(app_id)
