"""The one HTTP loop of all wire formats: send, read, try again where that makes sense, give up with a clear text.

A call is tried again only while nothing of an answer has been handed on. What is tried again: states that pass
(overload, rate limits, broken connections, answers cut off, within `RetryPolicy`), once a request without a parameter
that the provider refuses by name, and once an answer of no use.
"""

import contextlib
import logging
import random
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never
from urllib.parse import unquote, urlsplit

from hector.config.base import SECRET_KEYS
from hector.config.llmbase import LlmBase
from hector.core.clock import Clock, SystemClock
from hector.core.errors import ConfigError, ModelError, ModelRejected
from hector.core.event import Delta
from hector.core.ports import ModelReply, ModelRequest
from hector.core.record import dataclass
from hector.models.answers import AnswerReader, ParameterRefused
from hector.models.wire import REPLAY, AskAgain, HttpCall, Wire
from hector.net.call import Answer, Caller, CallerOptions
from hector.net.caller import open_caller, origin_of
from hector.net.errors import NetError
from hector.net.retry import Failure, GiveUp, Retry, RetryPolicy
from hector.observe.redact import redact, remember

if TYPE_CHECKING:
    from hector.net.policy import Purpose

_log: Final = logging.getLogger("hector.models")
_JSON_HEADERS: Final = {"content-type": "application/json"}


@dataclass(slots=True)
class _Tries:
    """What has been tried for one request."""

    dropped: frozenset[str]
    failures: int = 0
    asked_again: bool = False


