"""A task that waited for its user is canceled: the tasks of other servers that it waited with are ended, too."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from hector.agents.course import open_tasks
from hector.agents.history import in_turns, this_run
from hector.agents.remote import CANCEL_SECONDS, Remote
from hector.apps.app import App
from hector.core.errors import HectorError
from hector.core.event import Event
from hector.core.task import Task


async def cancel_elsewhere(app: App, events: Sequence[Event], task: Task) -> None:
    """What cannot be reached is left alone. `events` are those of the session, `task` is as it was when it waited."""
    asked = task.status.message.id if task.status.message else ""
    at = next((at for at, event in enumerate(events) if event.id == asked), None)
    if at is None:
        return
    run = this_run(in_turns(events[: at + 1]), events[at].invocation_id)
    remotes = {name: agent for name, agent in app.agents.items() if isinstance(agent, Remote)}
    with suppress(HectorError, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS):
            for agent, far in open_tasks(run, remotes.keys()).items():
                client = remotes[agent].client
                if client is not None:
                    await client.cancel(far)
