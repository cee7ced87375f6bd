"""The one loop of all embedding services: cut into calls, send, try again where that makes sense, judge the answer."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

from hector.config.base import SECRET_KEYS
from hector.config.embedders import CohereEmbedder, GeminiEmbedder, OllamaEmbedder, OpenAiEmbedder
from hector.core.clock import Clock, SystemClock
from hector.core.errors import ConfigError
from hector.core.jsontext import encoder
from hector.core.record import dataclass
from hector.core.retrieval import Embedding, Purpose
from hector.net.call import Caller, CallerOptions
from hector.net.caller import open_caller, origin_of
from hector.net.errors import NetError
from hector.net.retry import Failure, GiveUp, Retry, RetryPolicy, retry_info
from hector.observe.redact import redact, remember
from hector.rag.embedders.answers import LARGE, Numbers, check_vectors, message_of, parse, too_long
from hector.rag.embedders.pace import AT_ONCE, Pace
from hector.rag.errors import EmbeddingError, EmbeddingUnavailable

_log: Final = logging.getLogger("hector.rag")
_encode: Final = encoder(ascii_only=False)
_HEADERS: Final = {"content-type": "application/json"}
Section: TypeAlias = OpenAiEmbedder | OllamaEmbedder | CohereEmbedder | GeminiEmbedder
MOST_TEXT: Final = 200_000
"""Characters in one call: OpenAI takes 300,000 tokens, and a Chinese character can be more than one."""
MOST_NUMBERS: Final = 100_000
"""Numbers in one answer: a few megabytes while they are read."""


@dataclass(frozen=True, slots=True)
class Post:
    """One call: the path behind the base URL, and what is sent as JSON."""

    path: str
    body: Mapping[str, Any]


class Wire(Protocol):
    """How one service is asked. Pure: no I/O."""

    @property
    def dimension(self) -> int | None:
        """How many numbers its vectors have, if that is known beforehand."""

    @property
    def variant(self) -> str:
        """What else decides about vectors of documents; empty for the usual."""

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Post:
        """The call that makes vectors of texts."""

    def decode(self, body: Mapping[str, Any]) -> Sequence[Numbers]:
        """The vectors in an answer. LookupError, TypeError, ValueError: it is no such answer."""


class Remote:
    """Vectors made by a service."""

    def __init__(
        self,
        section: Section,
        wire: Wire,
        label: str,
        open_caller: Callable[[], Caller],
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,  # noqa: S311 - spreads load, guards nothing
    ) -> None:
        """`open_caller` runs at the first call; `chance` gives numbers from 0 to 1 for the jitter of waits."""
        self._section, self._wire, self._label = section, wire, label
        self._open_caller = open_caller
        self._caller: Caller | None = None
        self._clock, self._chance = clock or SystemClock(), chance
        self._dimension = wire.dimension
        self._asking = asyncio.Lock()
        self._pace = Pace(self._clock)

    @property
    def batch_size(self) -> int:
        """As configured."""
        return self._section.batch_size

    @property
    def at_once(self) -> int:
        """More are of use, even where the service has to be spared."""
        return AT_ONCE

    async def describe(self) -> Embedding:
        """As configured or known; otherwise as one call shows. Raises EmbeddingError."""
        async with self._asking:
            if self._dimension is None:
                await self._asked(["dimension"], "query")
        variant = f"{self._section.document_prefix}{self._wire.variant}"
        weights = sha256(variant.encode("utf-8", "replace")).hexdigest() if variant else ""
        return Embedding(self._section.provider, self._section.model, self._dimension or 0, weights)

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        """One vector a text. Raises EmbeddingError."""
        prefix = self._section.query_prefix if purpose == "query" else self._section.document_prefix
        found: list[bytes] = []
        for call in calls([prefix + text for text in texts], self._most()):
            found += await self._asked(call, purpose)
        return found

    async def aclose(self) -> None:
        """Close every connection."""
        if self._caller is not None:
            await self._caller.aclose()

    def _most(self) -> int:
        """Texts of one call."""
        return max(1, min(self.batch_size, MOST_NUMBERS // (self._dimension or 1024)))

    async def _asked(self, texts: Sequence[str], purpose: Purpose) -> list[bytes]:
        """Vectors of one call; of two, where it is too much for one."""
        try:
            return await self._tried(texts, purpose)
        except _TooMuch as error:
            if len(texts) == 1:
                raise EmbeddingError(str(error)) from None
        half = len(texts) // 2
        return await self._asked(texts[:half], purpose) + await self._asked(texts[half:], purpose)

    async def _tried(self, texts: Sequence[str], purpose: Purpose) -> list[bytes]:
        post = self._wire.encode([text if text.strip() else " " for text in texts], purpose)
        body = _encode(post.body).encode("utf-8", "replace")
        settings = self._section.retry
        policy = RetryPolicy(settings.max_attempts, settings.initial_delay, settings.max_delay, settings.max_delay)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with (
                    nullcontext() if purpose == "query" else self._pace.turn()
                ):  # a question waits for no document
                    vectors = await self._once(post.path, body, len(texts))
                self._pace.answered()
                return vectors
            except _Failed as failed:
                decision = policy.decide(failed.failure, attempt, chance=self._chance)
                if isinstance(decision, GiveUp):
                    raise failed.given_up(decision) from None
                self._pace.slow_down(decision.delay)
                await self._wait(failed, decision)

    async def _wait(self, failed: "_Failed", decision: Retry) -> None:
        _log.warning("%s; trying again in %.1f s", failed, decision.delay)
        await self._clock.sleep(decision.delay)

    async def _once(self, path: str, body: bytes, count: int) -> list[bytes]:
        """One try. Raises _Failed, _TooMuch, EmbeddingError."""
        try:
            if self._caller is None:
                self._caller = self._opened()
            async with await self._caller.send("POST", path, body=body, headers=_HEADERS) as answer:
                data = await answer.read()
        except NetError as error:
            raise _Failed(f"{self._label}: {redact(str(error))}", Failure(retryable=error.retryable)) from None
        if not 200 <= answer.status < 300:
            raise self._refused(answer.status, answer.headers, data)
        large = len(data) > LARGE
        vectors = await asyncio.to_thread(self._judged, data, count) if large else self._judged(data, count)
        self._dimension = len(vectors[0]) // 4
        return vectors

    def _judged(self, data: bytes, count: int) -> list[bytes]:
        """The vectors in an answer, in any thread. Raises EmbeddingError."""
        try:
            found = self._wire.decode(parse(data))
        except (LookupError, TypeError, ValueError, RecursionError):
            raise EmbeddingError(f"{self._label}: the answer holds no vectors: {message_of(data)}") from None
        return check_vectors(self._label, found, count, self._dimension)

    def _opened(self) -> Caller:
        try:
            return self._open_caller()
        except ConfigError as error:
            raise EmbeddingError(f"{self._label}: {redact(str(error))}") from error

    def _refused(self, status: int, headers: Mapping[str, str], data: bytes) -> Exception:
        text = f"{self._label}: HTTP {status}: {message_of(data)}"
        if too_long(status, data):
            return _TooMuch(text)
        if status in {401, 403}:
            text += " (check the api_key of this embedder and what it may use)"
        elif status == 404:
            text += " (check `model` and `base_url` of this embedder)"
        asked = retry_info(data)
        return _Failed(text, Failure(status, headers, asked=asked, now=self._clock.now()))


class _TooMuch(Exception):  # noqa: N818 - no error while the call can be divided
    """One call is too large."""


class _Failed(Exception):  # noqa: N818 - no error while it can be tried again
    """A try has failed."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure = failure

    def given_up(self, decision: GiveUp) -> EmbeddingError:
        """What is raised in the end."""
        status = self.failure.status
        passes = self.failure.retryable is not False if status is None else status >= 500 or status in {408, 425, 429}
        kind = EmbeddingUnavailable if passes else EmbeddingError
        return kind(f"{self} ({decision.reason})" if passes else str(self))


