"""Looks through a source: what is known and unchanged is passed over, the rest is read, cut and stored.

A page of the listing is held in memory, and as many documents as are read at once: however much there is.
"""

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Final, Protocol, TypeAlias

from hector.core.clock import Clock
from hector.core.errors import HectorError, StoreError
from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Extracted, Item, Source
from hector.rag.errors import Gone, SourceError
from hector.rag.ingest_progress import Tally
from hector.store.collection import Collection
from hector.store.collection_rows import VOLATILE, Document, Known

log = logging.getLogger("hector.rag")

Reading: TypeAlias = Callable[[Content], Awaitable[tuple[Extracted, Sequence[Chunk]]]]
"""Extracts and cuts one document. Raises Unreadable with the reason."""
PAGE: Final = 256
"""Items that are compared with the index at once."""
_INLINE: Final = 1 << 17
"""Bytes up to which a document is hashed where it is; hashing more would hold up others."""
_LATER: Final = 3600.0
"""Seconds after which what has failed too often is tried once more."""


class Retry(Protocol):
    """The block `indexing.retry`."""

    @property
    def max_retries(self) -> int:
        """Tries after the first one."""

    @property
    def base_delay(self) -> float:
        """Seconds before the first of them."""

    @property
    def max_delay(self) -> float:
        """Longest wait."""

    @property
    def jitter(self) -> float:
        """Share of a wait that is left to chance."""


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """What is read although it looks unchanged. `all`: everything; `failed`: what failed; `anew`: cut again as well."""

    all: bool = False
    failed: bool = False
    anew: bool = False


def must_read(item: Item, known: Known | None, recipe: str, how: Thoroughness, now: float) -> bool:
    """Whether an item has to be read, or is passed over as it is. `recipe` stands for how documents are cut."""
    if known is None or known.fingerprint != item.fingerprint or how.all or how.anew:
        return True
    if known.failed:
        return how.failed or (known.retry_at is not None and known.retry_at <= now)
    return not known.checksum.startswith(f"{recipe}:")


