"""The app of a job that was claimed: lent, or the reason why the job has to wait, which costs it no attempt."""

import logging
from typing import Final

from hector.apps.registry import Apps, Lease
from hector.core.clock import Clock
from hector.core.errors import AppSuspended, AppUnavailable, NotFound
from hector.core.job import Job
from hector.store import Store
from hector.tasks.conduct import give_up
from hector.tasks.insist import insist

log = logging.getLogger("hector.tasks")

HOLD_SECONDS: Final = 5.0
"""How long the jobs of an app rest that cannot work now, before somebody looks again."""


async def lent(apps: Apps, store: Store, clock: Clock, job: Job) -> Lease | None:
    """The job's app. None: the job was handed back, with all others of its app, or given up with an app that is gone.

    Raises LeaseLost.
    """
    app_id = job.caller.app
    if app_id in apps:
        return apps.lease(app_id)
    try:
        return await insist(clock, lambda: apps.acquire(app_id), "loading an app")
    except NotFound:
        await give_up(store, job.claim, f"the app {app_id!r}, to which it belongs, is no longer there")
    except (AppSuspended, AppUnavailable) as error:
        log.info("jobs of an app wait", extra={"app": app_id, "reason": str(error)})
        run_at = clock.now() + HOLD_SECONDS
        await insist(clock, lambda: store.jobs.hold(job.claim, run_at), "handing jobs back")
    return None
