"""What one app knows: its document stores by id, searched together or apart."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hector.core.content import JsonObject
from hector.core.errors import HectorError, NotFound
from hector.core.retrieval import Findings, Payer, Question
from hector.observe import metrics
from hector.rag.errors import SearchError
from hector.rag.ingest_progress import Progress
from hector.rag.search import Searcher
from hector.rag.search_legs import Shelf
from hector.rag.search_models import Named
from hector.rag.shelving import Library, Plan, Running
from hector.store.collection_rows import Failure


class Knowledge:
    """Nothing is opened before it is needed. Bound to a library, it shares open stores with others of that library.

    `models` makes the models that help with searches; `own_key`: with keys of the server's environment.
    """

    def __init__(self, plans: Mapping[str, Plan], models: Named | None = None, *, own_key: bool = True) -> None:
        self.plans = dict(plans)
        self._models, self._own_key = models, own_key
        self._library: Library | None = None
        self._own: Library | None = None
        self._stores: dict[str, Running] = {}
        self._closed = False

    def bind(self, library: Library) -> None:
        """Have the stores open in this library from now on; it indexes them."""
        if self._library is None and not self._closed:
            self._library = library
            self._stores = {name: library.borrow(plan) for name, plan in self.plans.items()}

    def store(self, name: str) -> Running:
        """One store. Raises NotFound."""
        if self._library is None and not self._closed:
            self._own = Library()
            self.bind(self._own)
        if name not in self._stores:
            raise NotFound("document store", name)
        return self._stores[name]

    def retriever(self, ids: Sequence[str]) -> "Stores":
        """Searches these stores. Raises NotFound for one that is not this app's."""
        for name in ids:
            if name not in self.plans:
                raise NotFound("document store", name)
        return Stores(self, tuple(ids))

    async def search(self, ids: Sequence[str], question: Question, payer: Payer | None) -> Findings:
        """Search these stores. Raises SearchError where none of them can be."""
        shelves: list[Shelf] = []
        notes: list[str] = []
        for name in ids:
            try:
                shelves.append(await self.store(name).shelf())
            except (HectorError, OSError) as error:
                notes.append(f"store {name}: it cannot be searched: {error}")
        if notes and not shelves:
            raise SearchError("; ".join(notes))
        found = await self.searcher(shelves).search(question, payer)
        return replace(found, notes=(*notes, *found.notes)) if notes else found

    def searcher(self, shelves: Sequence[Shelf]) -> Searcher:
        """Searches stores that are open, with the models of the app."""
        return Searcher(shelves, self._models, self._own_key)

    async def progress(self) -> list[Progress]:
        """How far each store is. Raises StoreError."""
        return [await self.store(name).progress() for name in self.plans]

    async def glance(self) -> JsonObject:
        """State and percentage of each store, of a moment ago; nothing is opened for it."""
        found: JsonObject = {}
        for name, running in self._stores.items():
            seen = await running.glance()
            found[name] = {"state": "waiting", "percent": None} if seen is None else _brief(seen)
        return found

    async def failures(self, name: str, limit: int = 100, after: str = "") -> list[Failure]:
        """Documents of a store that cannot be read, and why, in the order of their ids. Raises NotFound, StoreError."""
        return await (await self.store(name).opened()).collection.failures(limit, after)

    async def aclose(self) -> None:
        """Give the stores back."""
        self._closed = True
        stores, self._stores = self._stores, {}
        for running in stores.values():
            if self._library is not None:
                await self._library.give_back(running)
        if self._own is not None:
            await self._own.aclose()


def _brief(progress: Progress) -> JsonObject:
    return {"state": progress.state, "percent": progress.percent, "failed": progress.failed}


class Stores:
    """core.retrieval.Retriever over some stores of an app."""

    def __init__(self, knowledge: Knowledge, ids: Sequence[str]) -> None:
        self._knowledge, self._ids = knowledge, ids

    async def search(self, question: Question, payer: Payer | None = None) -> Findings:
        """Raises SearchError only where nothing at all can be said."""
        if (counts := metrics.current) is None:
            return await self._knowledge.search(self._ids, question, payer)
        places = [(self._knowledge.plans[name].app, name) for name in self._ids]
        for place in places:
            counts.searches.add(*place)
        began = time.perf_counter()
        found = await self._knowledge.search(self._ids, question, payer)
        seconds = time.perf_counter() - began
        for place in places:
            counts.search_seconds.observe(seconds, *place)
            counts.search_results.observe(sum(one.store == place[1] for one in found.passages), *place)
        return found