def calls(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """The texts in order, in calls of at most so many and of at most MOST_TEXT characters."""
    call: list[str] = []
    size = 0
    for text in texts:
        if call and (len(call) >= most or size + len(text) > MOST_TEXT):
            yield call
            call, size = [], 0
        call.append(text)
        size += len(text)
    if call:
        yield call


def connect(
    section: Section, wire: Wire, name: str, *, base_url: str, headers: Mapping[str, str], secret: str = ""
) -> Remote:
    """The embedder of one section. `headers` are the format's own; those of the section win over them.

    Opens no connection. From now on `secret`, and what the section's headers and proxy hold of that kind, is left out
    of every log line and error text. Raises ConfigError.
    """
    origin_of(base_url)
    parts = urlsplit(base_url)
    if parts.username is not None:
        raise ConfigError(f"embedders.{name}.base_url holds a user name, which is not sent; use `api_key` or `headers`")
    remember(secret, *_secrets(section))
    options = CallerOptions(
        base_url=base_url,
        headers={**headers, **{key.lower(): value for key, value in section.headers.items()}},
        proxy=section.proxy,
        ca_bundle=section.ca_bundle,
        connect_timeout=section.connect_timeout,
        read_timeout=section.timeout,
        purpose="retrieval",
    )
    label = f"embedder {name!r} ({section.model} at {parts.netloc})"
    return Remote(section, wire, label, lambda: open_caller(options))


def _secrets(section: Section) -> Iterator[str]:
    for name, value in section.headers.items():
        if SECRET_KEYS.search(name):
            yield value
            yield value.split()[-1] if value.split() else ""
    yield unquote(urlsplit(section.proxy or "").password or "")
