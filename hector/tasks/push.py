"""Push notifications: what clients may do with their configs, and the delivery of one update to one receiver."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hector.a2a import push, wire
from hector.a2a.parse import no_push
from hector.a2a.version import OLD
from hector.config.push import PushNotifications
from hector.core.errors import InvalidRequest, NotFound, Violation
from hector.core.job import Job
from hector.core.push import CALLBACKS, PushConfig, PushPage
from hector.core.task import ArtifactUpdate, Caller, StatusUpdate, Task
from hector.store import Store
from hector.store.push import Notice, notice_of
from hector.tasks.outcome import Dead, Done, Outcome, Retry

if TYPE_CHECKING:
    from hector.net.egress import Policy
    from hector.net.gate import Resolve
    from hector.net.outbound import Outbound
    from hector.tasks.callbacks import Callbacks

_PASSING: Final = frozenset({404, 408, 409, 421, 423, 425, 429})
"""Refusals that may be over soon: a receiver that is being deployed, is busy, or asks for patience."""


class PushService:
    """The four operations on push notification configs."""

    def __init__(self, store: Store, settings: PushNotifications) -> None:
        self._store = store
        self._settings = settings

    @property
    def enabled(self) -> bool:
        """Whether this server sends any."""
        return self._settings.enabled

    @cached_property
    def _policy(self) -> "Policy":
        return policy_of(self._settings)

    def check(self, config: PushConfig, field: str = "url") -> None:
        """Refuse what could never be delivered; looks no name up. Raises InvalidRequest."""
        from hector.net.egress import EgressRefused  # noqa: PLC0415 - loaded on first use

        self.require()
        try:
            self._policy.target(config.url)
        except EgressRefused as error:
            raise InvalidRequest(f"{field}: {error}", [Violation(field, str(error))]) from None

    def require(self) -> None:
        """Raises ProtocolError while push notifications are switched off."""
        if not self.enabled:
            raise no_push()

    async def create(self, caller: Caller, agent: str, task_id: str, config: PushConfig) -> PushConfig:
        """Add a config, or replace the one of its id; the task may have ended. Raises NotFound, InvalidRequest."""
        self.check(config)
        return await self._store.push.put(caller, agent, task_id, config)

    async def get(self, caller: Caller, agent: str, task_id: str, config_id: str | None) -> PushConfig:
        """One config. Raises NotFound."""
        self.require()
        return await self._store.push.get(caller, agent, task_id, config_id)

    async def page(self, caller: Caller, agent: str, task_id: str, size: int | None, token: str | None) -> PushPage:
        """Some of them, or all. Raises NotFound, InvalidRequest."""
        self.require()
        return await self._store.push.page(caller, agent, task_id, size, token)

    async def delete(self, caller: Caller, agent: str, task_id: str, config_id: str | None) -> None:
        """Delete a config; it need not be there. Raises NotFound for the task."""
        self.require()
        await self._store.push.delete(caller, agent, task_id, config_id)


class PushDelivery:
    """The handler of jobs of kind "push". Secrets come from the config at the last moment and go nowhere else."""

    def __init__(
        self, store: Store, settings: PushNotifications, *, resolve: "Resolve | None" = None, seconds: float = 20.0
    ) -> None:
        self._store = store
        self._settings = settings
        self._resolve = resolve
        self._seconds = seconds

    @cached_property
    def _outbound(self) -> "Outbound":
        from hector.net.outbound import Outbound  # noqa: PLC0415 - loaded on first use

        return Outbound(policy_of(self._settings), resolve=self._resolve, seconds=self._seconds, purpose="push")

    @cached_property
    def _callbacks(self) -> "Callbacks":
        from hector.tasks.callbacks import Callbacks  # noqa: PLC0415 - loaded on first use

        return Callbacks(self._store, policy_of(self._settings), verdict, self._resolve, self._seconds)

    async def __call__(self, job: Job) -> Outcome:
        """Send it. Nothing is left to do when the receiver, or the task, is gone."""
        from hector.net.errors import NetError  # noqa: PLC0415 - loaded on first use

        notice = notice_of(job.payload)
        config = await self._store.push.receiver(job.caller, job.subject, notice.config_id)
        if config is not None and config.version in CALLBACKS:
            return await self._callbacks(job, config)
        if not self._settings.enabled:
            return Dead("push notifications are switched off (server.push_notifications.enabled)")
        body = None if config is None else await self._body(job, notice, config)
        if config is None or body is None:
            return Done()
        try:
            found = await self._outbound.post(config.url, body, headers(job, config))
        except NetError as error:
            return Retry(str(error)) if error.retryable else Dead(str(error))
        return verdict(found.status, found.retry_after)

    async def _body(self, job: Job, notice: Notice, config: PushConfig) -> bytes | None:
        """What is sent; None when there is no such thing any more."""
        task = Task(job.subject, notice.context_id, "", notice.status)
        update: StatusUpdate | ArtifactUpdate = StatusUpdate(notice.status)
        if config.version == OLD:
            try:
                task = replace(await self._store.tasks.get(job.caller, job.subject), status=notice.status)
            except NotFound:
                return None
        elif notice.artifact_id is not None:
            artifact = await self._store.push.artifact(job.caller, job.subject, notice.artifact_id)
            if artifact is None:
                return None
            update = ArtifactUpdate(artifact)
        return wire.dumps(push.notification(task, update, config.version)).encode("ascii")


def policy_of(settings: PushNotifications) -> "Policy":
    """Where notifications may go."""
    from hector.net.egress import Policy  # noqa: PLC0415 - loaded on first use

    return Policy(settings.allow, allow_private=settings.allow_private)


def headers(job: Job, config: PushConfig) -> Mapping[str, str]:
    """What a receiver needs to trust a notification, and to tell that it has seen it before."""
    found = {
        "content-type": "application/json" if config.version == OLD else "application/a2a+json",
        "a2a-version": config.version,
        "x-a2a-notification-id": f"{job.subject}.{job.claim.key}",
    }
    if config.token:
        found["x-a2a-notification-token"] = config.token
    if config.scheme and config.credentials:
        found["authorization"] = f"{config.scheme} {config.credentials}"
    return found


def verdict(status: int, retry_after: float | None = None) -> Outcome:
    """What an answer means: taken, to be tried again, or refused for good."""
    if 200 <= status < 300:
        return Done()
    said = f"the receiver answered {status}"
    if status in HTTPStatus._value2member_map_:
        said += f" {HTTPStatus(status).phrase}"
    if 300 <= status < 400:
        return Dead(f"{said}: redirects are not followed; give the address that it leads to")
    if 400 <= status < 500 and status not in _PASSING:
        return Dead(said)
    return Retry(said, retry_after)
