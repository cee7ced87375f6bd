"""What the audit log is told of credentials: who came in with which from where, and what was refused.

Once an hour for each credential and address, so that neither a busy caller nor an attack fills the log.
"""

from contextlib import suppress

from starlette.types import Scope

from hector.auth.access import Access
from hector.core.audit import REFUSED, Entry, by
from hector.core.errors import HectorError, StoreError
from hector.core.identity import Principal
from hector.core.record import dataclass
from hector.store.audit import AuditLog
from hector.web.answers import request_id

_ACTION = "credential.use"


@dataclass(frozen=True, slots=True)
class Logins:
    """Tells it. A database that is away lets requests pass that need none."""

    audit: AuditLog

    async def came(self, scope: Scope, who: Principal, address: str) -> None:
        """Somebody was let in."""
        if self.audit.is_new("came", *by(who), address, proven=True):
            await self._note(scope, who, address, Entry(_ACTION, _name(who)))

    async def failed(self, scope: Scope, address: str, error: HectorError) -> None:
        """A credential was refused."""
        if self.audit.is_new("failed", address, error.code):
            entry = Entry(_ACTION, f"address:{address}", REFUSED, "unknown", "credential", detail={"error": error.code})
            await self._note(scope, None, address, entry)

    async def stopped(self, scope: Scope, who: Principal, address: str, access: Access) -> None:
        """Somebody has no right to what they asked for."""
        if self.audit.is_new("stopped", *by(who), access.value):
            detail = {"right": access.value, "path": scope["path"][:200], "method": scope["method"]}
            await self._note(scope, who, address, Entry(_ACTION, _name(who), REFUSED, detail=detail))

    async def _note(self, scope: Scope, who: Principal | None, address: str, entry: Entry) -> None:
        actor, via = by(who) if who is not None else (entry.actor, entry.via)
        app = (who.app or "") if who is not None else ""
        detail = {**entry.detail, "address": address}
        request = request_id(scope).decode()
        with suppress(StoreError):
            await self.audit.note(Entry(entry.action, entry.object, entry.outcome, actor, via, app, request, detail))


def _name(who: Principal) -> str:
    return f"credential:{who.credential or who.subject}"