def next_try(retry: Retry, attempts: int, now: float, chance: float) -> float:
    """When what has failed so often for a passing reason is tried again. `chance` is in 0..1."""
    if attempts > retry.max_retries:
        return now + _LATER
    delay: float = min(retry.base_delay * 2.0 ** min(attempts - 1, 30), retry.max_delay)
    return now + delay * (1 + retry.jitter * (2 * chance - 1))


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a scan works with. `recipe` stands for the settings that decide what chunks come of a content."""

    collection: Collection
    source: Source
    reading: Reading
    recipe: str
    retry: Retry
    at_once: int
    clock: Clock


class Scan:
    """One pass over a source, or over some items of it."""

    def __init__(self, shop: Workshop, tally: Tally, how: Thoroughness, stored: Callable[[], None]) -> None:
        """`stored` is called whenever there may be something new to embed."""
        self._shop, self._tally, self._how, self._stored = shop, tally, how, stored
        self._broken: StoreError | None = None
        self._gone: set[str] = set()
        self._queue: asyncio.Queue[tuple[Item, Known | None] | None] = asyncio.Queue(2 * shop.at_once)
        self._number = tally.scan

    async def run(self, ids: Sequence[str] = ()) -> set[str]:
        """Take in everything, or those; gives the ids that were asked for and are there.

        Raises SourceError where the listing broke off (what came until then is taken in), StoreError.
        """
        found: set[str] = set()
        trouble: HectorError | None = None
        async with asyncio.TaskGroup() as group:
            for _ in range(self._shop.at_once):
                group.create_task(self._work())
            try:
                async for page in pages(self._shop.source.items(ids)):
                    if self._broken:
                        break
                    await self._sort(page)
                    if ids:
                        found.update(item.id for item in page)
            except StoreError as error:
                self._broken = error
            except HectorError as error:
                trouble = error
            except Exception as error:
                log.exception("a source cannot be listed")
                trouble = SourceError(f"the source cannot be listed: a defect ({type(error).__name__})")
            for _ in range(self._shop.at_once):
                await self._queue.put(None)
        self._tally.omitted = dict(self._shop.source.omitted.counts) if not ids else self._tally.omitted
        if self._broken or trouble:
            raise self._broken or trouble or SourceError("")
        return found - self._gone

    async def _sort(self, page: Sequence[Item]) -> None:
        """Pass over what is unchanged; hand the rest to the workers, who take it as fast as they can."""
        shop, now = self._shop, self._shop.clock.now()
        known = await shop.collection.known([item.id for item in page])
        same: list[str] = []
        for item in page:
            one = known.get(item.id)
            if must_read(item, one, shop.recipe, self._how, now):
                await self._queue.put((item, one))
                continue
            same.append(item.id)
            self._tally.failed += one.failed if one else 0
        if same:
            await shop.collection.touch(same, self._number)
            self._tally.seen += len(same)
            self._tally.unchanged += len(same)

    async def _work(self) -> None:
        while (one := await self._queue.get()) is not None:
            if self._broken:
                continue  # so that the listing does not wait for a place in the queue
            try:
                await self._take_in(*one)
            except StoreError as error:
                self._broken = error
            self._tally.seen += 1

    async def _take_in(self, item: Item, known: Known | None) -> None:
        try:
            await self._read(item, known)
        except Gone:
            self._gone.add(item.id)
        except StoreError:
            raise
        except HectorError as error:
            await self._failed(item, known, str(error), passing=error.retryable)
        except Exception as error:
            log.exception("a document cannot be taken in", extra={"document": item.id})
            await self._failed(item, known, f"a defect, which the log tells of ({type(error).__name__})")

    async def _read(self, item: Item, known: Known | None) -> None:
        shop = self._shop
        content = await shop.source.read(item)
        item = content.item
        checksum = f"{shop.recipe}:{await _digest(content)}"
        if known is not None and known.checksum == checksum and not known.failed and not self._how.anew:
            await shop.collection.refresh(item, self._number)
            self._tally.unchanged += 1
            return
        extracted, chunks = await shop.reading(content)
        title = extracted.title or PurePath(item.name).name
        document = Document(item, checksum, title, extracted.metadata, extracted.notes)
        await shop.collection.put(document, chunks, self._number)
        if extracted.notes:
            about = {"document": item.uri or item.id, "notes": "; ".join(extracted.notes)}
            log.info("something of a document is left out or guessed", extra=about)
        self._tally.read += 1
        self._stored()

    async def _failed(self, item: Item, known: Known | None, reason: str, *, passing: bool = False) -> None:
        """Keep why, and when to try again; an earlier state of the document goes on to be found."""
        same = known is not None and known.failed and known.fingerprint == item.fingerprint
        attempts = 1 + (known.attempts if known is not None and same else 0)
        now = self._shop.clock.now()
        again = next_try(self._shop.retry, attempts, now, random.random()) if passing else None  # noqa: S311
        await self._shop.collection.fail(item, reason, again, self._number, keep=True)
        self._tally.failed += 1
        if not same:
            log.warning("a document cannot be read", extra={"document": item.uri or item.id, "reason": reason})


async def pages(items: AsyncIterator[Item], size: int = PAGE) -> AsyncIterator[list[Item]]:
    """Items in lists of up to `size`; the first lists are short, so that work begins at once."""
    page: list[Item] = []
    most = min(16, size)
    async for item in items:
        page.append(item)
        if len(page) >= most:
            yield page
            page, most = [], min(4 * most, size)
    if page:
        yield page


async def _digest(content: Content) -> str:
    """What stands for a content, and for what is known of it beside."""
    data = content.data.encode("utf-8", "surrogatepass") if isinstance(content.data, str) else content.data
    fixed: Mapping[str, object] = {k: v for k, v in content.item.metadata.items() if k not in VOLATILE}
    about = json.dumps(fixed, sort_keys=True, default=str).encode("utf-8", "surrogatepass")

    def digest() -> str:
        return hashlib.blake2b(data, digest_size=16, key=hashlib.blake2b(about, digest_size=16).digest()).hexdigest()

    return digest() if len(data) < _INLINE else await asyncio.to_thread(digest)
