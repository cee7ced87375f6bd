"""Keeps the index of one document store true to its source.

The source is the truth, the index a cache of it. Of all processes of a machine one indexes a folder; the others read
it, and take over when that one has gone. A scan makes documents findable by their words; vectors follow behind. What is
cut off at any moment goes on from what is on the disk.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Final

from hector.core.errors import HectorError, StoreError
from hector.core.record import dataclass
from hector.core.retrieval import Embedder, VectorIndex
from hector.rag import ingest_asking as asking
from hector.rag.errors import SourceError
from hector.rag.ingest_fill import Filler, endure
from hector.rag.ingest_progress import NOTE, Progress, Tally, progress_of, tally_of
from hector.rag.ingest_scan import Scan, Thoroughness, Workshop
from hector.store.collection_file import IndexDamaged

log = logging.getLogger("hector.rag")

TURN_SECONDS: Final = 2.0
"""How often a process that only reads looks whether the one that indexes has gone."""
ASKED_SECONDS: Final = 0.25
"""How often somebody's request is looked for."""
NOTED_SECONDS: Final = 1.0
"""How often progress is noted for other processes."""
_SLOWEST: Final = 60.0
_RECIPE: Final = "recipe"
_SCAN: Final = "scan"


@dataclass(slots=True)
class Wish:
    """What is to be looked at next: everything, or some items."""

    all: bool = False
    anew: bool = False
    ids: set[str] = field(default_factory=set)
    request: str = ""

    def __bool__(self) -> bool:
        return self.all or bool(self.ids)


@dataclass(frozen=True, slots=True)
class Habits:
    """How a store is kept. `incremental`: trust fingerprints at the start; `interval` in seconds, 0 for never.

    `counts`: listing the source is cheap enough to be done once more, for the sake of a percentage.
    """

    watch: bool = False
    incremental: bool = True
    interval: float = 0.0
    counts: bool = False


