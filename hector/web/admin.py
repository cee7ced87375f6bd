"""The Admin API: finds the endpoint, has the rights checked, reads the request, answers.

Nothing of it is loaded before its first request: one route leads here from each root, and the table of endpoints is
made and looked through below it. The groups are listed in `table`; each is a module of its own.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from hector.a2a.errors import NO_SUCH_VERB, ProtocolError, fault_of
from hector.auth.access import Access
from hector.core.audit import FAILED, REFUSED, by
from hector.core.errors import HectorError, StoreError
from hector.core.record import dataclass
from hector.store.audit import AuditLog
from hector.web.admin_parts import Parts
from hector.web.answers import refusal, reply, reply_json
from hector.web.asgi import LARGEST, Exchange
from hector.web.identity import Gate, Guarded, address_of, principal_of

if TYPE_CHECKING:
    from hector.web.endpoints import Endpoint

BODY: Final = 2**20
"""Bytes of the largest body that an endpoint takes, unless the server takes less."""
ROOTS: Final = ("/admin{rest:rest}", "/openapi.json{end:end}", "/tasks/{id}/toolCalls{rest:rest}")


class _Rest(Convertor[str]):
    """What follows a whole segment of a path, if anything does."""

    regex = "(?:/.*)?"

    def convert(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())


def table(parts: Parts) -> "tuple[Endpoint, ...]":
    """All endpoints of all groups."""
    from hector.web.admin_approvals import ApprovalEndpoints  # noqa: PLC0415 - loaded by the first request
    from hector.web.admin_apps import AppEndpoints  # noqa: PLC0415 - loaded by the first request
    from hector.web.admin_audit import AuditEndpoints  # noqa: PLC0415
    from hector.web.admin_auth import AuthEndpoints  # noqa: PLC0415
    from hector.web.admin_documents import DocumentEndpoints  # noqa: PLC0415
    from hector.web.admin_egress import EgressEndpoints  # noqa: PLC0415
    from hector.web.admin_keeping import KeepingEndpoints  # noqa: PLC0415
    from hector.web.admin_limits import LimitEndpoints  # noqa: PLC0415
    from hector.web.admin_mcp import McpEndpoints  # noqa: PLC0415
    from hector.web.admin_queue import QueueEndpoints  # noqa: PLC0415
    from hector.web.admin_server import ServerEndpoints  # noqa: PLC0415
    from hector.web.admin_sessions import SessionEndpoints  # noqa: PLC0415
    from hector.web.admin_versions import VersionEndpoints  # noqa: PLC0415
    from hector.web.admin_webhooks import WebhookEndpoints  # noqa: PLC0415
    from hector.web.calls import CallEndpoints  # noqa: PLC0415
    from hector.web.openapi import OpenApiEndpoints  # noqa: PLC0415

    rows = (
        *AppEndpoints(parts).endpoints(),
        *VersionEndpoints(parts).endpoints(),
        *WebhookEndpoints(parts).endpoints(),
        *SessionEndpoints(parts).endpoints(),
        *KeepingEndpoints(parts).endpoints(),
        *QueueEndpoints(parts).endpoints(),
        *ApprovalEndpoints(parts).endpoints(),
        *AuditEndpoints(parts).endpoints(),
        *ServerEndpoints(parts).endpoints(),
        *EgressEndpoints(parts).endpoints(),
        *McpEndpoints(parts).endpoints(),
        *DocumentEndpoints(parts).endpoints(),
        *LimitEndpoints(parts).endpoints(),
        *AuthEndpoints(parts).endpoints(),
        *CallEndpoints(parts).endpoints(),
    )
    if parts.watched is not None:
        from hector.web.metrics import MetricsEndpoint  # noqa: PLC0415 - only with metrics

        rows = (*rows, *MetricsEndpoint(parts.watched, parts.tasks, parts.store).endpoints())
    return (*rows, *OpenApiEndpoints(rows).endpoints())


class Admin:
    """An ASGI application below some routes of the whole one."""

    def __init__(self, make: "Callable[[], tuple[Endpoint, ...]]", most: int, audit: AuditLog) -> None:
        """`make` gives the table; `most` is the size of the largest body in bytes."""
        self._make = make
        self._audit = audit
        self._most = min(BODY, most)
        self._rows: list[Row] = []
        self.gate: Gate | None = None

    def routes(self, *more: str) -> list[Guarded]:
        """What leads here; `more` are further paths."""
        return [_Entrance(path, self) for path in (*ROOTS, *(f"{path}{{end:end}}" for path in more))]

    def rows(self) -> "list[Row]":
        """The table, as routes of which each has its guard."""
        if not self._rows:
            assert self.gate is not None  # noqa: S101 - the application has set it before it serves
            self._rows = [Row(one, _Answering(one, self._most, self._audit), self.gate) for one in self._make()]
        return self._rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone. Raises HectorError and HTTPException for the application to word."""
        here: list[Row] = []
        for row in self.rows():
            match, found = row.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await row.handle(scope, receive, send)
                return
            if match is Match.PARTIAL:
                here.append(row)
        if not here:
            raise HTTPException(404)
        verbs = ", ".join(dict.fromkeys(row.declared.method for row in here))
        error = ProtocolError(NO_SUCH_VERB, f"{scope['method']} is not possible here; allowed: {verbs}")
        await refusal(Request(scope), error, ((b"allow", verbs.encode()),))(scope, receive, send)


