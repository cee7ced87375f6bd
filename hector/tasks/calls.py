"""Ending one call of a task, in whichever process it runs, while the run itself goes on."""

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hector.store import Store
    from hector.store.database import Connection
    from hector.tools.calls import Key

CHANNEL: Final = "hector_call"
"""The channel on which a call is named that is to end, as JSON: app, task, call."""


def end_here(key: "Key") -> bool:
    """Ask a call to end; False when it does not run in this process, or cannot be ended."""
    from hector.tools.calls import CALLS  # noqa: PLC0415 - loaded on first use

    return CALLS.end(key)


async def end_elsewhere(store: "Store", key: "Key") -> None:
    """Tell all other processes. Raises StoreError."""

    async def tell(con: "Connection") -> None:
        await con.notify(CHANNEL, json.dumps(key))

    await store.database.write(tell)


def heard(payload: str) -> None:
    """Somebody has named a call that is to end; if it runs here, it does."""
    app, task, call = json.loads(payload)
    end_here((app, task, call))