class Keeper:
    """One per store and process."""

    def __init__(
        self,
        shop: Workshop,
        habits: Habits,
        embedder: Embedder | None = None,
        vectors: VectorIndex | None = None,
        named: str = "",
    ) -> None:
        """`named`: the embedder as people know it; empty where there is none."""
        self._shop, self._habits, self._named = shop, habits, named
        self._collection, self._clock = shop.collection, shop.clock
        self.tally = Tally()
        self.told: Callable[[Tally], None] | None = None
        """Is shown the tally before each scan, after it, and now and then."""
        self._wish = Wish()
        self._forgotten = False
        self._wished, self._stored = asyncio.Event(), asyncio.Event()
        shop.collection.when_lost = self._stored.set
        self._filler = (
            None
            if embedder is None or vectors is None
            else Filler(shop.collection, embedder, vectors, self.tally, shop.clock)
        )

    # What others ask

    def ask(self, *, force: bool = False, ids: Sequence[str] = (), request: str = "") -> None:
        """Look at the source soon: at all of it, or at some items. `force`: read, cut and embed everything anew."""
        wish = self._wish
        wish.all, wish.anew = wish.all or not ids, wish.anew or force
        wish.ids.update(ids)
        wish.request = request or wish.request
        self._wished.set()

    async def progress(self) -> Progress:
        """How far it is; of another process's work what that one noted. Raises StoreError."""
        tally = self.tally if self._collection.leads else tally_of(await self._collection.noted(NOTE))
        counts = await self._collection.counts()
        return progress_of(self._collection.store, tally, counts, self._clock.now(), self._named)

    # What it does

    async def run(self) -> None:
        """Until cancelled. Raises IndexDamaged, which only a new index helps against."""
        while not self._collection.leads and not self._collection.lead():
            await self._clock.sleep(TURN_SECONDS)
        self._resume(await self._collection.noted(NOTE))
        self._wish.all = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._scans())
                group.create_task(self._hear())
                group.create_task(self._note())
                if self._habits.watch:
                    group.create_task(self._watch())
                if self._filler is not None:
                    group.create_task(endure(self._filler, self._stored, self.tally, self._clock))
        except BaseExceptionGroup as several:
            damaged, _ = several.split(IndexDamaged)
            raise (damaged or several).exceptions[0] from None
        finally:
            with suppress(HectorError):
                self.tally.scanning = self.tally.filling = False
                await self._collection.remember(NOTE, self.tally.text())

    async def once(self, *, force: bool = False) -> None:
        """Everything now, until nothing is left to do. Raises SourceError, RagError, StoreError."""
        self._resume(await self._collection.noted(NOTE))
        try:
            async with asyncio.TaskGroup() as group:
                noting = group.create_task(self._note())
                await self._scan(Wish(all=True, anew=force), first=not self._habits.incremental)
                if self._filler is not None:
                    self.tally.filling = True
                    await self._filler.drain()
                noting.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self.tally.scanning = self.tally.filling = False
            with suppress(HectorError):
                await self._collection.remember(NOTE, self.tally.text())

    def _resume(self, noted: str | None) -> None:
        """What was known of earlier scans; what those counted is over."""
        before = tally_of(noted)
        self.tally.scan, self.tally.scanned, self.tally.request = before.scan, before.scanned, before.request

    async def _scans(self) -> None:
        """One after the other, as there is reason to."""
        first, delay = not self._habits.incremental, 1.0
        while True:
            wish, self._wish = self._wish, Wish()
            self._wished.clear()
            if not wish:
                await self._rest()
                continue
            try:
                await self._scan(wish, first=first)
            except IndexDamaged:
                raise
            except HectorError as error:
                if self.tally.trouble != str(error):
                    log.warning("a source is not indexed; trying again", extra=self._about(error))
                self.tally.trouble = str(error)
                self.ask(ids=() if wish.all else tuple(wish.ids), force=wish.anew, request=wish.request)
                await self._clock.sleep(delay)
                delay = min(2 * delay, _SLOWEST)
                continue
            first, delay, self.tally.trouble = first and not wish.all, 1.0, ""

    async def _rest(self) -> None:
        """Until there is a wish: somebody's, or because it is time."""
        now = self._clock.now()
        due = await self._collection.next_due()
        again = self.tally.scanned + self._habits.interval if self._habits.interval else None
        times = [one for one in (due, again) if one is not None]
        try:
            async with asyncio.timeout(max(min(times) - now, 0.05) if times else None):
                await self._wished.wait()
        except TimeoutError:
            if again is not None and self._clock.now() >= again:
                self.ask()
            elif ids := await self._collection.due(self._clock.now()):
                self.ask(ids=ids)

    async def _scan(self, wish: Wish, *, first: bool) -> None:
        """Raises SourceError where the listing broke off, StoreError."""
        if wish.all:
            await self._scan_all(wish, first=first)
        else:
            ids = sorted(wish.ids)
            found = await Scan(self._shop, self.tally, Thoroughness(), self._stored.set).run(ids)
            if gone := [one for one in ids if one not in found]:
                self.tally.removed += await self._collection.remove(gone)
                self._stored.set()

    async def _scan_all(self, wish: Wish, *, first: bool) -> None:
        collection, tally = self._collection, self.tally
        if wish.anew and self._filler is not None and not self._forgotten:
            await self._filler.forget()
            self._forgotten = True  # a scan that breaks off is done again: what is embedded until then is enough
        number = max(int(await collection.noted(_SCAN) or 0), tally.scan) + 1
        await collection.remember(_SCAN, str(number))
        self._tell()
        tally.begin_scan(number, self._clock.now())
        changed = await collection.noted(_RECIPE) != self._shop.recipe
        how = Thoroughness(all=first, failed=changed or wish.anew, anew=wish.anew)
        try:
            await self._counted(Scan(self._shop, tally, how, self._stored.set))
            await collection.touch_below(self._shop.source.omitted.unseen, number)
            tally.removed += await collection.sweep(number)
        finally:
            tally.scanning = False
        self._stored.set()
        tally.total, tally.scanned = tally.seen, self._clock.now()
        self._tell()
        tally.request = wish.request or tally.request
        self._forgotten = self._forgotten and not wish.anew
        await collection.remember(_RECIPE, self._shop.recipe)
        await collection.remember(NOTE, tally.text())
        log.info("document store indexed", extra={"store": collection.store, **_figures(tally)})

    async def _counted(self, scan: Scan) -> None:
        """A scan; beside it, where that is cheap, somebody counts what there is."""
        counting = asyncio.create_task(self._count()) if self._habits.counts else None
        try:
            await scan.run()
        finally:
            if counting is not None:
                counting.cancel()
                await asyncio.wait((counting,))

    async def _count(self) -> None:
        total = 0
        with suppress(HectorError):
            async for _ in self._shop.source.items():
                total += 1
            self.tally.total = total

    async def _watch(self) -> None:
        """Take in what the source tells of; where it stops telling, look through all of it and listen again."""
        delay = 1.0
        while True:
            try:
                changes = self._shop.source.watch()
                if changes is None:
                    return
                async for change in changes:
                    self.ask(ids=change.ids)
                    delay = 1.0
            except SourceError as error:
                log.warning("changes of a source are not heard; trying again", extra=self._about(error))
            await self._clock.sleep(delay)
            delay = min(2 * delay, _SLOWEST)
            self.ask()

    async def _hear(self) -> None:
        """Take up what other processes ask for."""
        folder = self._collection.folder
        while True:
            await self._clock.sleep(ASKED_SECONDS)
            if asking.peek(folder) is not None and (request := asking.take(folder)) is not None:
                self.ask(force=request.force, request=request.id)

    async def _note(self) -> None:
        """Keep how far it is where other processes find it."""
        noted = ""
        while True:
            self._tell()
            text = self.tally.text()
            if text != noted:
                with suppress(StoreError):
                    await self._collection.remember(NOTE, text)
                    noted = text
            await self._clock.sleep(NOTED_SECONDS)

    def _tell(self) -> None:
        if self.told is not None:
            self.told(self.tally)

    def _about(self, error: HectorError) -> dict[str, str]:
        return {"store": self._collection.store, "error": str(error)}


def _figures(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in ("seen", "read", "unchanged", "failed", "removed")}