class HttpModel:
    """A ChatModel over one wire format and one server."""

    def __init__(
        self,
        wire: Wire,
        open_caller: Callable[[], Caller],
        retry: RetryPolicy,
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,  # noqa: S311 - spreads load, guards nothing
    ) -> None:
        """`open_caller` runs at the first call; `chance` gives numbers from 0 to 1 for the jitter of waits."""
        self._wire = wire
        self._reader = AnswerReader(wire)
        self._open_caller = open_caller
        self._caller: Caller | None = None
        self._retry = retry
        self._clock = clock or SystemClock()
        self._chance = chance
        self._refused: frozenset[str] = frozenset()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole turn at once. Raises ModelError."""
        tries = _Tries(self._refused)
        while True:
            try:
                reply = await self._complete(request, tries.dropped)
            except ModelError as error:
                again = await self._again(error, tries)
                if isinstance(again, ModelReply):
                    return again
                if not again:
                    raise
            else:
                self._remember(tries)
                return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """Deltas as they arrive, then the reply. Raises ModelError. Closing the generator closes the connection."""
        tries = _Tries(self._refused)
        while True:
            shown = False
            try:
                async with contextlib.aclosing(self._stream(request, tries.dropped)) as items:
                    async for item in items:
                        shown = True
                        yield item
            except ModelError as error:
                again = await self._again(error, tries, shown=shown)
                if not again:
                    raise
                if isinstance(again, ModelReply):
                    yield again
                    return
            else:
                self._remember(tries)
                return

    async def aclose(self) -> None:
        """Close every connection."""
        if self._caller is not None:
            await self._caller.aclose()

    async def _complete(self, request: ModelRequest, dropped: frozenset[str]) -> ModelReply:
        call = self._wire.encode(request, stream=False, dropped=dropped)
        try:
            return await self._reader.whole(await self._send(call), call)
        except NetError as error:
            raise self._reader.lost(error) from error

    async def _stream(
        self, request: ModelRequest, dropped: frozenset[str]
    ) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        call = self._wire.encode(request, stream=True, dropped=dropped)
        decoder = self._wire.decoder(call)
        lost: NetError | None = None
        try:
            async with await self._send(call) as answer:
                if self._reader.is_whole(answer):
                    yield await self._reader.whole(answer, call)
                    return
                async with contextlib.aclosing(self._reader.deltas(answer, decoder)) as found:
                    async for deltas in found:
                        yield deltas
        except NetError as error:
            lost = error
        yield self._reader.ended(decoder, lost)

    async def _send(self, call: HttpCall) -> Answer:
        """The answer to one POST, if its status is good. Raises NetError, and ModelError for any other status."""
        if self._caller is None:
            self._caller = self._opened()
        headers = {**_JSON_HEADERS, **call.headers} if call.headers else _JSON_HEADERS
        answer = await self._caller.send("POST", call.path, body=call.document, headers=headers)
        if 200 <= answer.status < 300:
            return answer
        raise await self._reader.refusal(answer)

    def _opened(self) -> Caller:
        try:
            return self._open_caller()
        except ConfigError as error:
            raise ModelRejected(f"{self._wire.label}: {redact(str(error))}") from error

    async def _again(self, error: ModelError, tries: _Tries, *, shown: bool = False) -> bool | ModelReply:
        """Whether to try again, once the wait that is due has passed; or the reply to be content with.

        `error` is left for the caller to raise: raised here, it would hang on a frame that it hangs on itself.
        """
        _let_go(error)
        if isinstance(error, AskAgain):
            reply = error.reply
            if shown or tries.asked_again:
                return self._reader.contained(lambda: reply)
            tries.asked_again = True
            return True
        if shown:
            return False
        if isinstance(error, ParameterRefused) and error.parameter not in tries.dropped:
            _log.info("%s: asking again without %r, which was refused", self._wire.label, error.parameter)
            tries.dropped |= {error.parameter}
            return True
        return await self._waited(error, tries)

    async def _waited(self, error: ModelError, tries: _Tries) -> bool:
        """Until the time of the next try. False at once when there is to be none."""
        tries.failures += 1
        failure = Failure(asked=error.retry_after, retryable=error.retryable)  # the class has judged the status
        match self._retry.decide(failure, tries.failures, chance=self._chance):
            case Retry(delay):
                _log.warning("%s; trying again in %.1f s", error, delay)
                await self._clock.sleep(delay)
                return True
            case GiveUp(reason):
                if error.retryable:
                    error.args = (f"{error} ({reason})",)
                return False
            case decision:
                assert_never(decision)

    def _remember(self, tries: _Tries) -> None:
        """Later requests leave out at once what this server has refused for this model."""
        self._refused |= tries.dropped - {REPLAY}


def _let_go(error: BaseException) -> None:
    """Free what the failed try has read.

    It hangs on the traceback, that on the error, and the error on frames of its own traceback: without this, answers of
    many megabytes would pile up until Python next looks for such circles, which it does by number and not by size.
    """
    chain: list[BaseException] = [error]
    for step in chain:
        traceback.clear_frames(step.__traceback__)
        before = step.__cause__ or step.__context__
        if before is not None and before not in chain:
            chain.append(before)


def _secrets(llm: LlmBase) -> Iterator[str]:
    """What else must not be shown: values of headers that carry keys, with and without "Bearer", and the proxy's."""
    for name, value in llm.headers.items():
        if SECRET_KEYS.search(name):
            yield value
            yield value.split()[-1] if value.split() else ""
    yield unquote(urlsplit(llm.proxy or "").password or "")


def connect(
    wire: Wire,
    llm: LlmBase,
    *,
    base_url: str,
    headers: Mapping[str, str],
    secret: str = "",
    purpose: "Purpose" = "model",
) -> HttpModel:
    """The model of one configuration section. `headers` are the format's own; those of the section win over them.

    Opens no connection. From now on `secret`, and what the section's headers and proxy hold of that kind, is left out
    of every log line and error text. Raises ConfigError.
    """
    origin_of(base_url)
    if urlsplit(base_url).username is not None:
        raise ConfigError(f"{wire.label}: `base_url` holds a user name, which is not sent; use `api_key` or `headers`")
    remember(secret, *_secrets(llm))
    options = CallerOptions(
        base_url=base_url,
        headers={**headers, **{name.lower(): value for name, value in llm.headers.items()}},
        proxy=llm.proxy,
        ca_bundle=llm.ca_bundle,
        connect_timeout=llm.connect_timeout,
        read_timeout=llm.timeout,
        purpose=purpose,
    )
    retry = RetryPolicy(
        max_attempts=llm.retry.max_attempts,
        initial_delay=llm.retry.initial_delay,
        max_delay=llm.retry.max_delay,
        patience=llm.retry.max_delay,
    )
    return HttpModel(wire, partial(open_caller, options), retry)
