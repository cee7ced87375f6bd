"""Pages for whoever runs this server: for programs on this very machine only, since nobody can prove who they are yet.

A proxy in front would make everybody look local, hence nothing is served where there is one: where a public address is
configured, to requests that name whom they were forwarded for, and to those of HTTP/1.0, which proxies speak that say
nothing of it. A name that is not this machine's is refused as well: a page elsewhere may have its name resolve to us.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from hector.a2a import wire
from hector.a2a.errors import NOT_FROM_THERE, ProtocolError
from hector.auth.access import Access
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, NotFound, Violation
from hector.store import Store
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import WORDS, continuation, decide, shown
from hector.web.answers import reply_json
from hector.web.asgi import Exchange
from hector.web.identity import Guarded
from hector.web.origin import host_of, is_local, is_loopback

PATHS: Final = ("/admin/approvals", "/admin/approvals/{key}")
MOST: Final = 100
"""Approvals on one page."""
_BODY: Final = 64 * 1024
_DIGITS: Final = 18
"""As many as surely fit into a key, and far more than there will be."""
_FORWARDED: Final = (
    *("forwarded", "via", "x-forwarded", "x-real-ip", "x-client-ip", "x-original-", "true-client-ip"),
    *("x-envoy-", "x-amzn-", "cdn-loop", "cf-"),
)
"""How the headers begin that reverse proxies, load balancers and tunnels add."""


class Admin:
    """The endpoints."""

    def __init__(self, store: Store, settings: Server, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    def routes(self) -> list[Guarded]:
        """Where they are."""
        return [
            Guarded("/admin/approvals{end:end}", self.approvals, Access.AGENTS),
            Guarded("/admin/approvals/{key}{end:end}", self.approval, Access.AGENTS),
            Guarded("/admin/approvals/{key}{end:end}", self.decide, Access.AGENTS, "POST"),
        ]

    async def approvals(self, request: Request) -> Response:
        """What waits for a person, the oldest first; `task` and `after` (a key) narrow it down."""
        require_local(request, self._settings.public_url)
        query = request.query_params
        found = await self._store.approvals.waiting(
            query.get("task"), after=_number(query.get("after", "0"), "after"), limit=MOST + 1
        )
        page = found[:MOST]
        more = page[-1].key if len(found) > MOST else None
        return reply_json(request, {"approvals": [shown(one) for one in page], "next": more})

    async def approval(self, request: Request) -> Response:
        """One of them, decided or not. Raises NotFound."""
        require_local(request, self._settings.public_url)
        return reply_json(request, shown(await self._store.approvals.get(_key(request))))

    async def decide(self, request: Request) -> Response:
        """Approve or deny: {"decision": "approve" | "deny", "comment": ...}. Raises InvalidRequest, NotFound."""
        require_local(request, self._settings.public_url)
        state, comment = await _decision(request)
        found = await self._store.approvals.get(_key(request))
        if found.state is not ApprovalState.PENDING:
            raise InvalidRequest(f"approval {found.key} was already {found.state} by {found.decided_by}")
        decisions = decide((found,), state, _author(request), comment)
        offer = continuation((found,), decisions, self._clock.now())
        await self._store.tasks.accept(replace(offer, max_attempts=self._settings.queue.max_retries + 1))
        return reply_json(request, shown(await self._store.approvals.get(found.key)))


def require_local(request: Request, public_url: str | None) -> None:
    """Raises ProtocolError unless the request comes straight from a program on this machine."""
    peer = request.client.host if request.client else ""
    public = urlsplit(public_url).hostname if public_url else None
    proxied = (
        (public is not None and not is_local(public))
        or request.scope.get("http_version") == "1.0"
        or any(name.startswith(_FORWARDED) for name in request.headers)
    )
    if proxied or not is_loopback(peer):
        raise ProtocolError(
            NOT_FROM_THERE,
            "without authentication these pages are for programs on the server's own machine, not through a proxy; "
            "use `hector approve` there",
        )
    if not is_local(host_of(request.headers.get("host", ""))):
        raise ProtocolError(NOT_FROM_THERE, "these pages are only served under the name localhost or 127.0.0.1")


def _author(request: Request) -> str:
    return f"the admin API from {request.client.host if request.client else 'here'}"


def _key(request: Request) -> int:
    text: str = request.path_params["key"]
    if not _is_number(text):
        raise NotFound("approval", text[:40])
    return int(text)


def _number(text: str, name: str) -> int:
    if not _is_number(text):
        raise InvalidRequest(f"{name} must be a number", [Violation(name, "must be the key of an approval")])
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


async def _never(_: Message) -> None:
    raise AssertionError("an exchange that only reads has answered")


async def _decision(request: Request) -> tuple[ApprovalState, str]:
    exchange = Exchange(request.scope, request.receive, _never)
    exchange.require_json()
    value = _object(await exchange.body(_BODY))
    word, comment = value.get("decision"), value.get("comment", "")
    state = WORDS.get(word) if isinstance(word, str) else None
    if state is None:
        raise InvalidRequest('decision must be "approve" or "deny"', [Violation("decision", "is missing or unknown")])
    if not isinstance(comment, str):
        raise InvalidRequest("comment must be a text", [Violation("comment", "must be a text")])
    return state, comment


def _object(body: bytes) -> JsonObject:
    value = wire.loads(body) if body else {}
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", [Violation("", "must be an object")])
    return value
