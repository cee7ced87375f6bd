"""Which delivery a webhook request is: the name that its sender gives it, and the task that it therefore is."""

import hashlib
from collections.abc import Mapping
from typing import Final

from hector.apps.webhooks import Hook
from hector.auth.signatures import Head, Scheme, Signed
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.tasks.report import task_id_of
from hector.web.asgi import Exchange
from hector.web.identity import principal_of
from hector.web.webhook_payload import Payload

_DELIVERY_HEADERS: Final = (
    "webhook-id",
    "svix-id",
    "x-github-delivery",
    "x-shopify-webhook-id",
    "idempotency-key",
    "x-request-uuid",
)
_NAMED_IN_BODY: Final[Mapping[str, str]] = {"stripe": "id", "slack": "event_id"}
"""Where senders name a delivery within what they sign."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that was let in. `content` is what was, or would be, signed."""

    hook: Hook
    exchange: Exchange
    head: Head
    content: bytes
    signed: Signed
    now: float


def scheme_of(hook: Hook) -> Scheme:
    """How requests to a webhook are signed."""
    one = hook.trigger
    return Scheme(one.secret, one.signature_format, one.signature_header, one.signature_algorithm, one.tolerance)


def task_ids(visit: Visit, payload: Payload) -> list[str]:
    """The ids of the task that this delivery is, or is already."""
    hook = visit.hook
    return [task_id_of("webhook", hook.app, hook.agent, hook.path, key) for key in _keys(visit, payload)] or [new_id()]


def _keys(visit: Visit, payload: Payload) -> list[str]:
    trigger = visit.hook.trigger
    if trigger.deduplicate == "off":
        return []
    digest = hashlib.sha256(visit.content + b"\0" + _beside(visit)).hexdigest()
    if trigger.deduplicate == "body":
        return [f"body:{digest}"]
    if name := _name(visit, payload):
        return [f"name:{name}" if trigger.secret else f"name:{name}:{digest}"]
    if not trigger.replay_window:
        return []
    window = int(visit.now // trigger.replay_window)
    return [f"body:{digest}:{window}", f"body:{digest}:{window - 1}"]


def _beside(visit: Visit) -> bytes:
    """What else tells requests apart that are not signed: nobody must be told, or keep away, what others have sent."""
    if visit.hook.trigger.secret:
        return b""
    who, query = principal_of(visit.exchange.scope), visit.exchange.scope["query_string"]
    return b"\0".join((visit.exchange.method.encode(), query, f"{who.app}/{who.user}/{who.subject}".encode()))


def _name(visit: Visit, payload: Payload) -> str:
    """What the sender calls a delivery: what it signs before what it does not."""
    if visit.signed.delivery:
        return visit.signed.delivery
    kind = scheme_of(visit.hook).kind
    inner = (
        payload.body.get(_NAMED_IN_BODY[kind]) if kind in _NAMED_IN_BODY and isinstance(payload.body, dict) else None
    )
    if isinstance(inner, str) and inner:
        return inner
    own = visit.hook.trigger.delivery_header.lower()
    found = (visit.head.values.get(name, ("",))[0] for name in ((own,) if own else _DELIVERY_HEADERS))
    return next((name[:500] for name in found if name), "")
