"""JSON over HTTP to one server, with patience for what may pass. Whatever is asked may be asked again."""

import json
from collections.abc import Callable
from typing import Any, Final

from hector.core.clock import Clock, SystemClock
from hector.core.errors import ConfigError
from hector.net.call import Caller
from hector.net.egress import EgressRefused
from hector.net.errors import NetError
from hector.net.retry import Failure, GiveUp, RetryPolicy
from hector.observe.redact import redact
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.stores.wire import Call

LARGEST: Final = 64 * 2**20
_SHOWN: Final = 300
_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
_TAKEN: Final = 409
_TRIES: Final = 2
_PAUSE: Final = 0.2
"""Seconds; of what somebody waits for, who gets an answer without it, too."""


class Service:
    """One server. Connects at the first call."""

    def __init__(
        self, name: str, url: str, opened: Callable[[], Caller], retry: RetryPolicy, clock: Clock | None = None
    ) -> None:
        self.name, self.url = name, url
        self._opened, self._retry = opened, retry
        self._hurried = RetryPolicy(min(_TRIES, retry.max_attempts), min(_PAUSE, retry.initial_delay), _PAUSE, _PAUSE)
        self._clock = clock or SystemClock()
        self._caller: Caller | None = None

    async def ask(self, call: Call, *, hurried: bool = False) -> Any:
        """What it answers; None where `call` foresees that. `hurried`: once more at most, and soon.

        Raises VectorStoreError.
        """
        attempt, retry = 0, self._hurried if hurried else self._retry
        while True:
            attempt += 1
            failure, told = Failure(), ""
            try:
                status, headers, data = await self._send(call)
            except EgressRefused as error:
                raise VectorStoreError(str(error)) from None
            except NetError as error:
                failure, told = Failure(retryable=error.retryable), str(error)
            else:
                if status < 300:
                    return self._read(data)
                if (status == 404 and call.missing) or (status == _TAKEN and call.taken):
                    return None
                failure = Failure(status, headers, now=self._clock.now())
                told = f"it answers {status}: {_words(data)}"
            decision = retry.decide(failure, attempt)
            if isinstance(decision, GiveUp):
                raise self._error(failure, told)
            await self._clock.sleep(decision.delay)

    async def _send(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        if self._caller is None:
            try:
                self._caller = self._opened()
            except ConfigError as error:
                raise VectorStoreError(str(error)) from None
        async with await self._caller.send(call.method, call.path, body=call.body.encode(), headers=_HEADERS) as answer:
            return answer.status, dict(answer.headers), await answer.read(LARGEST)

    def _read(self, data: bytes) -> Any:
        try:
            return json.loads(data) if data.strip() else {}
        except (ValueError, RecursionError):
            raise VectorStoreError(f"{self.name} at {self.url} answers something else than JSON") from None

    def _error(self, failure: Failure, told: str) -> VectorStoreError:
        text = f"{self.name} at {self.url}: {redact(told)}"
        if failure.status in {401, 403}:
            return VectorStoreError(f"{text}; look at the api_key")
        passes = failure.retryable is not False if failure.status is None else failure.status in {408, 429}
        passes = passes or (failure.status or 0) >= 500
        return VectorStoreUnavailable(text) if passes else VectorStoreError(text)

    async def aclose(self) -> None:
        """Hang up."""
        if self._caller is not None:
            await self._caller.aclose()
            self._caller = None


def _words(data: bytes) -> str:
    return " ".join(data[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]
