"""Kinds of jobs: who works on each, and how patient that work is."""

from collections.abc import Callable, Mapping
from typing import Final

from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.record import dataclass
from hector.store import Store
from hector.tasks.backoff import Schedule
from hector.tasks.outcome import Handler

PATIENCE: Final = 1.0
"""Seconds for which a receiver that does not answer keeps its place while others wait for one."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a handler may be made from."""

    store: Store
    clock: Clock
    settings: Server


@dataclass(frozen=True, slots=True)
class Terms:
    """`schedule` spaces the attempts. Where other work waits for its place, it keeps that for `patience` seconds, and
    goes back for later then; None: it keeps it.
    """

    schedule: Schedule
    patience: float | None = None


def _push(parts: Parts) -> Handler:
    from hector.tasks.push import PushDelivery  # noqa: PLC0415 - loaded on first use

    return PushDelivery(parts.store, parts.settings.push_notifications)


def _expire(parts: Parts) -> Handler:
    from hector.tasks.expiry import Expiry  # noqa: PLC0415 - loaded on first use

    return Expiry(parts.store, parts.clock, parts.settings.queue.max_retries + 1)


def _remember(parts: Parts) -> Handler:
    from hector.tasks.remembering import Remembering  # noqa: PLC0415 - loaded on first use

    return Remembering(parts.store)


def terms_of(kind: str, settings: Server) -> Terms:
    """Those of a kind of jobs."""
    if kind == "push":
        push = settings.push_notifications
        return Terms(Schedule(push.initial_delay, push.max_delay, least=0.5), PATIENCE)
    return Terms(Schedule(settings.queue.initial_delay, settings.queue.max_delay))


FACTORIES: Final[Mapping[str, Callable[[Parts], Handler]]] = {"push": _push, "expire": _expire, "remember": _remember}
"""Handlers by kind, each made when the first job of its kind is claimed; the kind "run" belongs to the worker itself.

A row names a function above that imports the handler's module locally, so that a start loads none of them.
"""
