"""Results that are sent to whoever has triggered a run: jobs of kind "push", in the words of webhooks and signed."""

import base64
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hector.a2a import wire
from hector.auth.signatures import standard_key
from hector.core.clock import Clock, SystemClock
from hector.core.errors import NotFound
from hector.core.job import Job
from hector.core.push import OWN_CALLBACK, PushConfig
from hector.net.egress import Policy
from hector.net.errors import NetError
from hector.net.outbound import Outbound
from hector.store import Store
from hector.tasks.outcome import Dead, Done, Outcome, Retry
from hector.tasks.report import ended

if TYPE_CHECKING:
    from hector.net.gate import Resolve


class Callbacks:
    """Sends them. `policy` is for addresses that came with a request; those of the configuration are the operator's.

    `verdict` says what an answer means.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        verdict: Callable[[int, float | None], Outcome],
        resolve: "Resolve | None",
        seconds: float,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._verdict = verdict
        self._resolve = resolve
        self._seconds = seconds
        self._clock = clock or SystemClock()

    async def __call__(self, job: Job, config: PushConfig) -> Outcome:
        """Send one. Nothing is left to do for a task that is gone, or that works again."""
        try:
            task = await self._store.tasks.get(job.caller, job.subject, None, 0)
        except NotFound:
            return Done()
        if not task.status.state.terminal:
            return Done()
        body = wire.dumps(ended(task)).encode("ascii")
        policy = own(config.url) if config.version == OWN_CALLBACK else self._policy
        outbound = Outbound(policy, resolve=self._resolve, seconds=self._seconds, purpose="push")
        try:
            found = await outbound.post(
                config.url, body, headers(job.subject, config.credentials, body, self._clock.now())
            )
        except NetError as error:
            return Retry(str(error)) if error.retryable else Dead(str(error))
        return self._verdict(found.status, found.retry_after)


def own(url: str) -> Policy:
    """For an address of the operator's: it may be anywhere, also in their own network."""
    return Policy((urlsplit(url).hostname or "",), allow_private=True)


def headers(task_id: str, secret: str | None, body: bytes, at: float) -> dict[str, str]:
    """What a receiver needs to trust a result, in the words of Standard Webhooks; `at` is the time of this attempt."""
    time = str(int(at))
    found = {
        "content-type": "application/json",
        "webhook-id": task_id,
        "webhook-timestamp": time,
    }
    if secret:
        digest = hmac.digest(standard_key(secret), f"{task_id}.{time}.".encode() + body, "sha256")
        found["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return found
