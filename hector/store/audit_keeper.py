"""Looks after the audit log for as long as a process serves."""

import logging
from typing import Final

from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.store.audit import AuditLog
from hector.store.audit_chain import Chain
from hector.store.database import Database

log = logging.getLogger("hector.store")
PAUSE: Final = 5.0
"""Seconds between two looks for entries."""
ANCHOR_SECONDS: Final = 3600.0
"""How often the head of the chain is written to the log, while it changes."""


class ChainKeeper:
    """Chains entries for as long as the process serves, carries the retention out, and writes anchors to the log."""

    def __init__(self, audit: AuditLog, database: Database, clock: Clock, kept: float) -> None:
        """`kept`: seconds that rows stay, 0 for ever."""
        self._audit = audit
        self._chain = Chain(database, clock)
        self._clock = clock
        self._kept = kept
        self._changed = True
        self._next_anchor = self._next_cut = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.warning("the audit log could not be kept for now: %s", error)
            except Exception:
                log.exception("the audit log could not be kept")  # a defect here must not take the server down
            await self._clock.sleep(PAUSE)

    async def _round(self) -> None:
        if await self._audit.waiting():
            await self._chain.settle()
            self._changed = True
        now = self._clock.now()
        if self._kept > 0 and now >= self._next_cut:
            self._next_cut = now + ANCHOR_SECONDS
            if await self._chain.cut(now - self._kept):
                self._changed = True
                log.info("removed from the audit log by storage.retention", extra={"rows": await self._chain.remove()})
        if self._changed and now >= self._next_anchor:
            self._next_anchor, self._changed = now + ANCHOR_SECONDS, False
            head = await self._chain.head()
            if head.seq:
                log.info("audit log", extra={"seq": head.seq, "hash": head.hash})