class _Entrance(Guarded):
    """A route for all paths below a root and all methods. It guards nothing: what is behind it does."""

    def __init__(self, path: str, admin: Admin) -> None:
        super().__init__(path, admin, Access.PUBLIC)
        self.methods = None
        self._admin = admin

    def behind(self, gate: Gate) -> Guarded:
        """Hand the gate on."""
        self._admin.gate = gate
        return self


class Row(Guarded):
    """The route of one endpoint, behind its gate."""

    def __init__(self, declared: "Endpoint", answering: "_Answering", gate: Gate) -> None:
        super().__init__(f"{declared.path}{{end:end}}", answering, declared.access, declared.method)
        self.declared = declared
        self.behind(gate)


@dataclass(frozen=True, slots=True)
class _Answering:
    """Reads the parts of an admitted request, calls the handler, words what it gives."""

    endpoint: "Endpoint"
    most: int
    audit: AuditLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with suppress(ClientDisconnect):
            try:
                response = await self._answer(request, Exchange(scope, receive, send))
            except HectorError as error:
                await self._note(request, error)
                raise
            await response(scope, receive, send)

    async def _note(self, request: Request, error: HectorError) -> None:
        """Tell the audit log of what was refused or has failed; of the same again only once an hour."""
        declared, principal = self.endpoint, principal_of(request.scope)
        if not declared.action or not self.audit.is_new(
            declared.action, str(by(principal)), request.url.path, address_of(request.scope)
        ):
            return
        from hector.web.endpoints import Ask  # noqa: PLC0415 - loaded by the first request

        outcome = FAILED if fault_of(error).status >= 500 else REFUSED
        ask = Ask(declared, request, principal, self.audit)
        with suppress(StoreError):
            await self.audit.note(ask.entry(ask.thing, principal.app or "", outcome, error=error.code))

    async def _answer(self, request: Request, exchange: Exchange) -> Response:
        from hector.web.admin_input import read_body, read_query  # noqa: PLC0415 - loaded by the first request
        from hector.web.endpoints import Answer, Ask, Query  # noqa: PLC0415

        declared = self.endpoint
        query = read_query(declared.query or Query, request.scope["query_string"])
        bound = (self.most, "" if self.most >= BODY else LARGEST)
        body = None if declared.body is None else await read_body(declared.body, exchange, *bound)
        ask = Ask(declared, request, principal_of(request.scope), self.audit, query, body)
        found = await declared.handler(ask)
        if declared.action and not ask.entries:
            await ask.note(ask.thing, ask.principal.app or "")
        if isinstance(found, Response):
            return found
        answer = found if isinstance(found, Answer) else Answer(found)
        status = answer.status or declared.status
        if answer.shape is None:
            return reply(request, status, b"", extra=answer.headers)
        response = reply_json(request, answer.shape.model_dump(mode="json"), status)
        response.raw_headers += answer.headers
        return response
