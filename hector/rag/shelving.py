"""Document stores that this process has open: one index each, shared by all who use the same store in the same way."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hector.config.documents import DocumentStore
from hector.core.clock import Clock, SystemClock
from hector.core.errors import HectorError
from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Embedder, Extracted, Source, VectorIndex
from hector.observe import metrics
from hector.rag import ingest_asking as asking
from hector.rag.errors import RagError
from hector.rag.ingest_progress import NOTE, Progress, progress_of, tally_of
from hector.rag.opened import Opened, OtherReaders
from hector.rag.search_legs import Shelf
from hector.store.collection import Collection
from hector.store.collection_file import IndexDamaged

if TYPE_CHECKING:
    from hector.rag.extract.pool import Readers
    from hector.rag.ingest import Keeper
    from hector.rag.ingest_scan import Reading

log = logging.getLogger("hector.rag")

_AGAIN: Final = 5.0
"""Seconds after which an index that could not be opened is tried again."""
_SLOWEST: Final = 60.0
_FETCHED: Final = 4
"""Documents of one store that are in memory at most, for each process that reads: more would only wait there."""
_MOMENT: Final = 1.0
"""Seconds for which a look at the progress is good enough for whoever asks often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one document store is made. `key`: two plans with the same one may share what is open.

    `source` None: it is searched only. `recipe` stands for the settings that decide about chunks; `named` is the
    embedder as people know it, empty without one.
    """

    store: str
    app: str
    folder: Path
    section: DocumentStore
    key: str
    recipe: str = ""
    source: Callable[[], Source] | None = None
    embedder_key: str = ""
    embedder: Callable[[], Embedder] | None = None
    vectors: Callable[[Collection], VectorIndex] | None = None
    named: str = ""
    around: "Callable[[Reading], OtherReaders] | None" = None
    """Puts other readers of documents around ours."""


class Library:
    """All that are open. Belongs to one event loop; whoever makes it closes it."""

    def __init__(self, clock: Clock | None = None, readers: int = 0) -> None:
        """`readers`: processes that read documents, for all stores; 0: as many as there are processors, 8 at most."""
        self.clock = clock or SystemClock()
        self.most = readers or min(os.cpu_count() or 1, 8)
        self._open: dict[str, Running] = {}
        self._embedders: dict[str, tuple[Embedder, int]] = {}
        self._readers: Readers | None = None
        self._indexes = False

    def borrow(self, plan: Plan) -> "Running":
        """The store of a plan; `give_back` it."""
        running = self._open.get(plan.key)
        if running is None:
            running = self._open[plan.key] = Running(plan, self)
            if self._indexes:
                running.start()
        running.uses += 1
        return running

    async def give_back(self, running: "Running") -> None:
        """It is not needed any more; the last one closes it."""
        running.uses -= 1
        if running.uses <= 0 and self._open.get(running.plan.key) is running:
            del self._open[running.plan.key]
            await running.aclose()

    def start(self) -> None:
        """Index from now on, also what is borrowed later."""
        self._indexes = True
        for running in self._open.values():
            running.start()

    def embedder(self, plan: Plan) -> Embedder | None:
        """The one that a plan asks for, shared by all stores that ask for the same."""
        if plan.embedder is None:
            return None
        made, uses = self._embedders.get(plan.embedder_key, (None, 0))
        made = made or plan.embedder()
        self._embedders[plan.embedder_key] = made, uses + 1
        return made

    async def release_embedder(self, plan: Plan) -> None:
        """One store less that uses it."""
        made, uses = self._embedders.get(plan.embedder_key, (None, 0))
        if made is None:
            return
        if uses > 1:
            self._embedders[plan.embedder_key] = made, uses - 1
            return
        del self._embedders[plan.embedder_key]
        await made.aclose()

    def readers(self) -> "Readers":
        """The processes that read documents."""
        if self._readers is None:
            from hector.rag.extract.pool import Readers  # noqa: PLC0415 - loaded where something is indexed

            self._readers = Readers(self.most)
        return self._readers

    async def forget(self, app: str) -> None:
        """Close whatever belongs to an app that is no more."""
        for running in [one for one in self._open.values() if one.plan.app == app]:
            self._open.pop(running.plan.key, None)
            await running.aclose()

    async def aclose(self) -> None:
        """Close all of them."""
        while self._open:
            _, running = self._open.popitem()
            await running.aclose()
        for made, _ in self._embedders.values():
            await made.aclose()
        self._embedders.clear()
        if self._readers is not None:
            await self._readers.aclose()
            self._readers = None


class Running:
    """One document store: its index, opened when it is first needed, and the keeper that fills it."""

    def __init__(self, plan: Plan, library: Library) -> None:
        self.plan = plan
        self.uses = 0
        self._library = library
        self._opening = asyncio.Lock()
        self._opened: Opened | None = None
        self._keeper: Keeper | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._seen: Progress | None = None
        self._seen_at = 0.0

    async def opened(self, *, lead: bool = True) -> Opened:
        """Raises StoreError, StartupError; RagError once it is closed."""
        async with self._opening:
            if self._closed:
                raise RagError(f"document store {self.plan.store!r} is closed")
            if self._opened is None:
                self._opened = await self._open(lead=lead and self.plan.source is not None)
            return self._opened

    async def _open(self, *, lead: bool) -> Opened:
        plan = self.plan
        try:
            collection = await Collection.open(plan.folder, plan.store, lead=lead, clock=self._library.clock)
        except IndexDamaged as error:
            if not lead:
                raise
            log.error("an index is damaged and made anew", extra={"store": plan.store, "error": str(error)})  # noqa: TRY400
            await Collection.delete(plan.folder)
            collection = await Collection.open(plan.folder, plan.store, lead=True, clock=self._library.clock)
        embedder = self._library.embedder(plan)
        vectors = plan.vectors(collection) if plan.vectors is not None and embedder is not None else None
        return Opened(collection, embedder, vectors)

    async def shelf(self) -> Shelf:
        """The store as it is searched. Raises as `opened` does."""
        opened = await self.opened()
        return Shelf(self.plan.store, opened.collection, self.plan.section.search, opened.embedder, opened.vectors)

    # Indexing

    def start(self) -> None:
        """Index in the background, if there is a source."""
        if self._task is None and self.plan.source is not None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        """Until cancelled, whatever happens."""
        await asyncio.to_thread(_load)
        delay = _AGAIN
        while True:
            try:
                await (await self.keeper()).run()
            except IndexDamaged as error:
                log.error("an index is damaged and made anew", extra={"store": self.plan.store, "error": str(error)})  # noqa: TRY400
                await self._close_index(delete=True)
            except HectorError as error:
                log.error("a document store is not indexed; trying again", extra=self._about(error))  # noqa: TRY400
                await self._library.clock.sleep(delay)
            except Exception:
                log.exception("a document store is not indexed; trying again", extra={"store": self.plan.store})
                await self._library.clock.sleep(delay)
                await self._close_index()
            delay = min(2 * delay, _SLOWEST)

    async def keeper(self) -> "Keeper":
        """What indexes it; made once. Raises as `opened` does."""
        opened = await self.opened()
        if self._keeper is None:
            self._keeper = self._made(opened)
        return self._keeper

    def _made(self, opened: Opened) -> "Keeper":
        from hector.rag.ingest import Habits, Keeper  # noqa: PLC0415 - loaded where something is indexed
        from hector.rag.ingest_scan import Workshop  # noqa: PLC0415

        plan, section = self.plan, self.plan.section
        if plan.source is None:
            raise RagError(f"document store {plan.store!r} is searched only: another one fills its collection")
        opened.source = plan.source()
        readers, owner = self._library.readers(), (plan.app, plan.store)

        async def reading(content: Content) -> tuple[Extracted, Sequence[Chunk]]:
            return await readers.read(content, section.chunking, owner)

        read: Reading = reading
        if plan.around is not None:
            opened.others = plan.around(reading)
            read = opened.others.read
        indexing = section.indexing
        at_once = min(indexing.at_once, _FETCHED * self._library.most)
        shop = Workshop(
            opened.collection, opened.source, read, plan.recipe, indexing.retry, at_once, self._library.clock
        )
        local = getattr(section.source, "local", False)
        habits = Habits(section.watch, section.incremental_indexing, indexing.interval, counts=local)
        keeper = Keeper(shop, habits, opened.embedder, opened.vectors, plan.named)
        if metrics.current is not None:
            from hector.rag.ingest_counted import Counted  # noqa: PLC0415 - only with metrics

            keeper.told = Counted(metrics.current, plan.app, plan.store, keeper.tally).take
        return keeper

    # Asking

    async def ask(self, *, force: bool = False) -> None:
        """Have the source looked through soon, by whoever indexes the folder. Raises as `opened` does, OSError."""
        opened = await self.opened()
        if opened.collection.leads and self._keeper is not None:
            self._keeper.ask(force=force)
        else:
            await asyncio.to_thread(asking.ask, self.plan.folder, force=force)

    async def progress(self) -> Progress:
        """How far it is. Raises as `opened` does."""
        opened = await self.opened()
        if self._keeper is not None:
            return await self._keeper.progress()
        tally = tally_of(await opened.collection.noted(NOTE))
        counts = await opened.collection.counts()
        found = progress_of(self.plan.store, tally, counts, self._library.clock.now(), self.plan.named)
        return found if self.plan.source is not None else replace(found, state="searched")

    async def glance(self) -> Progress | None:
        """How far it was a moment ago; None where nobody has opened it yet, or it cannot be read now."""
        now = self._library.clock.now()
        if self._opened is not None and (self._seen is None or now - self._seen_at > _MOMENT):
            with suppress(HectorError):
                self._seen, self._seen_at = await self.progress(), now
        return self._seen

    # Ending

    async def aclose(self) -> None:
        """Stop indexing, close the index."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._close_index()

    async def _close_index(self, *, delete: bool = False) -> None:
        async with self._opening:
            opened, self._opened, self._keeper = self._opened, None, None
            if opened is None:
                return
            await opened.aclose()
            if opened.embedder is not None:
                await self._library.release_embedder(self.plan)
            if delete:
                await Collection.delete(self.plan.folder)

    def _about(self, error: HectorError) -> Mapping[str, str]:
        return {"store": self.plan.store, "error": str(error)}


def _load() -> None:
    """Load what indexing needs aside from the event loop, which it would hold up."""
    for name in ("ingest", "ingest_scan", "extract.pool", "flat", "search"):
        import_module(f"hector.rag.{name}")
